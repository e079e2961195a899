"""The figures of networks with activations: how predictions scatter over seeds, and what the frozen law explains of it.

Pure functions from arrays to figures. Dots and coloured lines are measured, black lines are the law given the run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from implicit_bias.figures.findings import frozen, kernel_distance
from implicit_bias.figures.legends import columns_of_legend
from implicit_bias.figures.numerals import percent
from implicit_bias.figures.page import current_page
from implicit_bias.figures.palette import BLACK, BLUE, GREEN, GREY, LIGHT, ORANGE
from implicit_bias.figures.spans import Array, Table, floats, positive
from implicit_bias.figures.style import WIDTH, colours, dots, fit_axis, group, panels
from implicit_bias.figures.unconverged import mark_unconverged
from implicit_bias.sweeps.figure import SweepFigure, Words

if TYPE_CHECKING:
    import pandas as pd

ACROSS = 3
"""Panels in a row."""
SCATTER = "rms over test rows"
CURVES = (
    ("spread", BLUE, "o-", "spread over seeds"),
    ("frozen", BLACK, "-", "its part by the frozen law"),
    ("rest", ORANGE, "s-", "the rest, of what was trained"),
)


def activations_figure(spreads: Sequence[Mapping[str, Any]], points: Table) -> Figure:
    """Spread of the predictions over seeds in its two parts, and the distance to the kernel predictor, against width.

    Args:
        spreads: of each activation `activation`, `width` (W,), and root mean squares over the test rows: `spread` over
            seeds, `frozen`, its part by the law given the runs, and `rest`, the spread of the law's means. NaN where a
            width has one seed.
        points: `activation`, `width`, `kernel_distance`, one entry per run.
    """
    names = np.asarray(points["activation"])
    across = min(ACROSS, len(spreads))
    handles, page = _styles(), current_page()
    rows, columns = -(-len(spreads) // across), {1: 1, 2: 3}.get(across, 5)
    if page.column is not None:
        columns = columns_of_legend(handles, page.column)
    top = 0.4 + (page.legend_line + 0.005) * -(-len(handles) // columns)
    with panels(across, (0.8 + 2.9 * across, 2.7 * rows + top), top=top, rows=rows) as (figure, axes):
        shown: list[Array] = []
        for ax, each in zip(axes, spreads, strict=False):
            mine = names == each["activation"]
            shown += _draw_spread(ax, each, floats(points["width"])[mine], floats(points["kernel_distance"])[mine])
            ax.set_title(_told(each["activation"]), fontsize=9, loc="left")
        for i, ax in enumerate(axes):
            ax.set_visible(i < len(spreads))
            fit_axis(ax, "x", points["width"], log=True)
            fit_axis(ax, "y", *shown, log=True)
            ax.set(xlabel=WIDTH, ylabel=SCATTER if ax.get_position().x0 == axes[0].get_position().x0 else "")
        figure.legend(handles=handles, loc="upper center", ncols=columns, frameon=False, columnspacing=1.4)
    return figure


def _told(activation: object) -> str:
    """An activation as a figure names it: an import path by its object."""
    return str(activation).rpartition(":")[2].replace("_", " ")


def _draw_spread(ax: Axes, each: Mapping[str, Any], width: Array, distance: Array) -> list[Array]:
    """One activation; returns all that is shown."""
    at = floats(each["width"])
    shown = [positive(each[name]) for name, *_ in CURVES]
    for (_, colour, style, _), curve in zip(CURVES, shown, strict=True):
        ax.plot(at, curve, style, color=colour, lw=1.2, ms=4, zorder=3 if style == "-" else 2)
    where, mean, deviation = group(width, distance)
    bar = np.nan_to_num(deviation)
    ax.errorbar(where, positive(mean), bar, fmt="^--", color=GREEN, lw=1.2, elinewidth=1, ms=4)
    frozen = shown[1]
    if np.isfinite(frozen[0]) and at.size > 1:
        ax.plot(at, 1.6 * frozen[0] * np.sqrt(at[0] / at), ":", color=GREY, lw=1)
    return [*shown, positive(mean + bar), positive(mean - bar)]


def _styles() -> list[Line2D]:
    lines = [
        Line2D([], [], color=colour, marker=style.rstrip("-"), ms=4, lw=1.2, label=label)
        for _, colour, style, label in CURVES
    ]
    kernel = Line2D([], [], color=GREEN, ls="--", marker="^", ms=4, lw=1.2, label="distance to the kernel predictor")
    return [*lines, kernel, Line2D([], [], color=GREY, ls=":", lw=1, label=r"slope $-1/2$")]


def frozen_figure(points: Table, delta: float) -> Figure:
    """Each run's own deviation from the frozen law's mean over what the law says, and how far kernels move.

    Args:
        points: `activation`, `width`, `frozen_rms`, `frozen_deviation`, `frozen_bound`, `kernel_move`, one entry per
            run.
        delta: `frozen_bound` is exceeded with this probability, by the law.
    """
    names, width = np.asarray(points["activation"]), floats(points["width"])
    rms, move = floats(points["frozen_rms"]), floats(points["kernel_move"])
    known = np.where(rms > 0, rms, np.nan)
    ratio, bound = floats(points["frozen_deviation"]) / known, floats(points["frozen_bound"]) / known
    order = list(dict.fromkeys(names.tolist()))
    with panels(2, (7.6, 3.2)) as (figure, (left, right)):
        left.axhline(1, color=BLACK, lw=1, zorder=3)
        if np.isfinite(bound).any():
            at, mean, _ = group(width, bound)
            left.fill_between(
                at, np.zeros(at.size), mean, color=LIGHT, lw=0, label=f"{percent(1 - delta)} of runs, by the law"
            )
        for i, (name, colour) in enumerate(zip(order, colours(len(order)), strict=True)):
            mine = names == name
            label, shift = _told(name), 1.04 ** (i - (len(order) - 1) / 2)
            left.plot(width[mine] * shift, ratio[mine], **dots(label, colour, int(np.sum(mine))))
            at, mean, _ = group(width[mine], move[mine])
            right.plot(at, positive(mean), "o-", color=colour, lw=1.2, ms=4, label=label)
        mark_unconverged(left, points, width, ratio)
        for ax in (left, right):
            fit_axis(ax, "x", width, log=True)
            ax.set(xlabel=WIDTH)
        fit_axis(left, "y", ratio, bound, [0.0, 1.0, 1.5], log=False)
        fit_axis(right, "y", move, log=True)
        left.legend(loc="lower left")
        right.legend(loc="best")
        left.set(ylabel="deviation from the law's mean / law (rms)")
        right.set(ylabel="relative movement of the kernel")
    return figure


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
    lambda results: activations_figure(spreads(results.table, results.evaluation), results.columns),
    kind="activation",
    companion=lambda results: frozen_figure(results.columns, results.sweep.delta),
    companion_words=Words(
        "Each run and the frozen law, and the movement of its kernel",
        "Left, each dot is a run: the deviation of its predictions from the mean of the law, relative to the root mean "
        "square by the law. Right, how far training moves the tangent kernel of the samples.",
        frozen,
    ),
)
