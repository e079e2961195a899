"""Distances against width, or at several scales, beside the law; and the rows of these figures."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from implicit_bias.figures import findings
from implicit_bias.figures.law import law_of_sweep
from implicit_bias.figures.legends import legend_beside, name_of_law, room_of_legend
from implicit_bias.figures.numerals import number, percent
from implicit_bias.figures.palette import BLACK, BLUE, GREEN, GREY, LIGHT, ORANGE, VERMILLION
from implicit_bias.figures.spans import Array, Table, floats, largest, positive
from implicit_bias.figures.style import DISTANCE, WIDTH, colours, dots, draw_means, fit_axis, group, panels
from implicit_bias.figures.unconverged import mark_unconverged
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns_of

FINAL = r"$\|U(t_f)V(t_f)^\top-\hat\Theta\|_F$"
INITIAL = r"$\|U_2(0)V(0)^\top\|_F$"
OFF_SCALE = 1e3  # bounds further than this factor above everything else are named at the edge, not drawn to scale
LIMITS = {"lazy": ("--", 0.0, 0.5), "rich": (":", 0.5, np.inf)}  # line style, and the alpha for which it is the limit


def width_figure(points: Table, law: Table | None = None, alpha: float = 0.5) -> Figure:
    """The paper's Figure 1: distances and iterations against width, mean and standard deviation over runs.

    Args:
        points: `width`, `distance`, `distance_init`, `iterations`, one entry per run.
        law: `width`, `rms`, `lower`, `upper` of the predicted distance; if known, `delta`, the probability outside the
            band.
        alpha: the initial entries are N(0, h^(-2 alpha)); the middle panel is against h^(1/2 - 2 alpha).
    """
    exponent = 0.5 - 2 * alpha or -0.5
    with panels(3, (9.6, 2.9)) as (figure, (left, middle, right)):
        for ax, power in ((left, 1.0), (middle, exponent)):
            if law is not None:
                _draw_law(ax, law, power)
            final = draw_means(ax, points, "distance", BLUE, FINAL, power)
            initial = draw_means(ax, points, "distance_init", ORANGE, INITIAL, power)
            mark_unconverged(ax, points, floats(points["width"]) ** power, points["distance"])
            fit_axis(ax, "y", *final, *initial, [] if law is None else law["rms"])
        fit_axis(right, "y", *draw_means(right, points, "iterations", BLUE, None))
        for ax, power in ((left, 1.0), (middle, exponent), (right, 1.0)):
            fit_axis(ax, "x", floats(points["width"]) ** power)
        left.legend(loc="best", title="runs: mean ± standard deviation", alignment="left")
        left.set(xlabel=WIDTH, ylabel="Frobenius norm")
        middle.set(xlabel=_power_label(exponent), ylabel="Frobenius norm")
        right.set(xlabel=WIDTH, ylabel="iterations to stop")
    return figure


def wide_figure(points: Table, law: Table, alpha: float = 0.5) -> Figure:
    """Distance against width over many decades, and its ratio to the law.

    Args:
        points: `width`, `distance`, one entry per run.
        law: `width`, `rms`, `lower`, `upper` of the predicted distance; if known, `delta`, the probability outside the
            band.
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
        mark_unconverged(left, points, width, distance)
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


def alpha_figure(points: Table, law: Table) -> Figure:
    """Distance against width at several scales h^-alpha, with the law and its lazy and rich limits.

    Args:
        points: `alpha`, `width`, `distance`, one entry per run.
        law: `alpha`, `width`, `rms` of the predicted distance, one entry per curve and width; where known, `lower` and
            `upper` of the band and `delta`, the probability outside it, and `lazy` and `rich`, drawn where they are the
            limit: alpha <= 1/2 and alpha >= 1/2.
    """
    columns = {name: floats(column) for name, column in law.items()}
    runs = {name: floats(points[name]) for name in ("alpha", "width", "distance")}
    with panels(1, (7.0, 3.8), right=1.75) as (figure, (ax,)):
        handles: list[Any] = []
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
        if "lower" in columns:
            handles.append(Patch(color=GREY, alpha=0.25, lw=0, label=name_of_law(columns)))
        handles += [
            Line2D([], [], ls=style, color=GREY, lw=1, label=f"{name} limit")
            for name, (style, _, _) in LIMITS.items()
            if name in columns
        ]
        handles += mark_unconverged(ax, points, runs["width"], runs["distance"])
        fit_axis(ax, "x", runs["width"], columns["width"])
        fit_axis(ax, "y", runs["distance"], columns["rms"], log=True)
        legend_beside(ax, handles)
        ax.set(xlabel=WIDTH, ylabel=DISTANCE)
    return figure


def companion_figure(points: Table, alpha: float | None = None, depth: int | None = None) -> Figure:
    """Measured distance against width and its upper bounds: how tight each guarantee is.

    Args:
        points: `width`, `distance`, one entry per run; where known, `law_bound`, `certificate` and `thm2`, and `delta`,
            the probability of a distance above `law_bound`.
            A bound far above everything else is named at the upper edge with its range.
        alpha: named on the axis, where the points are those of one scale h^-alpha of several.
        depth: named there, where they are those of one depth L of several.
    """
    of = [rf"$\alpha={alpha:.3g}$"] if alpha is not None else [f"$L={depth}$"] if depth is not None else []
    width = floats(points["width"])
    delta = floats(points["delta"])[:1] if "delta" in points else floats([])
    quantile = f"{percent(1 - delta[0])} quantile" if delta.size else "upper quantile"
    bounds = [
        (name, style, colour, label)
        for name, style, colour, label in (
            ("law_bound", "-", BLACK, f"law, {quantile}"),
            ("certificate", ":", GREEN, "certified from the run"),
            ("thm2", "--", VERMILLION, "guaranteed (Theorem 2)"),
        )
        if name in points
    ]
    with panels(1, (5.4, 3.6)) as (figure, (ax,)):
        ax.plot(width, positive(points["distance"]), **dots("measured", count=width.size))
        mark_unconverged(ax, points, width, points["distance"])
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
        fit_axis(ax, "y", *shown, log=True, room=room_of_legend(np.concatenate([*map(floats, shown)]), ax))
        ax.legend(loc="upper right")
        ax.set(xlabel=" ".join([WIDTH, *(f"({each})" for each in of)]), ylabel=DISTANCE)
    return figure


def _draw_law(ax: Axes, law: Table, power: float = 1.0) -> None:
    """The predicted distance and its band, against width^power."""
    x = floats(law["width"]) ** power
    ax.fill_between(x, floats(law["lower"]), floats(law["upper"]), color=LIGHT, lw=0)
    ax.plot(x, floats(law["rms"]), color=BLACK, lw=1, label=name_of_law(law))


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


GUARANTEES = Words(
    "How tight each guarantee is",
    "The measured distance and its upper bounds: a quantile of the law, a certificate computed from the run, and "
    "Theorem 2. The quantile has the level of the law's band, on one side instead of two.",
)

PAPERS = 0.5
"""The alpha of the paper."""


def _width(results: Results) -> Any:
    predicted = law_of_sweep(results)
    law = predicted if predicted["width"].size else None
    return width_figure(results.columns, law, alpha=results.sweep.alpha[0])


def _nearest_to_the_papers(results: Results) -> Any:
    """The guarantees at the alpha that is nearest to the paper's."""
    alpha = min(results.sweep.alpha, key=lambda each: abs(each - PAPERS))
    return companion_figure(columns_of(results.table[results.table["alpha"] == alpha]), alpha)


WIDTH_FIGURE = SweepFigure(
    Words(
        "Distance and iterations against width",
        "Mean and standard deviation over the seeds. The black line with its grey band is the law of the distance: "
        "predicted before training, not fitted.",
        findings.law,
        findings.ends_of_width,
    ),
    _width,
    companion=lambda results: companion_figure(results.columns),
    companion_words=GUARANTEES,
    paper="Figure 1",
)

WIDE_FIGURE = SweepFigure(
    Words(
        "Distance over decades of width",
        "Each dot is a run. Left, the distance, the predicted law and the infinite-width line. Right, the ratio of "
        "distance to law.",
        findings.law,
        findings.ends_of_width,
    ),
    lambda results: wide_figure(results.columns, law_of_sweep(results), alpha=results.sweep.alpha[0]),
    laws=frozenset({"exact"}),
    companion=lambda results: companion_figure(results.columns),
    companion_words=GUARANTEES,
)

ALPHA_FIGURE = SweepFigure(
    Words(
        "Distance at several initial scales h^(−α)",
        "Each dot is one run, each line the predicted law, with its lazy and rich limits.",
        findings.law,
        findings.ends_of_width,
    ),
    lambda results: alpha_figure(results.columns, law_of_sweep(results)),
    against="alphas",
    laws=frozenset({"exact"}),
    companion=_nearest_to_the_papers,
    companion_words=GUARANTEES,
)
