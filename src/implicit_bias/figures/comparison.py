"""The figure of two tracked runs: their losses with their bounds, and their distances with their laws."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from implicit_bias.figures.legends import LOSS_BOUNDS
from implicit_bias.figures.palette import BLACK, BLUE, GREY, VERMILLION
from implicit_bias.figures.spans import DEEPEST, positive
from implicit_bias.figures.style import DISTANCE, ITERATION, WIDTH, draw_means, fit_axis, group, panels

MOST = 42
"""Letters of a name in the legend."""


def comparison_figure(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Two runs overlaid: losses with their bounds, and distances with their laws.

    Distances are drawn against the width if both runs have several, else along the runs.

    Args:
        runs: of each its `label`, its `points` as columns `width`, `distance` and, where known, `law_rms`, and its
            `curves`, a list of `excess`, `bound`, `certified` and `distance`, each with `iteration` and `value`, and of
            `law_rms`.
    """
    wide = all(len(set(run["points"].get("width", ()))) > 1 for run in runs)
    shown: list[Any] = []
    with panels(2, (8.6, 3.6), top=0.4) as (figure, (left, right)):
        for run, colour in zip(runs, (BLUE, VERMILLION), strict=True):
            _draw_losses(left, run["curves"], colour)
            if wide:
                shown += _draw_widths(right, run["points"], colour)
            else:
                _draw_distances(right, run["curves"], colour)
        _fit(left, runs, "excess", log=True, room=5)
        left.set(xlabel=ITERATION, ylabel=r"excess loss $\tilde L-\tilde L^*$")
        if wide:
            fit_axis(right, "x", *(run["points"]["width"] for run in runs))
            fit_axis(right, "y", *shown)
        else:
            _fit(right, runs, "distance", log=None)
        right.set(xlabel=WIDTH if wide else ITERATION, ylabel=DISTANCE)
        left.legend(handles=_styles(runs), loc="upper right")
        right.legend(handles=[Line2D([], [], color=BLACK, ls="-.", lw=1, label="law, before training")], loc="best")
        names = [
            Line2D([], [], color=colour, lw=2.5, label=_short(str(run["label"])))
            for run, colour in zip(runs, (BLUE, VERMILLION), strict=True)
        ]
        figure.legend(handles=names, loc="upper center", ncols=2)
    return figure


def _draw_losses(ax: Axes, curves: Sequence[Mapping[str, Any]], colour: str) -> None:
    for curve in curves:
        for name, style in (("excess", "-"), *((name, style) for name, (style, _) in LOSS_BOUNDS.items())):
            if name in curve:
                values = positive(curve[name]["value"])
                ax.plot(curve[name]["iteration"], values, style, color=colour, lw=1.4 if name == "excess" else 1)


def _draw_distances(ax: Axes, curves: Sequence[Mapping[str, Any]], colour: str) -> None:
    for curve in curves:
        if "distance" in curve:
            ax.plot(curve["distance"]["iteration"], curve["distance"]["value"], color=colour, lw=1.4)
        if curve.get("law_rms"):
            ax.axhline(curve["law_rms"], ls="-.", color=colour, lw=1)


def _draw_widths(ax: Axes, points: Mapping[str, Any], colour: str) -> list[Any]:
    """Means against width, with their law; returns the ends of the bars."""
    if "distance" not in points:  # no point has a finite one
        return []
    ends = draw_means(ax, points, "distance", colour, None)
    if "law_rms" in points:
        at, law, _ = group(points["width"], points["law_rms"])
        ax.plot(at, law, "-.", color=colour, lw=1)
    return list(ends)


def _fit(ax: Axes, runs: Sequence[Mapping[str, Any]], name: str, log: bool | None, room: float = 1.0) -> None:
    shown = [curve[name] for run in runs for curve in run["curves"] if name in curve]
    fit_axis(ax, "x", *(curve["iteration"] for curve in shown), [], log=False)
    fit_axis(ax, "y", *(curve["value"] for curve in shown), [], log=log, floor=DEEPEST, room=room)


def _styles(runs: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    drawn = {name for run in runs for curve in run["curves"] for name in curve}
    bounds = [
        Line2D([], [], ls=style, color=GREY, lw=1, label=label)
        for name, (style, label) in LOSS_BOUNDS.items()
        if name in drawn
    ]
    return [Line2D([], [], color=GREY, lw=1.4, label="measured"), *bounds]


def _short(name: str) -> str:
    return name if len(name) <= MOST else name[: MOST - 1] + "…"
