"""The figure of the three questions to the law: predictions, test risk, and the width that is needed.

A pure function from arrays to a figure, in the style of `figures`. Nothing in it is fitted, and nothing is trained.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from implicit_bias.figures.numerals import percent
from implicit_bias.figures.palette import BLUE, COLOURS, GREEN, GREY, ORANGE, VERMILLION
from implicit_bias.figures.spans import Table, floats, positive
from implicit_bias.figures.style import WIDTH, fit_axis, legend_room, panels

NEEDED = {
    "distance": (BLUE, "-", r"distance $\|UV^\top-\hat\Theta\|_F$"),
    "prediction": (ORANGE, "--", "prediction, all test rows"),
    "risk": (GREEN, "-.", "mean square difference"),
}


def questions_figure(
    bands: Sequence[Table], risk: Table, needed: Mapping[str, Table], delta: float, alpha: float = 0.5
) -> Figure:
    """Prediction band, expected excess test risk and width needed, by the law before training.

    Args:
        bands: `width`, `lower`, `upper` of the prediction at a test row, with that of the min-norm solution, `center`.
        risk: `width` and expected `excess` test risk over the min-norm solution, whose own test risk is `ridgeless`.
        needed: question -> `epsilon` and the `width` that keeps the deviation below it; none where no width does.
        delta: probability outside the band, and of exceeding epsilon.
        alpha: the initial entries are N(0, h^(-2 alpha)).
    """
    with panels(3, (10.8, 3.2)) as (figure, (left, middle, right)):
        figure.subplots_adjust(wspace=0.36)
        _draw_bands(left, bands, delta, alpha)
        _draw_risk(middle, risk)
        _draw_needed(right, needed, delta)
    return figure


def _draw_bands(ax: Axes, bands: Sequence[Table], delta: float, alpha: float) -> None:
    for band, colour in zip(bands, cycle(COLOURS), strict=False):
        width, lower, upper = (floats(band[name]) for name in ("width", "lower", "upper"))
        ax.fill_between(width, lower, upper, color=colour, alpha=0.25, lw=0)
        ax.axhline(float(floats(band["center"])), color=colour, lw=1.2)
    fit_axis(ax, "x", *(band["width"] for band in bands), log=True)
    low, high = (np.concatenate([floats(band[name]) for band in bands]) for name in ("lower", "upper"))
    fit_axis(ax, "y", low, high, [1.25 * high.max() - 0.25 * low.min()], log=False, zero=False)  # room for the legend
    handles = [
        Line2D([], [], color=GREY, lw=1.2, label="min-norm solution"),
        Patch(color=GREY, alpha=0.25, lw=0, label=rf"network, {percent(1 - delta)} band, $\alpha={alpha:g}$"),
    ]
    ax.legend(handles=handles, loc="upper right")
    ax.set(xlabel=WIDTH, ylabel=r"prediction at a test row $x^\top UV^\top$")


def _draw_risk(ax: Axes, risk: Table) -> None:
    ridgeless = float(floats(risk["ridgeless"]))
    ax.plot(floats(risk["width"]), positive(risk["excess"]), color=BLUE, label="expected excess of the network")
    if ridgeless > 0:
        ax.axhline(ridgeless, color=VERMILLION, ls="--", lw=1.2, label="min-norm solution")
    fit_axis(ax, "x", risk["width"], log=True)
    fit_axis(ax, "y", risk["excess"], [ridgeless], log=True, room=legend_room(risk["excess"], [ridgeless]))
    ax.legend(loc="upper right")
    ax.set(xlabel=WIDTH, ylabel=r"test risk, mean of $\|y-\Theta^\top x\|^2$")


def _draw_needed(ax: Axes, needed: Mapping[str, Table], delta: float) -> None:
    for name, curve in needed.items():
        colour, style, label = NEEDED[name]
        ax.plot(positive(curve["epsilon"]), floats(curve["width"]), style, color=colour, label=label)
    fit_axis(ax, "x", *(curve["epsilon"] for curve in needed.values()), [], log=True)
    widths = [floats(curve["width"]) for curve in needed.values()]
    fit_axis(ax, "y", *widths, [], log=True, room=legend_room(*widths))
    if needed:
        ax.legend(loc="upper right")
    else:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, r"$\alpha\leq 1/4$: no width will do", ha="center", transform=ax.transAxes, color=GREY)
    probability = f"{1 - delta:.4g}"
    ax.set(xlabel=r"tolerance $\epsilon$", ylabel=f"width needed, probability {probability}")


def spread_rows(predictions: Sequence[float]) -> list[int]:
    """Indices of three rows from the smallest prediction to the largest, fewer if there are not as many."""
    order = np.argsort(floats(predictions), kind="stable")
    return [int(order[i]) for i in np.unique(np.linspace(0, order.size - 1, 3).round().astype(int))]
