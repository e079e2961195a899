"""The figure of one point, by the kind of its network."""

from collections.abc import Callable, Mapping
from typing import Any

from implicit_bias.figures.activation_point import activation_point_figure
from implicit_bias.figures.point import point_figure
from implicit_bias.figures.sketch import Sketch

DrawPoint = Callable[[Mapping[str, Any]], Sketch]
"""Metrics and curves of a point -> its figure."""


POINTS: dict[str, DrawPoint] = {"activation": activation_point_figure}
"""Kind of network -> what draws a point of it; others are drawn by their loss and their distance."""


def draw_point(kind: str, record: Mapping[str, Any]) -> Sketch:
    """The figure of a point of a kind of network, from its metrics and curves."""
    return POINTS.get(kind, point_figure)(record)
