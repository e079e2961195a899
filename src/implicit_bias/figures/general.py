"""The figure of a sweep over widths of linear networks of any kind."""

from typing import Any

from implicit_bias.figures.findings import ends_of_width
from implicit_bias.figures.palette import BLACK, BLUE, ORANGE
from implicit_bias.figures.spans import floats
from implicit_bias.figures.style import WIDTH, draw_means, fit_axis, panels
from implicit_bias.figures.unconverged import mark_unconverged
from implicit_bias.sweeps.figure import Results, SweepFigure, Words


def _draw(results: Results) -> Any:
    points = results.columns
    with panels(2, (6.6, 2.9)) as (figure, (left, right)):
        final = draw_means(left, points, "distance", BLUE, "at the end")
        initial = draw_means(left, points, "distance_init", ORANGE, "its part outside the data, at the start")
        law = draw_means(left, points, "law_rms_run", BLACK, "law, given the run") if "law_rms_run" in points else ()
        fit_axis(left, "y", *final, *initial, *law)
        mark_unconverged(left, points, points["width"], points["distance"])
        fit_axis(right, "y", *draw_means(right, points, "iterations", BLUE, None))
        for ax in (left, right):
            fit_axis(ax, "x", floats(points["width"]))
            ax.set(xlabel=WIDTH)
        left.legend(loc="best")
        left.set(ylabel=r"distance to min-norm $\|\Theta-\hat\Theta\|_F$")
        right.set(ylabel="iterations to stop")
    return figure


DISTANCE_FIGURE = SweepFigure(
    Words(
        "Distance to the min-norm solution against width",
        "Mean and standard deviation over the seeds, and the law given the run, if there is one.",
        ends_of_width,
    ),
    _draw,
    kind="general",
)
