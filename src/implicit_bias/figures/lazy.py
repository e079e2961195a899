"""The figures of the lazy view: a network, its linearised and its infinite-width flow."""

from collections.abc import Iterator
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from implicit_bias.figures.legends import legend_beside
from implicit_bias.figures.numerals import number
from implicit_bias.figures.palette import COLOURS, GREY
from implicit_bias.figures.spans import Array, Table, floats, positive, smallest
from implicit_bias.figures.style import WIDTH, fit_axis, group, panels

AXES = {"width": WIDTH, "alpha": r"$\alpha$, scales $h^{-\alpha}$", "ratio": r"$\sigma_U/\sigma_V$"}
SERIES = {"width": "h", "alpha": "α", "ratio": "σU/σV"}
COMPANIONS = {"lin": ("-", "o", "linearised"), "inf": ("--", "s", "infinite width")}
GAPS = {"loss": "largest gap of the loss / initial", "dist": "largest gap of the distance / initial"}
MOST_SERIES = 6
"""Curves in a panel; of more values of the other parameter some are chosen evenly."""


def gaps_figure(points: Table) -> Figure:
    """Largest gap between a network and its companions along a run, against every parameter that the sweep varies.

    Args:
        points: `width`, `sigma_u`, `sigma_v`, where there is one `alpha`, and `lin_loss`, `lin_dist`, `inf_loss`,
            `inf_dist`, one entry per run; NaN where a point has no companion.
    """
    varied = _varied(points)
    with panels(len(varied), (4.2 * len(varied) + 1.2, 6.0), right=1.2, rows=2) as (figure, axes):
        for ax, (y, x) in zip(axes, ((y, x) for y in GAPS for x in varied), strict=True):
            shown = []
            for _, chosen, colour in _series(varied, x):
                for companion, (style, marker, _) in COMPANIONS.items():
                    if f"{companion}_{y}" in points:
                        at, mean, _ = group(varied[x][chosen], floats(points[f"{companion}_{y}"])[chosen])
                        shown.append(mean)
                        fill = colour if companion == "lin" else "white"
                        ax.plot(at, positive(mean), style, marker=marker, color=colour, mfc=fill, lw=1.2)
            _finish(ax, varied, x, shown, GAPS[y])
        styles = [
            Line2D([], [], ls=style, marker=marker, color=GREY, mfc=GREY if name == "lin" else "white", label=label)
            for name, (style, marker, label) in COMPANIONS.items()
        ]
        axes[0].legend(handles=styles + _colours(varied, next(iter(varied))), loc="lower left", ncols=2)
        if len(varied) > 1:
            colours = _colours(varied, list(varied)[1])
            legend_beside(axes[1], colours)
    return figure


def kernel_figure(points: Table) -> Figure:
    """Movement of the tangent kernel and final rate of convergence, simulated and in closed form at large width.

    Args:
        points: as `gaps_figure`, and `kernel_move`, `rate`, `limit_kernel`, `limit_rate`.
    """
    varied = _varied(points)
    x = next(iter(varied))
    quantities = (
        ("kernel_move", "limit_kernel", r"kernel movement $\|K(t_f)-K(0)\|_F/\|K(0)\|_F$"),
        ("rate", "limit_rate", "final rate of convergence (1 / flow time)"),
    )
    with panels(2, (10.4, 3.6), right=1.9) as (figure, axes):
        for ax, (simulated, law, label) in zip(axes, quantities, strict=True):
            shown = []
            for _, chosen, colour in _series(varied, x):
                at, mean, _ = group(varied[x][chosen], floats(points[simulated])[chosen])
                ax.plot(at, positive(mean), "o", color=colour)
                shown.append(mean)
                if law in points:
                    at, closed, _ = group(varied[x][chosen], floats(points[law])[chosen])
                    ax.plot(at, positive(closed), color=colour, lw=1.2)
                    shown.append(closed[closed > 0.5 * smallest(mean)])  # what is far below is cut off
            _finish(ax, varied, x, shown, label)
        handles = [
            Line2D([], [], ls="", marker="o", color=GREY, label="simulated"),
            Line2D([], [], color=GREY, lw=1.2, label="closed form, large width"),
        ]
        legend_beside(axes[1], handles + _colours(varied, x))
    return figure


def _varied(points: Table) -> dict[str, Array]:
    """The parameters that differ between points; the width if none does."""
    ratio = np.exp(np.log(floats(points["sigma_u"]) / floats(points["sigma_v"])).round(9))
    columns = {"width": floats(points["width"]), "ratio": ratio}
    if "alpha" in points:
        columns["alpha"] = floats(points["alpha"])
    varied = {name: columns[name] for name in AXES if name in columns and np.unique(columns[name]).size > 1}
    return varied or {"width": columns["width"]}


def _series(varied: dict[str, Array], x: str) -> Iterator[tuple[float, Array, str]]:
    """Values of the other varied parameter, the points that have them, and their colours."""
    other = next((name for name in varied if name != x), None)
    if other is None:
        yield np.nan, np.ones(varied[x].size, bool), COLOURS[0]
        return
    values = np.unique(varied[other])
    chosen = np.unique(np.linspace(0, values.size - 1, min(MOST_SERIES, values.size)).round().astype(int))
    for value, colour in zip(values[chosen], cycle(COLOURS)):
        yield float(value), varied[other] == value, colour


def _colours(varied: dict[str, Array], x: str) -> list[Line2D]:
    other = next((name for name in varied if name != x), None)
    if other is None:
        return []
    return [
        Line2D([], [], color=colour, lw=3, label=f"{SERIES[other]} = {number(float(f'{value:.3g}'))}")
        for value, _, colour in _series(varied, x)
    ]


def _finish(ax: Axes, varied: dict[str, Array], x: str, shown: list[Array], label: str) -> None:
    fit_axis(ax, "x", varied[x], log=None if x == "alpha" else True)
    fit_axis(ax, "y", *shown, [], log=True)
    ax.set(xlabel=AXES[x], ylabel=label)
