"""The figures: pure functions from arrays to matplotlib figures. Units and symbols are the paper's.

Solid lines and points are measured, dashed lines are guaranteed before training, dotted lines are certified after it,
black lines with a grey band are the law of the min-norm distance with its 90 % band: predicted, not fitted.
Layouts and ticks are fixed in advance, which keeps drawing fast and equal inputs equal to the byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from implicit_bias.figures.style import (
    BLACK,
    BLUE,
    DISTANCE,
    GREEN,
    GREY,
    ITERATION,
    LIGHT,
    ORANGE,
    PURPLE,
    TICKS,
    VERMILLION,
    WIDTH,
    Array,
    Table,
    colours,
    dots,
    draw_means,
    fit_axis,
    floats,
    group,
    largest,
    legend_room,
    linear_ticks,
    number,
    panels,
    positive,
)
from implicit_bias.theory.bounds.registry import BEFORE, RUN_BOUNDS

RATIOS = LinearSegmentedColormap.from_list("ratios", [VERMILLION, "#8C8C8C", BLUE])


FINAL = r"$\|U(t_f)V(t_f)^\top-\hat\Theta\|_F$"
INITIAL = r"$\|U_2(0)V(0)^\top\|_F$"
DEEP_DISTANCE = r"distance to min-norm $\|W_1\cdots W_L-\hat\Theta\|_F$"
EXCESS = r"excess loss $\tilde L-\tilde L^*$"
LAW = "law, 90 % band"

PLANE = ("sigma_u", "sigma_v", "distance", "rate", "rate_bound", "law_rms", "limit_rate")
DEEPEST = 1e-16  # smallest loss shown, relative to the largest
LEGEND_FROM = 0.3  # where a legend in the upper right begins, as a part of the width of its panel
MOST_LABELS = 12  # numbers written beside points
JOINED = 5  # the law of so many initial scales is a curve; that of fewer is tied to what was measured
LIMITS = {"lazy": ("--", 0.0, 0.5), "rich": (":", 0.5, np.inf)}  # line style, and the alpha for which it is the limit
NEAR = 3.0  # a bound of the distance is drawn up to this factor above it, and named beyond
COLOURS = {"before": (VERMILLION, ORANGE), "flow": (GREEN, PURPLE), "descent": (GREEN, PURPLE)}
OFF_SCALE = 1e3  # bounds further than this factor above everything else are named at the edge, not drawn to scale


def width_figure(points: Table, law: Table | None = None, alpha: float = 0.5) -> Figure:
    """The paper's Figure 1: distances and iterations against width, mean and standard deviation over runs.

    Args:
        points: `width`, `distance`, `distance_init`, `iterations`, one entry per run.
        law: `width`, `rms`, `lower`, `upper` of the predicted distance.
        alpha: the initial entries are N(0, h^(-2 alpha)); the middle panel is against h^(1/2 - 2 alpha).
    """
    exponent = 0.5 - 2 * alpha or -0.5
    with panels(3, (9.6, 2.9)) as (figure, (left, middle, right)):
        for ax, power in ((left, 1.0), (middle, exponent)):
            if law is not None:
                _draw_law(ax, law, power)
            final = draw_means(ax, points, "distance", BLUE, FINAL, power)
            initial = draw_means(ax, points, "distance_init", ORANGE, INITIAL, power)
            fit_axis(ax, "y", *final, *initial, [] if law is None else law["rms"])
        fit_axis(right, "y", *draw_means(right, points, "iterations", BLUE, None))
        for ax, power in ((left, 1.0), (middle, exponent), (right, 1.0)):
            fit_axis(ax, "x", floats(points["width"]) ** power)
        left.legend(loc="best", title="runs: mean ± standard deviation", title_fontsize=8, alignment="left")
        left.set(xlabel=WIDTH, ylabel="Frobenius norm")
        middle.set(xlabel=_power_label(exponent), ylabel="Frobenius norm")
        right.set(xlabel=WIDTH, ylabel="iterations to stop")
    return figure


def wide_figure(points: Table, law: Table, alpha: float = 0.5) -> Figure:
    """Distance against width over many decades, and its ratio to the law.

    Args:
        points: `width`, `distance`, one entry per run.
        law: `width`, `rms`, `lower`, `upper` of the predicted distance.
        alpha: the initial entries are N(0, h^(-2 alpha)); it sets the slope of the infinite-width line.
    """
    width, distance = floats(points["width"]), floats(points["distance"])
    at, rms, lower, upper = (floats(law[name]) for name in ("width", "rms", "lower", "upper"))
    slope = max(0.5 - 2 * alpha, -alpha)
    with panels(2, (7.6, 3.2), width_ratios=(3, 2)) as (figure, (left, right)):
        _draw_law(left, law)
        last = np.argmax(at)
        left.plot(at, rms[last] * (at / at[last]) ** slope, "--", color=VERMILLION, lw=1, label=_slope_label(slope))
        left.plot(width, distance, **dots("runs", count=width.size))
        right.fill_between(at, lower / rms, upper / rms, color=LIGHT, lw=0)
        right.axhline(1, color=BLACK, lw=1, zorder=3)
        right.plot(width, distance / _interpolate(width, at, rms), **dots(None, count=width.size))
        fit_axis(left, "y", distance, rms, log=True)
        fit_axis(right, "y", distance / _interpolate(width, at, rms), lower / rms, upper / rms, log=False, zero=False)
        for ax in (left, right):
            fit_axis(ax, "x", width, at, log=True)
        left.legend(loc="lower left" if slope < 0 else "upper left")
        left.set(xlabel=WIDTH, ylabel=DISTANCE)
        right.set(xlabel=WIDTH, ylabel="distance / law (rms)")
    return figure


def imbalance_figure(cases: Sequence[Mapping[str, Any]], step_size: float, n: int) -> Figure:
    """The paper's Figure 2: loss against iterations for several initialisations, linear and logarithmic.

    Args:
        cases: `label`, `iteration`, `loss` of each; where there is one, `bound` (Theorem 1), `certified` (after
            training), and `descent` with `iteration`, `loss` of descent and, where known, its own `certified`.
        step_size: step eta on the averaged loss; the upper axis is flow time 2 eta k / n.
        n: number of samples.
    """
    losses = [case["loss"] for case in cases]
    iterations = [case["iteration"] for case in cases]
    with panels(2, (8.6, 3.6), top=0.55) as (figure, (left, right)):
        for ax, log in ((left, False), (right, True)):
            for case, colour in zip(cases, colours(len(cases)), strict=True):
                _draw_case(ax, case, colour, certified=log)
            curves = [(case["iteration"], case[name]) for case in cases for name in ("loss", "bound") if name in case]
            fit_axis(ax, "x", *iterations, log=False)
            fit_axis(ax, "y", *losses, [] if log else _headroom(ax, *curves), log=log, floor=DEEPEST)
            ax.set(xlabel=ITERATION, ylabel=EXCESS)
            _add_time_axis(ax, 2 * step_size / n)
        left.legend(loc="upper right")
        right.legend(handles=_case_styles(cases), loc="lower left")
    return figure


def point_figure(record: Mapping[str, Any]) -> Figure:
    """One run: its loss below its bounds, and its way to the min-norm solution.

    Its labels are plain text, since mathtext would take half as long again, and a sweep has many points. A bound that
    runs along another one is not drawn again; a certificate of the distance that is far above it is named only.

    Args:
        record: `curve/iteration`, `curve/excess`, `curve/distance`, `curve/u2v`; where there are such, the bounds
            of the loss (`curve/<name>` of theory/bounds/registry.py),
            `curve/path` and `curve/law` of the distance, and the law's `metric/law_rms`. With `metric/depth` it is a
            network of L layers, of whose bounds those are drawn that apply (`metric/met/<name>`).
    """
    iteration = record["curve/iteration"]
    deep = "metric/depth" in record
    part, given = ("‖BM‖", "M") if deep else ("‖U₂Vᵀ‖", "V")
    with panels(2, (6.8, 2.7)) as (figure, (left, right)):
        left.plot(iteration, positive(record["curve/excess"]), color=BLUE, label="measured")
        drawn: list[Array] = []
        for name, style, colour, label in _loss_bounds():
            curve = positive(record.get(f"curve/{name}", ()))
            if deep and not record.get(f"metric/met/{name}", True):
                continue
            if curve.size and not any(_alike(curve, other) for other in drawn):
                drawn.append(curve)
                of_flow = " of the flow" if style == "--" and "curve/certified" not in record else ""
                title = "guaranteed: imbalances" if deep and name == "bound" else label
                left.plot(iteration, curve, style, color=colour, label=title + of_flow)
        shown = [record["curve/distance"], record["curve/u2v"]]
        right.plot(iteration, shown[0], color=BLUE, label="distance to min-norm")
        right.plot(iteration, shown[1], color=ORANGE, label=f"its part {part}")
        if "metric/law_rms" in record:
            right.axhline(record["metric/law_rms"], color=BLACK, lw=1, label="law (rms)")
        for name, colour, label in (
            ("law", BLACK, f"law, bound given {given}"),
            ("path", GREEN, "certified from the run"),
        ):
            if f"curve/{name}" not in record:
                continue
            curve = floats(record[f"curve/{name}"])
            if near := float(np.max(curve)) < NEAR * max(map(largest, shown)):
                shown.append(curve)
            beside = "" if near else f": {number(float(f'{curve[-1]:.2g}'))}"
            right.plot(iteration if near else [], curve if near else [], ":", color=colour, label=label + beside)
        for ax in (left, right):
            fit_axis(ax, "x", iteration, log=False)
            ax.legend(loc="upper right")
        fit_axis(left, "y", record["curve/excess"], log=True, floor=DEEPEST, room=_room(record["curve/excess"], left))
        fit_axis(right, "y", *shown)
        if max(curve[-1] for curve in shown) > 0.5 * max(map(largest, shown)):
            _clear_legend(right)
        left.set(xlabel="iteration k", ylabel="excess loss")
        right.set(xlabel="iteration k", ylabel="Frobenius norm")
    return figure


def _loss_bounds() -> Iterator[tuple[str, str, str, str]]:
    """Name, line style, colour and label of each bound on the loss; one beyond the colours of its kind is grey."""
    left = {known: iter(shades) for known, shades in COLOURS.items()}
    for row in RUN_BOUNDS.values():
        if row.bounded == "loss":
            yield row.name, "--" if row.known == BEFORE else ":", next(left[row.known], GREY), row.title


def _alike(first: Array, second: Array) -> bool:
    """Whether two curves can hardly be told apart on a logarithmic axis."""
    both = np.isfinite(first) & np.isfinite(second)
    if not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return False
    a, b = np.log(first[both]), np.log(second[both])
    return bool(np.max(np.abs(a - b), initial=0.0) <= 0.01 * np.ptp(np.append(a, 1)) + 0.05)


def _legend_share(ax: Axes) -> float:
    """Part of the height of a panel that its legend takes up."""
    inches = ax.get_window_extent().height / ax.figure.dpi
    return 0.03 + 0.175 / inches * len(ax.get_legend_handles_labels()[0])


def _clear_legend(ax: Axes) -> None:
    """Leave the part of a fitted panel to its legend that it takes up at the top."""
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(ax.get_ylim())
    ax.set_ylim(top=float(scale.inverted().transform(low + (high - low) / (1 - _legend_share(ax)))))


def _headroom(ax: Axes, *curves: tuple[ArrayLike, ArrayLike]) -> float:
    """Upper end of a linear axis that keeps curves clear of a legend in the upper right."""
    last = max((largest(x) for x, _ in curves), default=0.0)
    under = max((largest(floats(y)[floats(x) > LEGEND_FROM * last]) for x, y in curves), default=0.0)
    return under / (1 - _legend_share(ax))


def _room(values: ArrayLike, ax: Axes) -> float:
    """Factor above the values of a logarithmic axis that its legend takes up."""
    share = _legend_share(ax)
    shown = floats(values)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    span = largest(shown) / max(float(np.min(shown)), DEEPEST * largest(shown)) if shown.size else 1.0
    return float(max(span, 10.0) ** (share / (1 - share)))


def companion_figure(points: Table, alpha: float | None = None, depth: int | None = None) -> Figure:
    """Measured distance against width and its upper bounds: how tight each guarantee is.

    Args:
        points: `width`, `distance`, one entry per run; where known, `law_bound`, `certificate` and `thm2`.
            A bound far above everything else is named at the upper edge with its range.
        alpha: named on the axis, where the points are those of one scale h^-alpha of several.
        depth: named there, where they are those of one depth L of several.
    """
    of = [rf"$\alpha={alpha:.3g}$"] if alpha is not None else [f"$L={depth}$"] if depth is not None else []
    width = floats(points["width"])
    bounds = [
        (name, style, colour, label)
        for name, style, colour, label in (
            ("law_bound", "-", BLACK, "law, upper quantile"),
            ("certificate", ":", GREEN, "certified from the run"),
            ("thm2", "--", VERMILLION, "guaranteed (Theorem 2)"),
        )
        if name in points
    ]
    with panels(1, (5.4, 3.6)) as (figure, (ax,)):
        ax.plot(width, positive(points["distance"]), **dots("measured", count=width.size))
        shown, beyond = [points["distance"]], 0
        for name, style, colour, label in bounds:
            at, mean, _ = group(width, points[name])
            if mean.size and np.median(mean) < OFF_SCALE * max(map(largest, shown)):
                ax.plot(at, positive(mean), style, color=colour, label=label)
                shown.append(mean)
            else:
                ax.plot([], [], style, color=colour, label=f"{label}: {_range(points[name])}, off the scale")
                _point_up(ax, colour, 0.04 * (1 + beyond))
                beyond += 1
        fit_axis(ax, "x", width, log=True)
        fit_axis(ax, "y", *shown, log=True, room=_room(np.concatenate([*map(floats, shown)]), ax))
        ax.legend(loc="upper right")
        ax.set(
            xlabel=" ".join([WIDTH, *(f"({each})" for each in of)]), ylabel=DISTANCE if depth is None else DEEP_DISTANCE
        )
    return figure


def rate_bias_figure(points: Table) -> Figure:
    """The rate-bias plane: how fast a run converges against how near to the min-norm solution it ends.

    Args:
        points: `sigma_u`, `sigma_v`, `distance`, `rate` (measured), one entry per run; where known, `rate_bound`, and
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
        fit_axis(ax, "x", distance - bar, *reach, zero=False)
        fit_axis(ax, "y", *shown, log=True, room=legend_room(*shown))
        title = r"number: $\sigma_U/\sigma_V$"
        ax.legend(handles=handles, title=title, title_fontsize=8, alignment="left", loc="upper center")
        ax.set(xlabel=DISTANCE, ylabel="rate of convergence of the loss (1 / flow time)")
    return figure


def alpha_figure(points: Table, law: Table) -> Figure:
    """Distance against width at several scales h^-alpha, with the law and its lazy and rich limits.

    Args:
        points: `alpha`, `width`, `distance`, one entry per run.
        law: `alpha`, `width`, `rms` of the predicted distance, one entry per curve and width; where known, `lower` and
            `upper` of the band, and `lazy` and `rich`, drawn where they are the limit: alpha <= 1/2 and alpha >= 1/2.
    """
    columns = {name: floats(column) for name, column in law.items()}
    runs = {name: floats(points[name]) for name in ("alpha", "width", "distance")}
    with panels(1, (7.0, 3.8), right=1.75) as (figure, (ax,)):
        handles = []
        alphas = np.unique(columns["alpha"])
        for alpha, colour in zip(alphas, colours(alphas.size), strict=True):
            curve = {name: column[columns["alpha"] == alpha] for name, column in columns.items()}
            chosen = runs["alpha"] == alpha
            if "lower" in curve:
                ax.fill_between(curve["width"], curve["lower"], curve["upper"], color=colour, alpha=0.2, lw=0)
            for name, (style, lowest, highest) in LIMITS.items():
                if name in curve and lowest <= alpha <= highest:
                    ax.plot(curve["width"], positive(curve[name]), style, color=colour, lw=1)
            ax.plot(curve["width"], curve["rms"], color=colour, lw=1.4)
            ax.plot(runs["width"][chosen], positive(runs["distance"][chosen]), **dots(None, colour, runs["alpha"].size))
            handles.append(Line2D([], [], color=colour, marker="o", ms=3.5, label=rf"$\alpha={alpha:.3g}$"))
        handles.append(Line2D([], [], color=GREY, lw=1.4, label="law (rms)"))
        handles += [
            Line2D([], [], ls=style, color=GREY, lw=1, label=f"{name} limit")
            for name, (style, _, _) in LIMITS.items()
            if name in columns
        ]
        fit_axis(ax, "x", runs["width"], columns["width"])
        fit_axis(ax, "y", runs["distance"], columns["rms"], log=True)
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        ax.set(xlabel=WIDTH, ylabel=DISTANCE)
    return figure


def _draw_law(ax: Axes, law: Table, power: float = 1.0) -> None:
    """The predicted distance and its band, against width^power."""
    x = floats(law["width"]) ** power
    ax.fill_between(x, floats(law["lower"]), floats(law["upper"]), color=LIGHT, lw=0)
    ax.plot(x, floats(law["rms"]), color=BLACK, lw=1, label=LAW)


def _draw_case(ax: Axes, case: Mapping[str, Any], colour: str, certified: bool) -> None:
    iteration = case["iteration"]
    ax.plot(iteration, positive(case["loss"]), color=colour, label=case["label"])
    if "descent" in case:
        k, loss = case["descent"]["iteration"], case["descent"]["loss"]
        every = max(len(k) // 20, 1)
        ax.plot(k, positive(loss), "o", color=colour, mfc="white", ms=3.5, markevery=every)
        if certified and "certified" in case["descent"]:
            ax.plot(k, positive(case["descent"]["certified"]), ls="", marker="x", ms=3, color=colour, markevery=every)
    for name, style in (("bound", "--"), ("certified", ":")):
        if name in case and (certified or name == "bound"):
            ax.plot(iteration, positive(case[name]), style, color=colour, lw=1.2)


def _case_styles(cases: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    """Legend entries of the line styles that are in use."""
    descent = any("descent" in case for case in cases)
    styles: list[tuple[str, dict[str, Any]]] = [("gradient flow" if descent else "measured", {})]
    if descent:
        styles.append(("gradient descent", {"ls": "", "marker": "o", "mfc": "white", "ms": 3.5}))
    if any("bound" in case for case in cases):
        styles.append(("guaranteed (Theorem 1)", {"ls": "--", "lw": 1.2}))
    if any("certified" in case for case in cases):
        styles.append(("certified after training", {"ls": ":", "lw": 1.2}))
    if any("certified" in case.get("descent", {}) for case in cases):
        styles.append(("certified, descent", {"ls": "", "marker": "x", "ms": 3}))
    return [Line2D([], [], color=GREY, label=label, **style) for label, style in styles]


def _add_time_axis(ax: Axes, unit: float) -> None:
    """An upper axis in flow time, `unit` for each iteration."""
    upper = ax.secondary_xaxis("top", functions=(lambda k: np.multiply(k, unit), lambda t: np.divide(t, unit)))
    low, high = ax.get_xlim()
    ticks, labels = linear_ticks(low * unit, high * unit)
    upper.tick_params(**TICKS)
    upper.set_ticks(ticks, labels)
    upper.set_xlabel(r"flow time $t=2\eta k/n$")


def _point_up(ax: Axes, colour: str, x: float) -> None:
    """An arrow through the upper edge, at a fraction of its length."""
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.4}
    ax.annotate("", (x, 1.0), (x, 0.86), "axes fraction", arrowprops=arrow)


def _power_label(exponent: float) -> str:
    return r"$1/\sqrt{h}$" if exponent == -0.5 else f"$h^{{{exponent:.3g}}}$"


def _slope_label(slope: float) -> str:
    return f"infinite width, slope {slope:.3g}".replace("-", "\N{MINUS SIGN}")


def _range(values: ArrayLike) -> str:
    low, high = number(float(f"{np.min(floats(values)):.1g}")), number(float(f"{np.max(floats(values)):.1g}"))
    return low if low == high else f"{low} to {high}"


def _interpolate(x: Array, at: Array, y: Array) -> Array:
    order = np.argsort(at)
    return np.exp(np.interp(np.log(x), np.log(at[order]), np.log(y[order])))
