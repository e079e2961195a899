"""The style of all figures: colours, panels, axes, ticks.

Layouts and ticks are fixed in advance, which keeps drawing fast and equal inputs equal to the byte.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from implicit_bias.figures.page import BETWEEN, BOTTOM, GAP, LEFT, Layout, current_page, drawn_for
from implicit_bias.figures.palette import BLACK, BLUE, COLOURS, GREY, LIGHT
from implicit_bias.figures.spans import Array, Table, floats, largest, span

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
    "legend.title_fontsize": 8,
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

WINDOWS = ("backend", "backend_fallback", "toolbar", "interactive")
PLAIN: dict[Any, Any] = dict(
    matplotlib.RcParams(
        {name: value for name, value in matplotlib.rcParamsDefault.items() if name not in WINDOWS} | STYLE
    )
)
"""All settings of matplotlib but for its windows: the style, and else what it does by default."""

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

SMALLEST = 5.0  # points that the letters of a label have at least
MOST_MARKERS = 60  # widths above which a curve of means has a band instead of markers and bars
MANY = 300  # runs above which single ones are drawn smaller and fainter, so that their crowd shows where it is dense


def colours(count: int) -> Sequence[str]:
    """So many colours that differ: of a few each its own, of more a scale from dark to light."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [to_hex(colour) for colour in matplotlib.colormaps["viridis"](np.linspace(0, 0.92, count))]


def group(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array]:
    """Distinct x with the mean and the standard deviation of the finite y there; NaN for the deviation of one value."""
    x, y = floats(x), floats(y)
    finite = np.isfinite(y)
    at, member, count = np.unique(x[finite], return_inverse=True, return_counts=True)
    unit = largest(np.abs(y)) or 1.0  # so that no sum overflows, and no square
    relative = y[finite] / unit
    mean = np.bincount(member, relative, at.size) / count
    square = np.bincount(member, (relative - mean[member]) ** 2, at.size)
    deviation = np.sqrt(np.divide(square, count - 1, out=np.full(at.size, np.nan), where=count > 1))
    return at, mean * unit, deviation * unit


@contextmanager
def plain_style() -> Iterator[None]:
    """The settings of matplotlib that figures are drawn and saved with, whatever a person's matplotlibrc says."""
    with matplotlib.rc_context():
        dict.update(matplotlib.rcParams, PLAIN | current_page().settings)  # matplotlib would check each of them again
        yield


class PlainFigure(Figure):
    """A figure that is saved as it was drawn: matplotlib reads fonts and formats when it saves.

    Attributes:
        style: the page that it is drawn for, a name of PAGES.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.style = current_page().name

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        with drawn_for(self.style), plain_style():
            super().savefig(*args, **kwargs)


@contextmanager
def panels(
    count: int,
    size: tuple[float, float],
    top: float = 0.15,
    right: float = 0.15,
    width_ratios: Sequence[float] | None = None,
    rows: int = 1,
    gap: float = GAP,
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure with rows of panels, in the style of all; `size`, the margins and the gap between rows in inches.

    On a page with columns the panels are laid out anew (`page.Layout`).
    """
    layout = Layout(rows, count, *size, top, right, gap, width_ratios).on(current_page())
    width, height, (across, up) = layout.width, layout.height, layout.panel
    with plain_style():
        figure = PlainFigure(figsize=(width, height))
        grid = figure.subplots(layout.rows, layout.columns, squeeze=False, width_ratios=layout.width_ratios)
        figure.subplots_adjust(
            left=LEFT / width,
            right=1 - layout.right / width,
            bottom=BOTTOM / height,
            top=1 - top / height,
            hspace=gap / up,
            wspace=BETWEEN / across,
        )
        axes = list(grid.ravel())
        for ax in axes:
            ax.grid(True)
            ax.tick_params(**tick_style())
            ax.tick_params(which="minor", length=0)
        yield figure, axes
        if current_page().column is not None:
            _fit_labels(axes, up + 1.8 * min(gap / 2, top, BOTTOM))


def tick_style() -> dict[str, Any]:
    """How ticks look on the page."""
    return TICKS | {"labelsize": current_page().tick_size}


def _fit_labels(axes: Sequence[Axes], room: float) -> None:
    """Shrink labels of vertical axes that are longer than `room` inches, by quarters of a point."""
    for ax in axes:
        label = ax.yaxis.label
        while label.get_window_extent().height > room * ax.figure.dpi and float(label.get_fontsize()) > SMALLEST:
            label.set_fontsize(float(label.get_fontsize()) - 0.25)


def fit_axis(
    ax: Axes,
    axis: Literal["x", "y"],
    *values: ArrayLike,
    log: bool | None = None,
    zero: bool = True,
    floor: float = 0.0,
    room: float = 1.0,
) -> None:
    """Give an axis the scale, limits and ticks that show the values; see `span`."""
    fitted = span(*values, log=log, zero=zero, floor=floor, room=room)
    ax.set(**{f"{axis}scale": "log" if fitted.log else "linear", f"{axis}lim": (fitted.low, fitted.high)})
    ticker = ax.xaxis if axis == "x" else ax.yaxis
    ticker.set_ticks(fitted.ticks, fitted.labels)
    ticker.set_ticks([], minor=True)


def draw_means(
    ax: Axes, points: Table, name: str, colour: str, label: str | None, power: float = 1.0
) -> tuple[Array, Array]:
    """Means and standard deviations over the runs of a width, against width^power; returns their ends.

    Of many widths the deviations are a band; single runs of many widths are dots.
    """
    width, mean, deviation = group(points["width"], points[name])
    bar = np.nan_to_num(deviation)
    with np.errstate(over="ignore"):
        low, high = np.where(mean > bar, mean - bar, mean), mean + bar
    at = width**power
    if width.size <= MOST_MARKERS:
        ax.errorbar(at, mean, deviation, fmt="-o", color=colour, lw=1.2, elinewidth=1, label=label)
    elif bar.any():
        ax.fill_between(at, low, high, color=colour, alpha=0.25, lw=0)
        ax.plot(at, mean, color=colour, lw=1.2, label=label)
    else:
        ax.plot(at, mean, **dots(label, colour, width.size))
    return low, high


def dots(label: str | None, colour: str = BLUE, count: int = 1) -> dict[str, Any]:
    """Keywords that draw `count` single runs."""
    size, opacity = (max((MANY / max(count, MANY)) ** power, 0.6) for power in (0.25, 0.5))
    shape = {"ls": "", "marker": "o", "ms": 3.5 * size, "mew": 0}
    return shape | {"color": colour, "alpha": 0.6 * opacity, "label": label}


def legend_room(*values: ArrayLike) -> float:
    """Factor above positive values that leaves the upper third of a logarithmic axis to a legend."""
    shown = np.concatenate([floats(value).ravel() for value in values]) if values else np.ones(1)
    shown = shown[shown > 0]
    return float(max(4.0, (shown.max() / shown.min()) ** 0.45)) if shown.size else 1.0
