"""The figure of a sweep over initial scales at several depths."""

from typing import TYPE_CHECKING, Any

from implicit_bias.figures.findings import scales
from implicit_bias.figures.scales import scales_cost_figure, scales_figure
from implicit_bias.sweeps.figure import Results, SweepFigure, Words

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Sweep


def _scales(results: Results) -> Any:
    return scales_figure(results.columns)


def _cost(results: Results) -> Any:
    return scales_cost_figure(results.columns)


def _one_width(sweep: "Sweep") -> str:
    return f"it shows several scales at one width, got widths {sweep.widths}" if len(sweep.widths) > 1 else ""


SCALES_FIGURE = SweepFigure(
    Words(
        "From lazy to rich at several depths",
        "At one width, against the exponent α of the initial scales h^(−α) of the first and last layer, or against the "
        "gain of the inner layers. Left, how far training moves the tangent kernel. Middle, the distance to the "
        "min-norm solution, and the law before training. Right, over how many outputs the part outside the data is "
        "spread. Dots are runs.",
        scales,
    ),
    _scales,
    kind="deep",
    against="alphas",
    companion=_cost,
    companion_words=Words("What the scales cost", "Iterations to stop against the initial scales, at each depth."),
    requires=_one_width,
)
