"""Losses under different initialisations, and the rate-bias plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from implicit_bias.figures.findings import final_losses, plane
from implicit_bias.figures.interactive import interactive_cases
from implicit_bias.figures.legends import LOSS_BOUNDS, headroom, legend_beside
from implicit_bias.figures.numerals import number
from implicit_bias.figures.page import current_page
from implicit_bias.figures.palette import BLACK, BLUE, GREY, LIGHT, VERMILLION
from implicit_bias.figures.spans import DEEPEST, Table, floats, largest, linear_ticks, log_ticks, positive
from implicit_bias.figures.style import DISTANCE, ITERATION, colours, fit_axis, group, legend_room, panels, tick_style
from implicit_bias.figures.unconverged import draw_rings, unconverged
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns_of
from implicit_bias.sweeps.parameters import BALANCED
from implicit_bias.theory.solvers.registry import solver

RATIOS = LinearSegmentedColormap.from_list("ratios", [VERMILLION, "#8C8C8C", BLUE])
EXCESS = r"excess loss $\tilde L-\tilde L^*$"
PLANE = ("sigma_u", "sigma_v", "distance", "rate", "rate_bound", "law_rms", "limit_rate")
MOST_LABELS = 12  # numbers written beside points
LATE = 20.0  # runs that end so many times later than others need a logarithmic axis for all to be seen
JOINED = 5  # the law of so many initial scales is a curve; that of fewer is tied to what was measured


def imbalance_figure(cases: Sequence[Mapping[str, Any]], step_size: float, n: int) -> Figure:
    """The paper's Figure 2: loss against iterations for several initialisations, linear and logarithmic.

    Args:
        cases: `label`, `iteration`, `loss` of each; where there is one, `bound` (Theorem 1), `certified` (after
            training), and `descent` with `iteration`, `loss` of descent and, where known, its own `certified`.
        step_size: step eta on the averaged loss; the upper axis is flow time 2 eta k / n.
        n: number of samples.
    """
    losses = [case["loss"] for case in cases]
    ends = _ends(cases)
    late = max(ends) > LATE * min(ends)
    beside = 3.0 if late else 0.15
    with panels(2, (8.45 + beside, 3.6), top=0.55, right=beside, gap=1.05) as (figure, (left, right)):
        for ax, log in ((left, False), (right, True)):
            for case, colour in zip(cases, colours(len(cases)), strict=True):
                _draw_case(ax, case, colour, certified=log)
            curves = [(case["iteration"], case[name]) for case in cases for name in ("loss", "bound") if name in case]
            starts = [floats(case["iteration"])[late : late + 1] for case in cases]
            fit_axis(ax, "x", *starts, ends, log=late)
            fit_axis(ax, "y", *losses, [] if log else headroom(ax, *curves), log=log, floor=DEEPEST)
            ax.set(xlabel=ITERATION, ylabel=EXCESS)
            _add_time_axis(ax, 2 * step_size / n)
        named = left.get_legend_handles_labels()[0]
        if late:  # losses fall across the whole panel
            legend_beside(right, [*named, *_case_styles(cases)])
        else:
            left.legend(loc="upper right")
            if current_page().column is None:
                right.legend(handles=_case_styles(cases), loc="lower left")
            else:  # a column has no corner that is free
                legend_beside(right, _case_styles(cases))
    return figure


def rate_bias_figure(points: Table) -> Figure:
    """The rate-bias plane: how fast a run converges against how near to the min-norm solution it ends.

    Args:
        points: `sigma_u`, `sigma_v`, `distance`, `rate` (measured), one entry a run; where known, `rate_bound`, and
            `law_rms`, the law before training, and `limit_rate`, the rate at large width.
            Drawn are the means of the runs of a ratio sigma_U / sigma_V, with the standard deviation of the distance.
    """
    columns = {name: floats(column) for name, column in points.items() if name in PLANE}
    finite = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    columns = {name: column[finite] for name, column in columns.items()}
    ratios = np.exp(np.log(columns["sigma_u"] / columns["sigma_v"]).round(9))
    ratio, distance, deviation = group(ratios, columns["distance"])
    rate, bar = group(ratios, columns["rate"])[1], np.nan_to_num(deviation)
    spread = max(largest(ratio), largest(1 / ratio), 1.01)
    colours = ScalarMappable(LogNorm(1 / spread, spread), RATIOS).to_rgba(ratio)
    of_seeds = ", ± standard deviation" if np.any(bar > 0) else ""
    handles = [Line2D([], [], ls="-" if of_seeds else "", lw=1, marker="o", color=GREY, label=f"measured{of_seeds}")]
    shown, reach = [rate], [distance + bar]
    with panels(1, (5.4, 3.8)) as (figure, (ax,)):
        if "rate_bound" in columns:
            bound = group(ratios, columns["rate_bound"])[1]
            ax.vlines(distance, positive(bound), positive(rate), color=LIGHT, lw=1.5, zorder=1)
            ax.scatter(distance, positive(bound), 60, colours, marker="_", linewidths=2)
            handles.append(Line2D([], [], ls="", marker="_", ms=8, mew=2, color=GREY, label="guaranteed (Theorem 1)"))
            shown.append(bound)
        if {"law_rms", "limit_rate"} <= columns.keys():
            law, limit_rate = (group(ratios, columns[name])[1] for name in ("law_rms", "limit_rate"))
            joined = "-" if ratio.size >= JOINED else ""
            if not joined:
                ax.plot([distance, law], [positive(rate), positive(limit_rate)], color=GREY, lw=0.8, ls=":", zorder=1)
            ax.plot(law, positive(limit_rate), f".{joined}", color=BLACK, lw=0.8, ms=4, zorder=1)
            handles.append(
                Line2D([], [], color=BLACK, marker=".", ms=4, ls=joined, lw=0.8, label="law; rate at large width")
            )
            shown.append(limit_rate)
            reach.append(law)
        ax.hlines(positive(rate), distance - bar, distance + bar, colors=list(map(tuple, colours)), lw=1)
        ax.scatter(distance, positive(rate), 30, colours)
        for i in range(0, ratio.size, -(-ratio.size // MOST_LABELS) or 1):
            text = number(float(f"{ratio[i]:.2g}"))
            at = (distance[i], rate[i])
            label = ax.annotate(text, at, (0, 6), textcoords="offset points", ha="center", fontsize=8)
            label.set_path_effects([withStroke(linewidth=2, foreground="white")])
        handles += draw_rings(ax, np.isin(ratio, ratios[unconverged(points)[finite]]), distance, rate)
        on_a_column = current_page().column is not None
        fit_axis(ax, "x", distance - bar, *reach, zero=False)
        fit_axis(ax, "y", *shown, log=True, room=2.0 if on_a_column else legend_room(*shown))
        title = r"number: $\sigma_U/\sigma_V$"
        if on_a_column:
            legend_beside(ax, handles, title)
        else:
            ax.legend(handles=handles, title=title, alignment="left", loc="upper center")
        ax.set(xlabel=DISTANCE, ylabel="rate of convergence of the loss (1 / flow time)")
    return figure


def _ends(cases: Sequence[Mapping[str, Any]]) -> list[float]:
    """The last iteration of each case at which its loss is large enough to be seen beside those of the others."""
    least = DEEPEST * max(largest(case["loss"]) for case in cases)
    return [largest(floats(case["iteration"])[floats(case["loss"]) > least]) for case in cases]


def _draw_case(ax: Axes, case: Mapping[str, Any], colour: str, certified: bool) -> None:
    iteration = case["iteration"]
    ax.plot(iteration, positive(case["loss"]), color=colour, label=case["label"])
    if "descent" in case:
        k, loss = case["descent"]["iteration"], case["descent"]["loss"]
        every = max(len(k) // 20, 1)
        ax.plot(k, positive(loss), "o", color=colour, mfc="white", ms=3.5, markevery=every)
        if certified and "certified" in case["descent"]:
            ax.plot(k, positive(case["descent"]["certified"]), ls="", marker="x", ms=3, color=colour, markevery=every)
    for name, (style, _) in LOSS_BOUNDS.items():
        if name in case and (certified or name == "bound"):
            ax.plot(iteration, positive(case[name]), style, color=colour, lw=1.2)


def _case_styles(cases: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    """Legend entries of the line styles that are in use."""
    descent = any("descent" in case for case in cases)
    styles: list[tuple[str, dict[str, Any]]] = [("gradient flow" if descent else "measured", {})]
    if descent:
        styles.append(("gradient descent", {"ls": "", "marker": "o", "mfc": "white", "ms": 3.5}))
    drawn = {name for case in cases for name in case}
    styles += [(label, {"ls": style, "lw": 1.2}) for name, (style, label) in LOSS_BOUNDS.items() if name in drawn]
    if any("certified" in case.get("descent", {}) for case in cases):
        styles.append(("certified, descent", {"ls": "", "marker": "x", "ms": 3}))
    return [Line2D([], [], color=GREY, label=label, **style) for label, style in styles]


def _add_time_axis(ax: Axes, unit: float) -> None:
    """An upper axis in flow time, `unit` for each iteration."""
    upper = ax.secondary_xaxis("top", functions=(lambda k: np.multiply(k, unit), lambda t: np.divide(t, unit)))
    low, high = ax.get_xlim()
    ticks, labels = (log_ticks if ax.get_xscale() == "log" else linear_ticks)(low * unit, high * unit)
    upper.tick_params(**tick_style())
    upper.set_ticks(ticks, labels)
    upper.set_ticks([], minor=True)
    upper.set_xlabel(r"flow time $t=2\eta k/n$")


def _plane(results: Results) -> Any:
    """The rate-bias plane of the first width and solver; the balanced start has no ratio of scales."""
    table = results.table
    compared = table[(table["width"] == table["width"].iloc[0]) & (table["solver"] == table["solver"].iloc[0])]
    return rate_bias_figure(columns_of(compared[compared["case"] != BALANCED]))


def curves_of_cases(results: Results) -> list[dict[str, Any]]:
    """Curves of each case's first finished width and seed; descent next to the flow where both were run."""
    cases = []
    for case, points in results.table.groupby("case", sort=False):
        first = points.iloc[0]
        rows = points[(points["width"] == first["width"]) & (points["seed"] == first["seed"])]
        solved = {row.solver: results.evaluation(str(row.point)) for row in rows.itertuples()}
        of_kind = {solver(name).kind: record for name, record in reversed(solved.items())}
        descent = of_kind.get("descent")
        curves = of_kind.get("flow") or descent or of_kind["other"]
        row = rows.iloc[0]
        drawn: dict[str, Any] = {
            "label": "balanced, $c=0$",
            "iteration": curves["curve/iteration"],
            "loss": curves["curve/excess"],
        }
        if (certified := "curve/stepwise" if curves is descent else "curve/certified") in curves:
            drawn["certified"] = curves[certified]
        if case != BALANCED:
            drawn["bound"] = curves["curve/bound"]
            drawn["label"] = (
                rf"case {case}: $\sigma_U={row.sigma_u:.3g}$, $\sigma_V={row.sigma_v:.3g}$, $c={row.imbalance_c:.3g}$"
            )
        if descent is not None and curves is not descent:
            drawn["descent"] = {
                "iteration": descent["curve/iteration"],
                "loss": descent["curve/excess"],
                "certified": descent["curve/stepwise"],
            }
        cases.append(drawn)
    return cases


IMBALANCE_FIGURE = SweepFigure(
    Words(
        "Loss under different initialisations",
        "Solid lines are measured, dashed ones guaranteed before training (Theorem 1), dotted ones certified after it.",
        alt=final_losses,
    ),
    lambda results: imbalance_figure(curves_of_cases(results), results.sweep.step_size, results.problems[0].n),
    against="cases",
    companion=_plane,
    companion_words=Words(
        "Rate of convergence against distance",
        "Each dot is one ratio σ_U / σ_V: how fast the loss falls, and how near to the min-norm solution the run ends. "
        "Bars are the rates that Theorem 1 guarantees. Small black dots are the law of the distance and the rate at "
        "large width.",
        plane,
    ),
    interactive=lambda results: interactive_cases(curves_of_cases(results), results.columns),
    paper="Figure 2",
)
