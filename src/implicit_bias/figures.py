"""The figures: pure functions from arrays to matplotlib figures. Units and symbols are the paper's.

Solid lines and points are measured, dashed lines are guaranteed before training, dotted lines are certified after it,
black lines with a grey band are the law of the min-norm distance with its 90 % band: predicted, not fitted.
Layouts and ticks are fixed in advance, which keeps drawing fast and equal inputs equal to the byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import cycle
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

Table = Mapping[str, ArrayLike]
Array = NDArray[np.float64]

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # Okabe and Ito (2008)
PURPLE, SKY, BLACK, GREY, LIGHT = "#CC79A7", "#56B4E9", "#000000", "#666666", "#DDDDDD"
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
RATIOS = LinearSegmentedColormap.from_list("ratios", [VERMILLION, "#8C8C8C", BLUE])

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.fontsize": 8,
    "legend.fancybox": False,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.borderpad": 0.2,
    "legend.handlelength": 2.2,
    "legend.labelspacing": 0.35,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
}
TICKS: dict[str, Any] = {
    "length": 3,
    "width": 0.8,
    "color": GREY,
    "direction": "out",
    "pad": 3,
    "labelsize": 8,
    "labelcolor": BLACK,
    "grid_color": LIGHT,
    "grid_linewidth": 0.6,
    "grid_linestyle": "-",
}

WIDTH = "width $h$"
ITERATION = "iteration $k$"
DISTANCE = r"distance to min-norm $\|UV^\top-\hat\Theta\|_F$"
FINAL = r"$\|U(t_f)V(t_f)^\top-\hat\Theta\|_F$"
INITIAL = r"$\|U_2(0)V(0)^\top\|_F$"
EXCESS = r"excess loss $\tilde L-\tilde L^*$"
LAW = "law, 90 % band"

PLANE = ("sigma_u", "sigma_v", "distance", "rate", "rate_bound")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOG_FROM = 100.0  # largest over smallest value from which an axis is logarithmic
DEEPEST = 1e-16  # smallest loss shown, relative to the largest
MOST_LABELS = 12  # numbers written beside points
MOST_MARKERS = 60  # widths above which a curve of means has no markers
LIMITS = {"lazy": ("--", 0.0, 0.5), "rich": (":", 0.5, np.inf)}  # line style, and the alpha for which it is the limit
OFF_SCALE = 1e3  # bounds further than this factor above everything else are named at the edge, not drawn to scale


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as PNG. Equal figures give equal bytes: nothing in them tells time or version."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def width_figure(points: Table, law: Table | None = None, alpha: float = 0.5) -> Figure:
    """The paper's Figure 1: distances and iterations against width, mean and standard deviation over runs.

    Args:
        points: `width`, `distance`, `distance_init`, `iterations`, one entry a run.
        law: `width`, `rms`, `lower`, `upper` of the predicted distance.
        alpha: the initial entries are N(0, h^(-2 alpha)); the middle panel is against h^(1/2 - 2 alpha).
    """
    exponent = 0.5 - 2 * alpha or -0.5
    with _panels(3, (9.6, 2.9)) as (figure, (left, middle, right)):
        for ax, power in ((left, 1.0), (middle, exponent)):
            if law is not None:
                _draw_law(ax, law, power)
            final = _draw_means(ax, points, "distance", BLUE, FINAL, power)
            initial = _draw_means(ax, points, "distance_init", ORANGE, INITIAL, power)
            _fit(ax, "y", *final, *initial, [] if law is None else law["rms"])
        left.legend(loc="upper right")
        _fit(right, "y", *_draw_means(right, points, "iterations", BLUE, None))
        for ax, power in ((left, 1.0), (middle, exponent), (right, 1.0)):
            _fit(ax, "x", _array(points["width"]) ** power)
        left.set(xlabel=WIDTH, ylabel="Frobenius norm")
        middle.set(xlabel=_power_label(exponent), ylabel="Frobenius norm")
        right.set(xlabel=WIDTH, ylabel="iterations to stop")
    return figure


def wide_figure(points: Table, law: Table, alpha: float = 0.5) -> Figure:
    """Distance against width over many decades, and its ratio to the law.

    Args:
        points: `width`, `distance`, one entry a run.
        law: `width`, `rms`, `lower`, `upper` of the predicted distance.
        alpha: the initial entries are N(0, h^(-2 alpha)); it sets the slope of the infinite-width line.
    """
    width, distance = _array(points["width"]), _array(points["distance"])
    at, rms, lower, upper = (_array(law[name]) for name in ("width", "rms", "lower", "upper"))
    slope = max(0.5 - 2 * alpha, -alpha)
    with _panels(2, (7.6, 3.2), width_ratios=(3, 2)) as (figure, (left, right)):
        _draw_law(left, law)
        last = np.argmax(at)
        left.plot(at, rms[last] * (at / at[last]) ** slope, "--", color=VERMILLION, lw=1, label=_slope_label(slope))
        left.plot(width, distance, **_dots("runs"))
        right.fill_between(at, lower / rms, upper / rms, color=LIGHT, lw=0)
        right.axhline(1, color=BLACK, lw=1)
        right.plot(width, distance / _interpolate(width, at, rms), **_dots(None))
        _fit(left, "y", distance, rms, log=True)
        _fit(right, "y", distance / _interpolate(width, at, rms), lower / rms, upper / rms, log=False, zero=False)
        for ax in (left, right):
            _fit(ax, "x", width, at, log=True)
        left.legend(loc="lower left" if slope < 0 else "upper left")
        left.set(xlabel=WIDTH, ylabel=DISTANCE)
        right.set(xlabel=WIDTH, ylabel="distance / law (rms)")
    return figure


def imbalance_figure(cases: Sequence[Mapping[str, Any]], step_size: float, n: int) -> Figure:
    """The paper's Figure 2: loss against iterations for several initialisations, linear and logarithmic.

    Args:
        cases: `label`, `iteration`, `loss` of each; where there is one, `bound` (Theorem 1), `certified` (after
            training), and `descent` with `iteration`, `loss` of gradient descent.
        step_size: step eta on the averaged loss; the upper axis is flow time 2 eta k / n.
        n: number of samples.
    """
    losses = [case["loss"] for case in cases]
    iterations = [case["iteration"] for case in cases]
    with _panels(2, (8.6, 3.6), top=0.55) as (figure, (left, right)):
        for ax, log in ((left, False), (right, True)):
            for case, colour in zip(cases, cycle(COLOURS), strict=False):
                _draw_case(ax, case, colour, certified=log)
            _fit(ax, "x", *iterations, log=False)
            _fit(ax, "y", *losses, log=log, floor=DEEPEST)
            ax.set(xlabel=ITERATION, ylabel=EXCESS)
            _add_time_axis(ax, 2 * step_size / n)
        left.legend(loc="upper right")
        right.legend(handles=_case_styles(cases), loc="lower left")
    return figure


def point_figure(record: Mapping[str, Any]) -> Figure:
    """One run: its loss below its bounds, and its way to the min-norm solution.

    Its labels are plain text, since mathtext would take half as long again, and a sweep has many points.

    Args:
        record: `curve/iteration`, `curve/excess`, `curve/distance`, `curve/u2v`; where there are such,
            `curve/bound`, `curve/certified` and the law's `metric/law_rms`.
    """
    iteration = record["curve/iteration"]
    with _panels(2, (6.4, 2.5)) as (figure, (left, right)):
        left.plot(iteration, _positive(record["curve/excess"]), color=BLUE, label="measured")
        for name, style, colour, label in (
            ("curve/bound", "--", VERMILLION, "guaranteed (Theorem 1)"),
            ("curve/certified", ":", GREEN, "certified after training"),
        ):
            if name in record:
                left.plot(iteration, _positive(record[name]), style, color=colour, label=label)
        right.plot(iteration, record["curve/distance"], color=BLUE, label="distance to min-norm")
        right.plot(iteration, record["curve/u2v"], color=ORANGE, label="its part ‖U₂Vᵀ‖")
        if "metric/law_rms" in record:
            right.axhline(record["metric/law_rms"], color=BLACK, lw=1, label="law (rms)")
        for ax in (left, right):
            _fit(ax, "x", iteration, log=False)
        left.legend(loc="upper right")
        right.legend(loc="upper right")
        _fit(left, "y", record["curve/excess"], log=True, floor=DEEPEST, room=3000)
        _fit(right, "y", record["curve/distance"], record["curve/u2v"])
        left.set(xlabel="iteration k", ylabel="excess loss")
        right.set(xlabel="iteration k", ylabel="Frobenius norm")
    return figure


def companion_figure(points: Table) -> Figure:
    """Measured distance against width beside everything that bounds it: what each guarantee is worth.

    Args:
        points: `width`, `distance`, one entry a run; where known, `law_bound`, `certificate` and `thm2`.
            A bound far above everything else is named at the upper edge with its range.
    """
    width = points["width"]
    bounds = [
        (name, style, colour, label)
        for name, style, colour, label in (
            ("law_bound", "-", BLACK, "law, upper quantile"),
            ("certificate", ":", GREEN, "certified from the run"),
            ("thm2", "--", VERMILLION, "guaranteed (Theorem 2)"),
        )
        if name in points
    ]
    with _panels(1, (5.4, 3.6)) as (figure, (ax,)):
        ax.plot(width, _positive(points["distance"]), **_dots("measured"))
        shown, beyond = [points["distance"]], 0
        for name, style, colour, label in bounds:
            at, mean, _ = group(width, points[name])
            if mean.size and np.median(mean) < OFF_SCALE * max(map(_largest, shown)):
                ax.plot(at, _positive(mean), style, color=colour, label=label)
                shown.append(mean)
            else:
                ax.plot([], [], style, color=colour, label=f"{label}: {_range(points[name])}, off the scale")
                _point_up(ax, colour, 0.04 * (1 + beyond))
                beyond += 1
        _fit(ax, "x", width, log=True)
        _fit(ax, "y", *shown, log=True, room=3)
        ax.legend(loc="upper right")
        ax.set(xlabel=WIDTH, ylabel=DISTANCE)
    return figure


def rate_bias_figure(points: Table) -> Figure:
    """The rate-bias plane: how fast a run converges against how near to the min-norm solution it ends.

    Args:
        points: `sigma_u`, `sigma_v`, `distance`, `rate` (measured), one entry a run; where known, `rate_bound`.
            Drawn are the means of the runs of a ratio sigma_U / sigma_V, with the standard deviation of the distance.
    """
    columns = {name: _array(column) for name, column in points.items() if name in PLANE}
    finite = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    columns = {name: column[finite] for name, column in columns.items()}
    ratios = np.exp(np.log(columns["sigma_u"] / columns["sigma_v"]).round(9))
    ratio, distance, deviation = group(ratios, columns["distance"])
    rate, bar = group(ratios, columns["rate"])[1], np.nan_to_num(deviation)
    spread = max(_largest(ratio), _largest(1 / ratio), 1.01)
    colours = ScalarMappable(LogNorm(1 / spread, spread), RATIOS).to_rgba(ratio)
    handles = [Line2D([], [], ls="", marker="o", color=GREY, label="measured")]
    shown = [rate]
    with _panels(1, (5.4, 3.8)) as (figure, (ax,)):
        if "rate_bound" in columns:
            bound = group(ratios, columns["rate_bound"])[1]
            ax.vlines(distance, _positive(bound), _positive(rate), color=LIGHT, lw=1.5, zorder=1)
            ax.scatter(distance, _positive(bound), 60, colours, marker="_", linewidths=2)
            handles.append(Line2D([], [], ls="", marker="_", ms=8, mew=2, color=GREY, label="guaranteed (Theorem 1)"))
            shown.append(bound)
        ax.hlines(_positive(rate), distance - bar, distance + bar, colors=list(map(tuple, colours)), lw=1)
        ax.scatter(distance, _positive(rate), 30, colours)
        for i in range(0, ratio.size, -(-ratio.size // MOST_LABELS) or 1):
            text = number(float(f"{ratio[i]:.2g}"))
            ax.annotate(text, (distance[i], rate[i]), (5, 5), textcoords="offset points", fontsize=8)
        _fit(ax, "x", distance - bar, distance + bar, zero=False)
        _fit(ax, "y", *shown, log=True, room=1.5)
        ax.legend(handles=handles, title=r"number: $\sigma_U/\sigma_V$", title_fontsize=8, alignment="left", loc="best")
        ax.set(xlabel=DISTANCE, ylabel="rate of convergence of the loss (1 / flow time)")
    return figure


def alpha_figure(points: Table, law: Table) -> Figure:
    """Distance against width at several scales h^-alpha, with the law and its lazy and rich limits.

    Args:
        points: `alpha`, `width`, `distance`, one entry a run.
        law: `alpha`, `width`, `rms` of the predicted distance, one entry a curve and width; where known, `lower` and
            `upper` of the band, and `lazy` and `rich`, drawn where they are the limit: alpha <= 1/2 and alpha >= 1/2.
    """
    columns = {name: _array(column) for name, column in law.items()}
    runs = {name: _array(points[name]) for name in ("alpha", "width", "distance")}
    with _panels(1, (7.0, 3.8), right=1.75) as (figure, (ax,)):
        handles = []
        for alpha, colour in zip(np.unique(columns["alpha"]), cycle(COLOURS), strict=False):
            curve = {name: column[columns["alpha"] == alpha] for name, column in columns.items()}
            chosen = runs["alpha"] == alpha
            if "lower" in curve:
                ax.fill_between(curve["width"], curve["lower"], curve["upper"], color=colour, alpha=0.2, lw=0)
            for name, (style, lowest, highest) in LIMITS.items():
                if name in curve and lowest <= alpha <= highest:
                    ax.plot(curve["width"], _positive(curve[name]), style, color=colour, lw=1)
            ax.plot(curve["width"], curve["rms"], color=colour, lw=1.4)
            ax.plot(runs["width"][chosen], _positive(runs["distance"][chosen]), **_dots(None, colour))
            handles.append(Line2D([], [], color=colour, marker="o", ms=3.5, label=rf"$\alpha={alpha:.3g}$"))
        handles.append(Line2D([], [], color=GREY, lw=1.4, label="law (rms)"))
        handles += [
            Line2D([], [], ls=style, color=GREY, lw=1, label=f"{name} limit")
            for name, (style, _, _) in LIMITS.items()
            if name in columns
        ]
        _fit(ax, "x", runs["width"], columns["width"])
        _fit(ax, "y", runs["distance"], columns["rms"], log=True)
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        ax.set(xlabel=WIDTH, ylabel=DISTANCE)
    return figure


def group(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array]:
    """Distinct x with the mean and the standard deviation of the finite y there; NaN for the deviation of one value."""
    x, y = _array(x), _array(y)
    finite = np.isfinite(y)
    at, member, count = np.unique(x[finite], return_inverse=True, return_counts=True)
    mean = np.bincount(member, y[finite], at.size) / count
    with np.errstate(over="ignore"):  # of bounds like 1e300 only the size matters
        square = np.bincount(member, (y[finite] - mean[member]) ** 2, at.size)
    return at, mean, np.sqrt(np.divide(square, count - 1, out=np.full(at.size, np.nan), where=count > 1))


def log_ticks(low: float, high: float, count: int = 6) -> tuple[Array, list[str]]:
    """About `count` ticks between two positive limits: powers of ten, else 1-2-5 steps, else even steps."""
    first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
    if last - first >= 2:
        step = -(-(last - first + 1) // count)
        exponents = np.arange(-(-first // step) * step, last + 1, step)
        return np.power(10.0, exponents), [_power_of_ten(int(exponent)) for exponent in exponents]
    ticks = np.outer(10.0 ** np.arange(first - 1, last + 1), (1, 2, 5)).ravel()
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    return (ticks, list(map(number, ticks))) if ticks.size > 2 else linear_ticks(low, high, count - 2)


def linear_ticks(low: float, high: float, count: int = 5) -> tuple[Array, list[str]]:
    """At most `count` even steps between two limits."""
    ticks = _array(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    slack = 1e-9 * (high - low)
    ticks = ticks[(ticks >= low - slack) & (ticks <= high + slack)]
    return ticks, list(map(number, ticks))


def number(value: float) -> str:
    """A number as a person writes it, as a multiple of a power of ten where it is very large or small."""
    if not np.isfinite(value):
        return "∞"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = f"{value:.3e}".split("e")
    power = _power_of_ten(int(exponent))
    return power if float(mantissa) == 1 else f"{float(mantissa):g}×{power}".replace("-", "\N{MINUS SIGN}")


def _power_of_ten(exponent: int) -> str:
    """In plain text, which is drawn faster than mathtext."""
    return "10" + str(exponent).translate(SUPERSCRIPTS)


@contextmanager
def _panels(
    count: int,
    size: tuple[float, float],
    top: float = 0.15,
    right: float = 0.15,
    width_ratios: Sequence[float] | None = None,
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure with a row of panels, in the style of all; `size` and the margins in inches."""
    width, height = size
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size)
        axes = figure.subplots(1, count, squeeze=False, width_ratios=width_ratios)[0]
        figure.subplots_adjust(
            left=0.65 / width,
            right=1 - right / width,
            bottom=0.5 / height,
            top=1 - top / height,
            wspace=0.75 * count / (width - 0.65 - right - 0.75 * (count - 1)),
        )
        for ax in axes:
            ax.grid(True)
            ax.tick_params(**TICKS)
            ax.tick_params(which="minor", length=0)
        yield figure, axes


def _fit(
    ax: Axes,
    axis: Literal["x", "y"],
    *values: ArrayLike,
    log: bool | None = None,
    zero: bool = True,
    floor: float = 0.0,
    room: float = 1.0,
) -> None:
    """Scale, limits and ticks of an axis that shows the values.

    Args:
        ax: the panel.
        axis: which of its axes.
        values: everything to show; values that are not finite, or not positive on a logarithmic axis, do not count.
        log: whether the axis is logarithmic; None decides by the range of the values.
        zero: whether a linear axis starts at 0 when the values come near it.
        floor: smallest value shown on a logarithmic axis, relative to the largest.
        room: factor left above the largest value of a logarithmic axis, for a legend.
    """
    shown = np.concatenate([_array(value).ravel() for value in values])
    shown = shown[np.isfinite(shown)]
    if log is None:
        log = bool(shown.size) and 0 < LOG_FROM * _smallest(shown) < _largest(shown)
    if log:
        shown = shown[shown > 0]
    low, high = (shown.min(), shown.max()) if shown.size else (1.0, 1.0)
    if log:
        low, high = max(low, floor * high), high * room
        margin = (high / low) ** 0.04 if high > low else 2.0
        low, high = low / margin, high * margin
        ticks, labels = log_ticks(low, high)
    else:
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
        near_zero = zero and 0 <= low < 0.6 * high
        low, high = 0.0 if near_zero else low - margin, high + margin
        ticks, labels = linear_ticks(low, high)
    ax.set(**{f"{axis}scale": "log" if log else "linear", f"{axis}lim": (low, high)})
    ticker = ax.xaxis if axis == "x" else ax.yaxis
    ticker.set_ticks(ticks, labels)
    ticker.set_ticks([], minor=True)


def _draw_means(
    ax: Axes, points: Table, name: str, colour: str, label: str | None, power: float = 1.0
) -> tuple[Array, Array]:
    """Means and standard deviations over the runs of a width, against width^power; returns the ends of the bars."""
    width, mean, deviation = group(points["width"], points[name])
    style = "-o" if width.size <= MOST_MARKERS else "-"
    ax.errorbar(width**power, mean, deviation, fmt=style, color=colour, lw=1.2, elinewidth=1, label=label)
    bar = np.nan_to_num(deviation)
    return np.where(mean > bar, mean - bar, mean), mean + bar


def _draw_law(ax: Axes, law: Table, power: float = 1.0) -> None:
    """The predicted distance and its band, against width^power."""
    x = _array(law["width"]) ** power
    ax.fill_between(x, _array(law["lower"]), _array(law["upper"]), color=LIGHT, lw=0)
    ax.plot(x, _array(law["rms"]), color=BLACK, lw=1, label=LAW)


def _draw_case(ax: Axes, case: Mapping[str, Any], colour: str, certified: bool) -> None:
    iteration = case["iteration"]
    ax.plot(iteration, _positive(case["loss"]), color=colour, label=case["label"])
    if "descent" in case:
        k, loss = case["descent"]["iteration"], case["descent"]["loss"]
        ax.plot(k, _positive(loss), "o", color=colour, mfc="white", ms=3.5, markevery=max(len(k) // 20, 1))
    for name, style in (("bound", "--"), ("certified", ":")):
        if name in case and (certified or name == "bound"):
            ax.plot(iteration, _positive(case[name]), style, color=colour, lw=1.2)


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


def _dots(label: str | None, colour: str = BLUE) -> dict[str, Any]:
    """Keywords that draw single runs."""
    return {"ls": "", "marker": "o", "ms": 3.5, "color": colour, "alpha": 0.6, "mew": 0, "label": label}


def _power_label(exponent: float) -> str:
    return r"$1/\sqrt{h}$" if exponent == -0.5 else f"$h^{{{exponent:.3g}}}$"


def _slope_label(slope: float) -> str:
    return f"infinite width, slope {slope:.3g}".replace("-", "\N{MINUS SIGN}")


def _range(values: ArrayLike) -> str:
    low, high = number(float(f"{np.min(_array(values)):.1g}")), number(float(f"{np.max(_array(values)):.1g}"))
    return low if low == high else f"{low} to {high}"


def _interpolate(x: Array, at: Array, y: Array) -> Array:
    order = np.argsort(at)
    return np.exp(np.interp(np.log(x), np.log(at[order]), np.log(y[order])))


def _positive(values: ArrayLike) -> Array:
    """The values with gaps where a logarithmic axis has no place for them."""
    array = _array(values)
    return np.where(np.isfinite(array) & (array > 0), array, np.nan)


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, float)


def _largest(values: ArrayLike) -> float:
    array = _array(values)
    return float(np.max(array[np.isfinite(array)], initial=0.0))


def _smallest(values: ArrayLike) -> float:
    return float(np.min(_array(values), initial=np.inf))
