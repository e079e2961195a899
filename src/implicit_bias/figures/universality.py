"""The figure of universality: networks with entries that are not Gaussian, and the law of the distance."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from implicit_bias.figures.findings import ends_of_width, universality
from implicit_bias.figures.legends import legend_beside
from implicit_bias.figures.palette import BLACK, COLOURS, GREY
from implicit_bias.figures.spans import Table, floats
from implicit_bias.figures.style import WIDTH, fit_axis, group, panels
from implicit_bias.figures.unconverged import mark_unconverged
from implicit_bias.sweeps.figure import Results, SweepFigure, Words
from implicit_bias.theory.comparisons.universality import has_limit, limit_ratio, seen_weights
from implicit_bias.theory.law.distance import Scaling

SPREAD = 0.03
"""Factor between the markers of neighbouring laws, so that error bars do not overlap."""


def universality_figure(points: Table, limits: Mapping[str, float], law: str, label: str) -> Figure:
    """Root mean square of the distance over that of a law, against width, for every law of the entries.

    Args:
        points: `initialization`, `width`, `distance`, and the law's root mean square, one entry per run.
        limits: initialisation -> the ratio it tends to at large width, where known; drawn dashed at the right half.
        law: name of the column of the law.
        label: what the law is called.
    """
    names = np.asarray(points["initialization"])
    width, expected = floats(points["width"]), floats(points[law])
    ratio = floats(points["distance"]) / np.where(expected > 0, expected, np.nan)
    shown = [np.array([1.0, *limits.values()])]
    with panels(1, (7.0, 3.8), right=1.75) as (figure, (ax,)):
        ax.axhline(1, color=BLACK, lw=1)
        handles = [Line2D([], [], color=BLACK, lw=1, label=label)]
        order = [name for name in dict.fromkeys(names.tolist()) if np.isfinite(ratio[names == name]).any()]
        for i, (name, colour) in enumerate(zip(order, cycle(COLOURS), strict=False)):
            at, square, deviation = group(width[names == name], ratio[names == name] ** 2)
            count = np.array([np.sum((names == name) & (width == w)) for w in at])
            mean = np.sqrt(square)
            error = np.nan_to_num(deviation / np.sqrt(count) / (2 * mean))
            x = at * (1 + SPREAD) ** (i - (len(order) - 1) / 2)
            ax.errorbar(x, mean, error, fmt="o-", color=colour, lw=1, elinewidth=1.2, ms=4)
            if name in limits:
                half = [np.sqrt(width.min() * width.max()), width.max()]
                ax.plot(half, [limits[name]] * 2, "--", color=colour, lw=1.2)
            handles.append(Line2D([], [], color=colour, marker="o", label=name))
            shown += [mean - error, mean + error]
        handles += mark_unconverged(ax, points, width, ratio)
        if limits:
            handles.append(Line2D([], [], color=GREY, ls="--", lw=1.2, label="its limit, closed form"))
        fit_axis(ax, "x", width, log=True)
        fit_axis(ax, "y", *shown, log=False, zero=False)
        legend_beside(ax, handles)
        ax.set(xlabel=WIDTH, ylabel="rms distance / law, with standard error")
    return figure


def _limits(results: Results) -> dict[str, float]:
    """Initialisation -> the ratio of its distance to the law at the sweep's largest width, of its first data set."""
    sweep, problem = results.sweep, results.problems[0]
    if problem.D == problem.r or sweep.alpha[0] < 0:
        return {}
    scaling, h = Scaling(sweep.alpha[0]), float(max(sweep.widths))
    weights = seen_weights(problem, *scaling.gram(h))
    return {
        name: limit_ratio(problem, name, sweep.density, *scaling.gram(h), weights)
        for name in sweep.initialization
        if has_limit(name)
    }


UNIVERSALITY_FIGURE = SweepFigure(
    Words(
        "Distance for entries of other laws",
        "Networks whose initial entries are not Gaussian, compared with the law for Gaussian ones.",
        universality,
        ends_of_width,
    ),
    lambda results: universality_figure(results.columns, _limits(results), "law_rms", "law before training"),
    initializations=True,
    laws=frozenset({"exact", "asymptotic"}),
    companion=lambda results: universality_figure(results.columns, {}, "law_rms_run", "law given the run"),
    companion_words=Words(
        "Distance and the law given each run",
        "The ratio of the distance to its law given the output layer at the end of training.",
    ),
)
