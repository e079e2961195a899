"""The figure of one point, by the kind of its network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from implicit_bias.figures.palette import BLACK, BLUE, LIGHT
from implicit_bias.figures.point import point_figure
from implicit_bias.figures.sketch import Line, Panel, Sketch
from implicit_bias.figures.spans import floats, positive, span


def activation_point_figure(record: Mapping[str, Any]) -> Sketch:
    """One run: its loss, and its predictions at the test rows next to the frozen law.

    Args:
        record: `curve/iteration`, `curve/excess`; `predictions`, and `mean` and `std` of the law, (N, m) each.
    """
    own, mean, std = (floats(record[name]).ravel() for name in ("predictions", "mean", "std"))
    order = np.argsort(mean, kind="stable")
    rank = np.arange(1, order.size + 1)
    low, high = mean[order] - 2 * std[order], mean[order] + 2 * std[order]
    iteration, excess = record["curve/iteration"], record["curve/excess"]
    loss = Panel(
        [Line(iteration, positive(excess), BLUE, "measured")],
        span(iteration, log=False),
        span(excess, log=True),
        "iteration k",
        "excess loss",
    )
    predictions = Panel(
        [
            Line(rank, low, LIGHT, "frozen law, ± 2 std", upper=high),
            Line(rank, mean[order], BLACK, "its mean"),
            Line(rank, own[order], BLUE, "network", "o"),
        ],
        span(rank, log=False),
        span(low, high, own, log=False, zero=False),
        "test rows, in order of the mean",
        "prediction",
    )
    return Sketch("Excess loss of one run, and its predictions beside the frozen law", [loss, predictions])


POINTS: dict[str, Callable[[Mapping[str, Any]], Sketch]] = {"activation": activation_point_figure}
"""Kind of network -> what draws a point of it; others are drawn by their loss and their distance."""


def draw_point(kind: str, record: Mapping[str, Any]) -> Sketch:
    """The figure of a point of a kind of network, from its metrics and curves."""
    return POINTS.get(kind, point_figure)(record)
