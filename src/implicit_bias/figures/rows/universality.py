"""The figure of a sweep over laws of the initial entries."""

from typing import Any

from implicit_bias.figures.findings import ends_of_width, universality
from implicit_bias.figures.universality import universality_figure
from implicit_bias.sweeps.figure import Results, SweepFigure, Words
from implicit_bias.theory.comparisons.universality import has_limit, limit_ratio, seen_weights
from implicit_bias.theory.law.distance import Scaling


def _before(results: Results) -> Any:
    return universality_figure(results.columns, _limits(results), "law_rms", "law before training")


def _given_the_run(results: Results) -> Any:
    return universality_figure(results.columns, {}, "law_rms_run", "law given the run")


def _limits(results: Results) -> dict[str, float]:
    """Initialisation -> the ratio of its distance to the law at the sweep's largest width, of its first data set."""
    sweep, problem = results.sweep, results.problems[0]
    if problem.D == problem.r or sweep.alpha[0] < 0:
        return {}
    scaling, h = Scaling(sweep.alpha[0]), float(max(sweep.widths))
    weights = seen_weights(problem, *scaling.gram(h))
    return {
        name: limit_ratio(problem, name, sweep.density, *scaling.gram(h), weights)
        for name in sweep.initialization
        if has_limit(name)
    }


UNIVERSALITY_FIGURE = SweepFigure(
    Words(
        "Distance for entries of other laws",
        "Networks whose initial entries are not Gaussian, compared with the law for Gaussian ones.",
        universality,
        ends_of_width,
    ),
    _before,
    initializations=True,
    laws=frozenset({"exact", "asymptotic"}),
    companion=_given_the_run,
    companion_words=Words(
        "Distance and the law given each run",
        "The ratio of the distance to its law given the output layer at the end of training.",
    ),
)
