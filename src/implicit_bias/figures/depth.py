"""The figure of deep linear networks: what depth does to the distance, to its constant, and to the iterations."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from implicit_bias.figures import findings
from implicit_bias.figures.numerals import number
from implicit_bias.figures.palette import BLACK, BLUE, GREY, ORANGE
from implicit_bias.figures.spans import Array, Table, floats
from implicit_bias.figures.style import WIDTH, colours, dots, fit_axis, group, panels
from implicit_bias.figures.unconverged import mark_unconverged
from implicit_bias.figures.widths import GUARANTEES, companion_figure
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns_of

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Sweep

DEPTH = "layers $L$"


def laws_of_depths(points: Table) -> dict[str, Array]:
    """`depth`, `width`, `rms` of the law before training, one entry per depth and width of the points that have it."""
    columns: dict[str, list[Array]] = {"depth": [], "width": [], "rms": []}
    law = floats(points["law_rms"]) if "law_rms" in points else np.full(len(floats(points["width"])), np.nan)
    for depth in np.unique(floats(points["depth"])):
        chosen = floats(points["depth"]) == depth
        at, rms, _ = group(floats(points["width"])[chosen], law[chosen])
        for name, column in (("depth", np.full(at.size, depth)), ("width", at), ("rms", rms)):
            columns[name].append(column)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def depth_figure(points: Table, alpha: float = 0.5) -> Figure:
    """Distance against width and depth, and iterations against depth: dots are runs, lines the law before training.

    Args:
        points: `depth`, `width`, `distance`, `iterations`, `rate`, one entry per run; where known `law_rms` and
            `law_rms_run`.
        alpha: the entries of the first and the last layer are N(0, h^(-2 alpha)).
    """
    power = -max(0.5 - 2 * alpha, -alpha)
    width, depth = floats(points["width"]), floats(points["depth"])
    scaled = floats(points["distance"]) * width**power
    law = laws_of_depths(points)
    law["rms"] = law["rms"] * law["width"] ** power
    depths = np.unique(depth)
    with panels(3, (10.2, 3.2), width_ratios=(1.35, 1, 1)) as (figure, (left, middle, right)):
        for value, colour in zip(depths, colours(depths.size), strict=True):
            runs, line = depth == value, law["depth"] == value
            left.plot(law["width"][line], law["rms"][line], color=colour, lw=1.2)
            left.plot(width[runs], scaled[runs], **dots(f"$L={value:g}$", colour, width.size))
        mark_unconverged(left, points, width, scaled)
        widest = width == width.max()
        middle.plot(depth[widest], scaled[widest], **dots("runs", BLUE, int(widest.sum())))
        known = law["width"] == width.max()
        middle.plot(law["depth"][known], law["rms"][known], color=BLACK, lw=1, label="law before training (rms)")
        given = floats(points["law_rms_run"])[widest] * width.max() ** power if "law_rms_run" in points else []
        if np.size(given):
            middle.plot(
                depth[widest], given, ls="", marker="_", ms=11, mew=1.6, color=ORANGE, label="law given a run (rms)"
            )
        cost = _cost(right, points)
        fit_axis(left, "x", width, log=True)
        fit_axis(left, "y", scaled, law["rms"])
        fit_axis(middle, "y", scaled[widest], law["rms"][known])
        fit_axis(right, "y", cost)
        for ax in (middle, right):
            ax.set_xlim(depths[0] - 0.4, depths[-1] + 0.4)
            ax.set_xticks(depths, [f"{value:g}" for value in depths])
        left.legend(loc="best", ncols=3, title="dots: runs; lines: law (rms)", alignment="left")
        middle.legend(loc="lower right")
        right.legend(loc="best")
        left.set(xlabel=WIDTH, ylabel=rf"{_power(power)} distance to min-norm")
        middle.set(xlabel=DEPTH, ylabel=rf"{_power(power)} distance, $h=${number(float(width.max()))}")
        right.set(xlabel=DEPTH)
    return figure


def cost_column(points: Table) -> tuple[str, str]:
    """The column that says what runs cost, and its label: of runs to the end of time their final rates."""
    if np.isfinite(floats(points["iterations"])).any():
        return "iterations", "iterations to stop"
    return "rate", "final rate of the loss (1 / flow time)"


def _cost(ax: Axes, points: Table) -> Array:
    """Draw what the narrowest and the widest runs cost."""
    name, label = cost_column(points)
    shown, width, depth = (floats(points[column]) for column in (name, "width", "depth"))
    ax.set_ylabel(label)
    ends: list[Array] = []
    styles: list[tuple[float, dict[str, Any]]] = [
        (float(width.min()), {"color": ORANGE, "marker": "s"}),
        (float(width.max()), {"color": BLUE, "marker": "o"}),
    ]
    for h, style in styles[int(width.min() == width.max()) :]:
        at, mean, deviation = group(depth[width == h], shown[width == h])
        ax.errorbar(at, mean, deviation, lw=1.2, elinewidth=1, ecolor=GREY, label=f"$h=${number(h)}", **style)
        ends += [mean, mean + np.nan_to_num(deviation)]
    return np.concatenate(ends)


def _power(power: float) -> str:
    return r"$\sqrt{h}\,\times$" if power == 0.5 else rf"$h^{{{power:.3g}}}\times$"


def _deepest(results: Results) -> Any:
    """The guarantees of the deepest networks."""
    deepest = int(results.table["depth"].max())
    return companion_figure(columns_of(results.table[results.table["depth"] == deepest]), depth=deepest)


def _one_gain(sweep: "Sweep") -> str:
    several = len(sweep.inner_gain) > 1
    return f"it shows one inner_gain, got {sweep.inner_gain}: figure scales compares several" if several else ""


DEPTH_FIGURE = SweepFigure(
    Words(
        "Distance and iterations against depth",
        "Left, the distance, multiplied by the power of the width with which it falls. Dots are runs; lines are the "
        "law at each depth, predicted before training. Middle, the same against depth. Right, the iterations to stop.",
        findings.depth,
    ),
    lambda results: depth_figure(results.columns, results.sweep.alpha[0]),
    kind="deep",
    companion=_deepest,
    companion_words=GUARANTEES,
    requires=_one_gain,
)
