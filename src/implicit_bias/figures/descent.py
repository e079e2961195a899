"""The figures of gradient descent against the flow."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from implicit_bias.figures.numerals import number
from implicit_bias.figures.palette import BLACK, BLUE, GREEN, GREY, LIGHT, ORANGE
from implicit_bias.figures.spans import Table, floats, log_ticks, positive
from implicit_bias.figures.style import ITERATION, fit_axis, panels

DEEPEST = 1e-7  # smallest loss shown, relative to the largest
STEP = r"step $\eta$"
IMBALANCE = "imbalance $c$"
CLOSED_FORM = Line2D([], [], ls="", marker="+", ms=8, color=BLACK, mew=0.8, label="closed form, large width")
BRANCHES = {"U": (BLUE, "^", r"$\sigma_U\geq\sigma_V$"), "V": (ORANGE, "v", r"$\sigma_U\leq\sigma_V$")}


def gap_figure(records: Mapping[str, Mapping[str, Any]], shown: str, n: int) -> Figure:
    """One start by descent with several steps and by the flow, in both clocks, and the gap against the step.

    Args:
        records: of each start `gap_steps` (J,), `curve/gap` (J,), `t` (T,), `flow` (T,), `descents` (J, T).
        shown: the start whose losses are drawn.
        n: number of samples; iteration k of step eta is flow time 2 eta k / n.
    """
    record = records[shown]
    steps, t = floats(record["gap_steps"]), floats(record["t"])
    colours = ScalarMappable(LogNorm(steps.min() / 2, steps.max()), "viridis_r").to_rgba(steps)
    with panels(3, (9.6, 3.1)) as (figure, (left, middle, right)):
        for step, colour, loss in zip(steps, map(tuple, colours), record["descents"], strict=True):
            left.plot(t[1:] * n / (2 * step), positive(loss[1:]), color=colour, lw=1.2)
            middle.plot(t, positive(loss), color=colour, lw=1.2, label=rf"$\eta=${number(float(f'{step:.2g}'))}")
        middle.plot(t, positive(record["flow"]), ":", color=BLACK, label="flow")
        for key, each in records.items():
            emphasis = BLUE if key == shown else LIGHT
            right.plot(each["gap_steps"], positive(each["curve/gap"]), "-o", ms=3, color=emphasis, lw=1.2)
        gap = floats(record["curve/gap"])
        right.plot(steps, gap[-1] * steps / steps[-1], "--", color=BLACK, lw=1)
        every = [floats(each["gap_steps"]) for each in records.values()]
        fit_axis(left, "x", *(t[1:] * n / (2 * step) for step in steps), log=True)
        fit_axis(middle, "x", t, log=False)
        for ax in (left, middle):
            fit_axis(ax, "y", record["flow"], *record["descents"], log=True, floor=DEEPEST)
            ax.set(ylabel=r"excess loss $\tilde L-\tilde L^*$")
        fit_axis(right, "x", *every, log=True)
        fit_axis(right, "y", *(each["curve/gap"] for each in records.values()), log=True, room=3)
        right.legend(
            handles=[
                Line2D([], [], color=BLUE, marker="o", ms=3, label="the start on the left"),
                Line2D([], [], color=LIGHT, marker="o", ms=3, label="other starts"),
                Line2D([], [], color=BLACK, ls="--", lw=1, label="first order"),
            ],
            loc="upper left",
        )
        middle.legend(loc="upper right")
        left.set(xlabel=ITERATION)
        middle.set(xlabel=r"flow time $t=2\eta k/n$")
        right.set(xlabel=STEP, ylabel=r"largest $\|UV^\top_{\mathrm{descent}}-UV^\top_{\mathrm{flow}}\|_F$")
    return figure


def step_figure(points: Table) -> Figure:
    """Largest step, fastest rate and distance of descent against the imbalance, as measured and as predicted.

    Args:
        points: `point`, `sigma_u`, `sigma_v`, `imbalance_c`, `step_max`, `step_start`, `step_end`, `step_xu`,
            `rate_best`, `rate_end`, `rate_flow`, `rate_bound`, `distance`, `distance_max`, one entry per start; where
            known, `step_law`. A balanced start, whose c is 0, stands at the left edge.
    """
    with panels(2, (8.4, 6.8), rows=2) as (figure, (left, middle, right, last)):
        lines = {"step_start": ("-", 1.0), "step_end": (":", 1.6), "step_xu": ("-.", 1.0)}
        _draw_branches(left, points, "step_max", lines, room=20)
        _draw_branches(middle, points, "rate_best", {"rate_end": (":", 1.6)})
        _draw_branches(right, points, "rate_flow", {"rate_bound": ("--", 1.0)})
        _draw_branches(last, points, "distance_max", {"distance": (":", 1.6)})
        if "step_law" in points:
            law = positive(points["step_law"])
            left.plot(points["imbalance_c"], law, ls="", marker="+", ms=8, color=BLACK, mew=0.8)
        left.set(ylabel=r"step $\eta$ on the averaged loss")
        middle.set(ylabel="fastest rate of descent, per iteration")
        right.set(ylabel="rate of the flow, per unit of flow time")
        last.set(ylabel="distance to min-norm at the end")
        left.legend(
            handles=[
                _mark("^", GREY, "largest that arrives"),
                _line("-", r"$n/\lambda_{\max}$ at the start"),
                _line(":", "at the flow's end"),
                CLOSED_FORM,
                _line("-.", "certified at the start (Xu et al.)"),
            ],
            loc="upper right",
        )
        middle.legend(handles=[_mark("^", GREY, "measured"), _line(":", "kernel at the flow's end")], loc="upper left")
        last.legend(handles=[_mark("^", GREY, "descent, largest step"), _line(":", "flow")], loc="upper right")
        marks = [_mark(marker, colour, label) for colour, marker, label in BRANCHES.values()]
        right.legend(handles=[*marks, _mark("s", GREEN, "balanced, $c=0$"), _line("--", "Theorem 1")], loc="upper left")
    return figure


def _branches(points: Table) -> dict[str, NDArray[np.intp]]:
    """Entries of each branch, from equal scales on, which belong to both; a balanced start belongs to none."""
    u, v = floats(points["sigma_u"]), floats(points["sigma_v"])
    scaled = np.asarray(points["point"]) != "balanced"
    chosen = {"U": scaled & (u >= v * (1 - 1e-9)), "V": scaled & (u <= v * (1 + 1e-9))}
    return {name: np.flatnonzero(which)[np.argsort(np.abs(np.log(u / v))[which])] for name, which in chosen.items()}


def _draw_branches(
    ax: Axes, points: Table, measured: str, lines: Mapping[str, tuple[str, float]], room: float = 2.0
) -> None:
    """What is measured as marks and what is promised as lines, one colour a branch; `room` is left for a legend."""
    c, shown = floats(points["imbalance_c"]), [floats(points[measured])]
    edge = 0.4 * float(np.min(c[c > 0], initial=np.inf)) if np.any(c > 0) else 1.0
    x = np.where(c > 0, c, edge)
    for name, at in _branches(points).items():
        colour, marker, _ = BRANCHES[name]
        for line, (style, width) in lines.items():
            ax.plot(x[at], positive(floats(points[line])[at]), style, color=colour, lw=width)
            shown.append(floats(points[line])[at])
        ax.plot(x[at], positive(floats(points[measured])[at]), ls="", marker=marker, ms=5, color=colour)
    for i in np.flatnonzero(np.asarray(points["point"]) == "balanced"):
        ax.plot([x[i]], positive(floats(points[measured])[i : i + 1]), ls="", marker="s", ms=5, color=GREEN)
        for line, (style, width) in lines.items():
            value = float(floats(points[line])[i])
            if value > 0:
                ax.plot([0.75 * x[i], 1.33 * x[i]], [value, value], style, color=GREEN, lw=width)
                shown.append(np.array([value]))
    fit_axis(ax, "x", np.append(x, [x.min() / 1.4, x.max()]), log=True)
    if not np.all(c > 0):
        ticks, labels = log_ticks(1.5 * edge, 1.5 * float(np.max(x)))
        ax.xaxis.set_ticks([edge, *ticks], ["0", *labels])
    fit_axis(ax, "y", *shown, log=True, room=room)
    ax.set(xlabel=IMBALANCE)


def _mark(marker: str, colour: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker=marker, ms=5, color=colour, label=label)


def _line(style: str, label: str) -> Line2D:
    return Line2D([], [], ls=style, color=GREY, label=label)
