"""The figure of one point, by the kind of its network."""

from collections.abc import Mapping
from typing import Any

from implicit_bias.figures.activations import activation_point_figure
from implicit_bias.figures.point import point_figure
from implicit_bias.figures.sketch import Sketch

POINTS = {"activation": activation_point_figure}
"""Kind of network -> what draws a point of it; others are drawn by their loss and their distance."""


def draw_point(kind: str, record: Mapping[str, Any]) -> Sketch:
    """The figure of a point of a kind of network, from its metrics and curves."""
    return POINTS.get(kind, point_figure)(record)
