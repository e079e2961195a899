"""The figures of sweeps, each in one row: what it needs of a sweep, what draws it, and what is said of it."""

from typing import Any

from implicit_bias.figures.activations import ACTIVATIONS_FIGURE
from implicit_bias.figures.depth import DEPTH_FIGURE, laws_of_depths
from implicit_bias.figures.general import DISTANCE_FIGURE
from implicit_bias.figures.imbalance import IMBALANCE_FIGURE
from implicit_bias.figures.interactive import interactive_activations, interactive_widths
from implicit_bias.figures.law import law_of_sweep
from implicit_bias.figures.page import drawn_for
from implicit_bias.figures.scales import SCALES_FIGURE
from implicit_bias.figures.studies import CLAIMS, COMPARE, DESCENT, EARLY, LAZY, QUESTIONS
from implicit_bias.figures.universality import UNIVERSALITY_FIGURE
from implicit_bias.figures.widths import ALPHA_FIGURE, WIDE_FIGURE, WIDTH_FIGURE
from implicit_bias.sweeps.figure import Results, StudyFigure, SweepFigure, Words, sweep_figure

FIGURES: dict[str, SweepFigure] = {
    "width": WIDTH_FIGURE,
    "wide": WIDE_FIGURE,
    "alpha": ALPHA_FIGURE,
    "imbalance": IMBALANCE_FIGURE,
    "universality": UNIVERSALITY_FIGURE,
    "depth": DEPTH_FIGURE,
    "scales": SCALES_FIGURE,
    "activations": ACTIVATIONS_FIGURE,
    "distance": DISTANCE_FIGURE,
}
"""Name -> figure of a sweep."""

STUDY_FIGURES: dict[str, dict[str, StudyFigure]] = {
    "questions": QUESTIONS,
    "lazy": LAZY,
    "early": EARLY,
    "descent": DESCENT,
    "claims": CLAIMS,
    "compare": COMPARE,
}
"""Study -> picture -> figure. Every sweep may have "questions"; "compare" is what the command draws of two runs."""


def study_words(study: str) -> dict[str, Words]:
    """What is said of the pictures of a study, by name."""
    return {name: figure.words for name, figure in STUDY_FIGURES[study].items()}


def draw_main(results: Results) -> Any:
    """The figure of a sweep."""
    with drawn_for(results.sweep.figure_style):
        return sweep_figure(results.sweep.figure).draw(results)


def draw_companion(results: Results) -> Any:
    """The second picture of a sweep, or why there is none."""
    name = results.sweep.figure
    draw = sweep_figure(name).companion
    with drawn_for(results.sweep.figure_style):
        return draw(results) if draw else f"figure {name} has no companion"


def draw_plotly(results: Results) -> Any:
    """The figure of a sweep to zoom into."""
    if draw := sweep_figure(results.sweep.figure).interactive or INTERACTIVE.get(results.sweep.kind.drawn_as):
        return draw(results)
    return interactive_widths(results.columns, law_of_sweep(results))


INTERACTIVE = {
    "deep": lambda results: interactive_widths(results.columns, laws_of_depths(results.columns), by="depth"),
    "activation": lambda results: interactive_activations(results.columns),
}
"""Kind of network -> what draws its points to zoom into; others are drawn against width."""
