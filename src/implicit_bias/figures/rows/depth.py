"""The figure of a sweep over depths."""

from typing import Any

from implicit_bias.figures.depth import depth_figure
from implicit_bias.figures.findings import depth
from implicit_bias.figures.rows.law import GUARANTEES
from implicit_bias.figures.widths import companion_figure
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns


def _depths(results: Results) -> Any:
    return depth_figure(results.columns, results.sweep.alpha[0])


def _deepest(results: Results) -> Any:
    """The guarantees of the deepest networks."""
    deepest = int(results.table["depth"].max())
    return companion_figure(columns(results.table[results.table["depth"] == deepest]), depth=deepest)


DEPTH_FIGURE = SweepFigure(
    Words(
        "Distance and iterations against depth",
        "Left, the distance times the power of the width with which it falls: dots are runs, lines the law of their "
        "depth, predicted before training. Middle, the same against depth. Right, the iterations to stop.",
        depth,
    ),
    _depths,
    kind="deep",
    companion=_deepest,
    companion_words=GUARANTEES,
)
