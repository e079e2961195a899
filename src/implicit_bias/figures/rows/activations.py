"""The figure of a sweep over activations: the spread of predictions over seeds, and its parts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.figures.activations import activations_figure, frozen_figure
from implicit_bias.figures.findings import frozen, kernel_distance
from implicit_bias.sweeps.figure import Results, SweepFigure, Words
from implicit_bias.theory.problem import Array

if TYPE_CHECKING:
    import pandas as pd


def _spread(results: Results) -> Any:
    return activations_figure(spreads(results.table, results.evaluation), results.columns)


def _runs(results: Results) -> Any:
    return frozen_figure(results.columns, results.sweep.delta)


def spreads(table: "pd.DataFrame", load: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Spread of the predictions over seeds, and its parts, by activation.

    By the law of total variance the variance over networks is the mean of that by the frozen law, given the run, plus
    the variance of the law's mean.

    Args:
        table: one row per point: `point`, `activation`, `width`, `frozen_rms`.
        load: point -> its record, with `predictions` and `mean` (N, m).

    Returns:
        of each activation `activation`, `width` (W,), and root mean squares over the test rows, outputs summed, of the
        standard deviation over the runs of a width: `spread`, `frozen`, `rest`; NaN of a single run.
    """
    found = []
    for name, rows in table.groupby("activation", sort=False):
        widths = list(rows.groupby("width"))
        measured = [[load(key) for key in each["point"]] for _, each in widths]
        found.append(
            {
                "activation": name,
                "width": np.array([width for width, _ in widths], float),
                "spread": np.array([_scatter([record["predictions"] for record in each]) for each in measured]),
                "frozen": np.array([np.sqrt(np.mean(each["frozen_rms"] ** 2)) for _, each in widths]),
                "rest": np.array([_scatter([record["mean"] for record in each]) for each in measured]),
            }
        )
    return found


def _scatter(predictions: list[Array]) -> float:
    """Root mean square over the rows of the standard deviation over runs of (N, m) predictions, outputs summed."""
    if len(predictions) < 2:
        return float("nan")
    return float(np.sqrt(np.mean(np.sum(np.var(np.array(predictions), axis=0, ddof=1), axis=1))))


ACTIVATIONS_FIGURE = SweepFigure(
    Words(
        "Spread of predictions over seeds",
        "Root mean squares over the test rows: the standard deviation over the seeds of a width, its part by the "
        "frozen law given the runs, and the rest, the spread of the law's means; and the distance of the predictions "
        "to those of the kernel at infinite width. Nothing is fitted.",
        alt=kernel_distance,
    ),
    _spread,
    kind="activation",
    companion=_runs,
    companion_words=Words(
        "Each run and the frozen law, and the movement of its kernel",
        "Left, each dot is a run: the deviation of its predictions from the mean of the law, relative to the root mean "
        "square by the law. Right, how far training moves the tangent kernel of the samples.",
        frozen,
    ),
)
