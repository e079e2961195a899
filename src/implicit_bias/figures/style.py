"""The style of all figures: colours, panels, axes, ticks.

Layouts and ticks are fixed in advance, which keeps drawing fast and equal inputs equal to the byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from implicit_bias.figures.numerals import number as number
from implicit_bias.figures.numerals import power_of_ten

Table = Mapping[str, ArrayLike]


Array = NDArray[np.float64]


BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # Okabe and Ito (2008)


PURPLE, SKY, BLACK, GREY, LIGHT = "#CC79A7", "#56B4E9", "#000000", "#666666", "#DDDDDD"


COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)


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


MOST_SHOWN = 1e300
"""From here on an axis would end beyond the largest number."""
DECADES = 1e-307, 1e307
"""Where a logarithmic axis ends at the latest."""
LOG_FROM = 100.0  # largest over smallest value from which an axis is logarithmic


MOST_MARKERS = 60  # widths above which a curve of means has a band instead of markers and bars
MANY = 300  # runs above which single ones are drawn smaller and fainter, so that their crowd shows where it is dense


def colours(count: int) -> Sequence[str]:
    """So many colours that differ: of a few each its own, of more a scale from dark to light."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [to_hex(colour) for colour in matplotlib.colormaps["viridis"](np.linspace(0, 0.92, count))]


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as PNG. Equal figures give equal bytes: nothing in them tells time or version."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


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


def log_ticks(low: float, high: float, count: int = 6) -> tuple[Array, list[str]]:
    """About `count` ticks between two positive limits: powers of ten, else 1-2-5 steps, else even steps."""
    first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
    if last - first >= 2:
        step = -(-(last - first + 1) // count)
        exponents = np.arange(-(-first // step) * step, last + 1, step)
        return np.power(10.0, exponents), [power_of_ten(int(exponent)) for exponent in exponents]
    ticks = np.outer(10.0 ** np.arange(first - 1, last + 1), (1, 2, 5)).ravel()
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    return (ticks, list(map(number, ticks))) if ticks.size > 2 else linear_ticks(low, high, count - 2)


def linear_ticks(low: float, high: float, count: int = 5) -> tuple[Array, list[str]]:
    """At most `count` even steps between two limits."""
    ticks = floats(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    slack = 1e-9 * (high - low)
    ticks = ticks[(ticks >= low - slack) & (ticks <= high + slack)]
    return ticks, list(map(number, ticks))


@contextmanager
def plain_style() -> Iterator[None]:
    """The settings of matplotlib that figures are drawn and saved with, whatever a person's matplotlibrc says."""
    with matplotlib.rc_context():
        dict.update(matplotlib.rcParams, PLAIN)  # matplotlib would check each of them again
        yield


class PlainFigure(Figure):
    """A figure that is saved as it was drawn: matplotlib reads fonts and formats when it saves."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        with plain_style():
            super().savefig(*args, **kwargs)


@contextmanager
def panels(
    count: int,
    size: tuple[float, float],
    top: float = 0.15,
    right: float = 0.15,
    width_ratios: Sequence[float] | None = None,
    rows: int = 1,
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure with rows of panels, in the style of all; `size` and the margins in inches."""
    width, height = size
    with plain_style():
        figure = PlainFigure(figsize=size)
        grid = figure.subplots(rows, count, squeeze=False, width_ratios=width_ratios)
        figure.subplots_adjust(
            left=0.65 / width,
            right=1 - right / width,
            bottom=0.5 / height,
            top=1 - top / height,
            hspace=0.62 * rows / (height - 0.5 - top - 0.62 * (rows - 1)),
            wspace=0.75 * count / (width - 0.65 - right - 0.75 * (count - 1)),
        )
        axes = list(grid.ravel())
        for ax in axes:
            ax.grid(True)
            ax.tick_params(**TICKS)
            ax.tick_params(which="minor", length=0)
        yield figure, axes


@dataclass(frozen=True)
class Span:
    """What an axis shows.

    Attributes:
        low: lower end.
        high: upper end.
        log: whether it is logarithmic.
        ticks: where its ticks are.
        labels: what is written at them.
    """

    low: float
    high: float
    log: bool
    ticks: Array
    labels: Sequence[str]


def span(*values: ArrayLike, log: bool | None = None, zero: bool = True, floor: float = 0.0, room: float = 1.0) -> Span:
    """Scale, limits and ticks of an axis that shows the values.

    Args:
        values: everything to show; values that are not finite or from MOST_SHOWN on do not count, on a logarithmic
            axis neither do those up to 1 / MOST_SHOWN.
        log: whether the axis is logarithmic; None decides by the range of the values.
        zero: whether a linear axis starts at 0 when the values come near it.
        floor: smallest value shown on a logarithmic axis, relative to the largest.
        room: factor left above the largest value of a logarithmic axis, for a legend.
    """
    shown = np.concatenate([floats(value).ravel() for value in values])
    shown = shown[np.abs(shown) < MOST_SHOWN]
    if log is None:
        log = bool(shown.size) and 0 < LOG_FROM * smallest(shown) < largest(shown)
    if log:
        shown = shown[shown > 1 / MOST_SHOWN]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (1.0, 1.0)
    if log:
        low, high = max(low, floor * high), min(high * room, MOST_SHOWN)
        margin = float(10 ** (0.04 * (np.log10(high) - np.log10(low)))) if high > low else 2.0
        low, high = max(low / margin, DECADES[0]), min(high * margin, DECADES[1])
        return Span(low, high, log, *log_ticks(low, high))
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    near_zero = zero and 0 <= low < 0.6 * high
    low, high = 0.0 if near_zero else low - margin, high + margin
    return Span(low, high, log, *linear_ticks(low, high))


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
    return {
        "ls": "",
        "marker": "o",
        "ms": 3.5 * size,
        "color": colour,
        "alpha": 0.6 * opacity,
        "mew": 0,
        "label": label,
    }


def positive(values: ArrayLike) -> Array:
    """The values with gaps where a logarithmic axis has no place for them."""
    array = floats(values)
    return np.where(np.isfinite(array) & (array > 0), array, np.nan)


def floats(values: ArrayLike) -> Array:
    return np.asarray(values, float)


def legend_room(*values: ArrayLike) -> float:
    """Factor above positive values that leaves the upper third of a logarithmic axis to a legend."""
    shown = np.concatenate([floats(value).ravel() for value in values]) if values else np.ones(1)
    shown = shown[shown > 0]
    return float(max(4.0, (shown.max() / shown.min()) ** 0.45)) if shown.size else 1.0


def largest(values: ArrayLike) -> float:
    array = floats(values)
    return float(np.max(array[np.isfinite(array)], initial=0.0))


def smallest(values: ArrayLike) -> float:
    return float(np.min(floats(values), initial=np.inf))
