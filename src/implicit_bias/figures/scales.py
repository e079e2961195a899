"""The figure of initial scales at several depths: from lazy to rich, by the outer layers' scales or the inner gain."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from implicit_bias.figures.depth import cost_column
from implicit_bias.figures.findings import drawn_against, scales
from implicit_bias.figures.spans import Array, Table, floats
from implicit_bias.figures.style import colours, dots, fit_axis, group, panels
from implicit_bias.figures.unconverged import mark_unconverged
from implicit_bias.sweeps.figure import SweepFigure, Words

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Sweep

AXES = {
    "alpha": r"$\alpha$: scales $h^{-\alpha}$ of the first and last layer",
    "inner_gain": r"gain $g$ of the inner layers",
}
PANELS = (
    ("kernel_move", r"kernel movement $\|K(t_f)-K(0)\|_F/\|K(0)\|_F$"),
    ("distance", "distance to min-norm"),
    ("tail_rank", r"effective rank of $M^\top M$ at the end"),
)


def scales_figure(points: Table) -> Figure:
    """Kernel movement, distance and effective rank of M^T M against alpha, a colour for each depth and inner gain.

    Where there is one alpha and several gains, they are drawn against the gain, and networks without inner layers as
    horizontal lines.

    Args:
        points: `depth`, `alpha`, `inner_gain`, `kernel_move`, `distance`, `tail_rank`, one entry per run; where known
            `law_rms`.
    """
    x = drawn_against(points)
    with panels(3, (10.2, 3.2)) as (figure, axes):
        for ax, (name, label) in zip(axes, PANELS, strict=True):
            shown = [_draw(ax, points, x, name, joined=name != "distance")]
            if name == "distance" and "law_rms" in points:
                shown.append(_draw_law(ax, points, x))
            _finish(ax, points, x, *shown)
            ax.set_ylabel(label)
        axes[0].legend(loc="best", title="dots: runs; lines: their means", alignment="left")
        axes[1].legend(loc="best", title="lines: law before training (rms)", alignment="left")
    return figure


def scales_cost_figure(points: Table) -> Figure:
    """Iterations to stop, drawn as in `scales_figure`; of runs to the end of time, their final rates.

    Args:
        points: `depth`, `alpha`, `inner_gain`, `iterations`, `rate`, one entry per run.
    """
    name, label = cost_column(points)
    x = drawn_against(points)
    with panels(1, (5.4, 3.6)) as (figure, (ax,)):
        _finish(ax, points, x, _draw(ax, points, x, name))
        ax.legend(loc="best")
        ax.set_ylabel(label)
    return figure


def _finish(ax: Axes, points: Table, x: str, *shown: Array) -> None:
    at = floats(points[x])
    fit_axis(ax, "x", at, log=x == "inner_gain" and bool((at > 0).all()), zero=False)
    fit_axis(ax, "y", *shown)
    ax.set_xlabel(AXES[x])


def _series(points: Table, x: str) -> Iterator[tuple[Array, str, str]]:
    """Which points belong together, what they are called, and their colour."""
    depth, gain = floats(points["depth"]), floats(points["inner_gain"])
    told = gain if x == "alpha" else np.ones_like(gain)
    several = np.unique(told).size > 1
    found = np.unique(np.stack([depth, told], axis=1), axis=0)
    for (layers, value), colour in zip(found, colours(len(found)), strict=True):
        name = f"$L={layers:g}$" + (f", $g={value:g}$" if several and layers > 2 else "")
        yield (depth == layers) & (told == value), name, colour


def _draw(ax: Axes, points: Table, x: str, name: str, joined: bool = True) -> Array:
    """Draw every run, and a line through the means of each series; return what is shown."""
    at, values = floats(points[x]), floats(points[name])
    for chosen, label, colour in _series(points, x):
        ax.plot(at[chosen], values[chosen], **dots(label, colour, values.size))
        if joined:
            _line(ax, points, x, chosen, values, colour)
    mark_unconverged(ax, points, at, values)
    return values


def _draw_law(ax: Axes, points: Table, x: str) -> Array:
    """Draw the law before training of each series that has one; return what is shown."""
    law = floats(points["law_rms"])
    for chosen, _, colour in _series(points, x):
        _line(ax, points, x, chosen, law, colour)
    return law


def _line(ax: Axes, points: Table, x: str, chosen: Array, values: Array, colour: str) -> None:
    """A line through the means of a series; a horizontal one where its points do not have what is drawn against."""
    at, mean, _ = group(floats(points[x])[chosen], values[chosen])
    if x == "inner_gain" and floats(points["depth"])[chosen].max() <= 2:
        ax.axhline(float(mean[0]), color=colour, lw=1.2)
    else:
        ax.plot(at, mean, color=colour, lw=1.2)


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
    lambda results: scales_figure(results.columns),
    kind="deep",
    against="alphas",
    companion=lambda results: scales_cost_figure(results.columns),
    companion_words=Words("What the scales cost", "Iterations to stop against the initial scales, at each depth."),
    requires=_one_width,
)
