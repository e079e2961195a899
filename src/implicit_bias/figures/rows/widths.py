"""Figures over widths at one scale of the initial weights, or at several."""

from typing import TYPE_CHECKING, Any

from implicit_bias.figures.findings import ends_of_width, law
from implicit_bias.figures.rows.law import GUARANTEES, guarantees, law_of_sweep
from implicit_bias.figures.widths import alpha_figure, companion_figure, wide_figure, width_figure
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns

if TYPE_CHECKING:
    import pandas as pd

PAPERS = 0.5
"""The alpha of the paper."""


def _width(results: Results) -> Any:
    predicted = law_of_sweep(results)
    law = predicted if predicted["width"].size else None
    return width_figure(results.columns, law, alpha=results.sweep.alpha[0])


def _wide(results: Results) -> Any:
    return wide_figure(results.columns, law_of_sweep(results), alpha=results.sweep.alpha[0])


def _alphas(results: Results) -> Any:
    return alpha_figure(results.columns, law_of_sweep(results))


def _nearest_to_the_papers(results: Results) -> Any:
    """The guarantees at the alpha that is nearest to the paper's."""
    alpha = min(results.sweep.alpha, key=lambda each: abs(each - PAPERS))
    points: pd.DataFrame = results.table[results.table["alpha"] == alpha]
    return companion_figure(columns(points), alpha)


WIDTH_FIGURE = SweepFigure(
    Words(
        "Distance and iterations against width",
        "Mean and standard deviation over the seeds. The black line with its grey band is the law of the distance: "
        "predicted before training, not fitted.",
        law,
        ends_of_width,
    ),
    _width,
    companion=guarantees,
    companion_words=GUARANTEES,
    paper="Figure 1",
)

WIDE_FIGURE = SweepFigure(
    Words(
        "Distance over decades of width",
        "Each dot is a run. Left, the distance, the predicted law and the infinite-width line. Right, the ratio of "
        "distance to law.",
        law,
        ends_of_width,
    ),
    _wide,
    laws=frozenset({"exact"}),
    companion=guarantees,
    companion_words=GUARANTEES,
)

ALPHA_FIGURE = SweepFigure(
    Words(
        "Distance at several initial scales h^(−α)",
        "Each dot is one run, each line the predicted law, with its lazy and rich limits.",
        law,
        ends_of_width,
    ),
    _alphas,
    against="alphas",
    laws=frozenset({"exact"}),
    companion=_nearest_to_the_papers,
    companion_words=GUARANTEES,
)
