"""The predicted distance of a whole sweep, which several figures draw."""

import numpy as np

from implicit_bias.sweeps.figure import Results
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.law.limit import lazy_distance, rich_distance
from implicit_bias.theory.law.prediction import predict_band
from implicit_bias.theory.problem import Array, Problem

WIDTHS = 16
"""Widths at which the law is drawn, evenly spaced in logarithm."""


def law_of_sweep(results: Results) -> dict[str, Array]:
    """The predicted distance at every alpha of a sweep against width, nothing fitted; empty where no law holds.

    Of several data sets the mean of their laws is shown.

    Returns:
        `alpha`, `width`, `rms`, `lower`, `upper` of the band, `delta`, which is that of the sweep and the probability
        outside the band, and the limits `lazy` and `rich`.
    """
    laws = [_law(results.sweep, problem) for problem in results.problems]
    return {name: np.mean([law[name] for law in laws], axis=0) for name in laws[0]}


def _law(sweep: Sweep, problem: Problem) -> dict[str, Array]:
    names = ("alpha", "delta", "width", "rms", "lower", "upper", "lazy", "rich")
    columns: dict[str, list[float]] = {name: [] for name in names}
    if sweep.law_is_exact and problem.D > problem.r:
        for alpha in sweep.alpha:
            for h in np.unique(np.geomspace(min(sweep.widths), max(sweep.widths), WIDTHS)):
                sigma = float(h) ** -alpha
                band = predict_band(problem, sigma**2 * h, sigma**2 * h, float(h), sweep.delta)
                limits = lazy_distance(problem, sigma, sigma**2 * h), rich_distance(problem, sigma)
                for name, value in zip(columns, (alpha, sweep.delta, h, *band, *limits), strict=True):
                    columns[name].append(value)
    return {name: np.array(values) for name, values in columns.items()}
