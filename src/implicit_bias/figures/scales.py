"""The figure of initial scales at several depths: from lazy to rich."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from implicit_bias.figures.spans import Array, Table, floats
from implicit_bias.figures.style import colours, dots, fit_axis, group, panels

ALPHA = r"$\alpha$: scales $h^{-\alpha}$ of the first and last layer"
PANELS = (
    ("kernel_move", r"kernel movement $\|K(t_f)-K(0)\|_F/\|K(0)\|_F$"),
    ("distance", "distance to min-norm"),
    ("tail_rank", r"effective rank of $M^\top M$ at the end"),
)


def scales_figure(points: Table) -> Figure:
    """Kernel movement, distance and effective rank of M^T M against alpha, a colour for each depth.

    Args:
        points: `depth`, `alpha`, `kernel_move`, `distance`, `tail_rank`, one entry a run; where known `law_rms`.
    """
    with panels(3, (10.2, 3.2)) as (figure, axes):
        for ax, (name, label) in zip(axes, PANELS, strict=True):
            shown = [_draw(ax, points, name, joined=name != "distance")]
            if name == "distance" and "law_rms" in points:
                shown.append(_draw_law(ax, points))
            fit_axis(ax, "x", points["alpha"], log=False, zero=False)
            fit_axis(ax, "y", *shown)
            ax.set(xlabel=ALPHA, ylabel=label)
        axes[0].legend(loc="best", title="dots: runs; lines: their means", title_fontsize=8, alignment="left")
        axes[1].legend(loc="best", title="lines: law before training (rms)", title_fontsize=8, alignment="left")
    return figure


def scales_cost_figure(points: Table) -> Figure:
    """Iterations to stop against alpha, a colour for each depth; of runs to the end of time, their final rates.

    Args:
        points: `depth`, `alpha`, `iterations`, `rate`, one entry a run.
    """
    finite = bool(np.isfinite(floats(points["iterations"])).any())
    name, label = ("iterations", "iterations to stop") if finite else ("rate", "final rate of the loss (1 / flow time)")
    with panels(1, (5.4, 3.6)) as (figure, (ax,)):
        shown = _draw(ax, points, name)
        fit_axis(ax, "x", points["alpha"], log=False, zero=False)
        fit_axis(ax, "y", shown)
        ax.legend(loc="best")
        ax.set(xlabel=ALPHA, ylabel=label)
    return figure


def _draw(ax: Axes, points: Table, name: str, joined: bool = True) -> Array:
    """Draw every run, and a line through the means of each depth; return what is shown."""
    depth, alpha, values = (floats(points[each]) for each in ("depth", "alpha", name))
    depths = np.unique(depth)
    for value, colour in zip(depths, colours(depths.size), strict=True):
        chosen = depth == value
        ax.plot(alpha[chosen], values[chosen], **dots(f"$L={value:g}$", colour, values.size))
        if joined:
            at, mean, _ = group(alpha[chosen], values[chosen])
            ax.plot(at, mean, color=colour, lw=1.2)
    return values


def _draw_law(ax: Axes, points: Table) -> Array:
    """Draw the law before training of each depth that has one; return what is shown."""
    depth, alpha, law = (floats(points[each]) for each in ("depth", "alpha", "law_rms"))
    depths = np.unique(depth)
    for value, colour in zip(depths, colours(depths.size), strict=True):
        at, mean, _ = group(alpha[depth == value], law[depth == value])
        ax.plot(at, mean, color=colour, lw=1.2)
    return law
