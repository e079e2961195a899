"""What an axis shows: its scale, limits and ticks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicit_bias.figures.numerals import number, power_of_ten

Table = Mapping[str, ArrayLike]
Array = NDArray[np.float64]

MOST_SHOWN = 1e300
"""From here on an axis would end beyond the largest number."""
LEAST_SPREAD, LEAST_SHOWN = 1e-4, 1e-300
"""Values that differ relatively, or at all, by no more are shown as one: labels have four digits and more."""
DECADES = 1e-307, 1e307
"""Where a logarithmic axis ends at the latest."""
LOG_FROM = 100.0  # largest over smallest value from which an axis is logarithmic
DEEPEST = 1e-16
"""Smallest loss shown, relative to the largest."""


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
        margin = float(10 ** (0.04 * (np.log10(high) - np.log10(low)))) if high > (1 + LEAST_SPREAD) * low else 2.0
        low, high = max(low / margin, DECADES[0]), min(high * margin, DECADES[1])
        return Span(low, high, log, *log_ticks(low, high))
    nearly_one = high - low <= max(LEAST_SPREAD * max(abs(low), abs(high)), LEAST_SHOWN)
    margin = (0.5 * abs(high) or 0.5) if nearly_one else 0.04 * (high - low)
    near_zero = zero and 0 <= low < 0.6 * high
    low, high = 0.0 if near_zero else low - margin, high + margin
    return Span(low, high, log, *linear_ticks(low, high))


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
    """At most `count` even steps, 1, 2, 2.5 or 5 times a power of ten, between two limits."""
    if not high / count - low / count > LEAST_SHOWN:
        return np.array([low]), [number(low)]
    slack = 1e-9 * count
    least = (high / count - low / count) / 2
    power = 10.0 ** np.floor(np.log10(least))
    for step in (size * power for size in (1, 2, 2.5, 5, 10, 20, 25, 50)):
        first, last = np.ceil(low / step - slack), np.floor(high / step + slack)
        if last - first <= count:
            break
    ticks = step * np.arange(first, last + 1) + 0.0  # no -0
    return ticks, list(map(number, ticks))


def positive(values: ArrayLike) -> Array:
    """The values with gaps where a logarithmic axis has no place for them."""
    array = floats(values)
    return np.where(np.isfinite(array) & (array > 0), array, np.nan)


def floats(values: ArrayLike) -> Array:
    return np.asarray(values, float)


def largest(values: ArrayLike) -> float:
    array = floats(values)
    return float(np.max(array[np.isfinite(array)], initial=0.0))


def smallest(values: ArrayLike) -> float:
    return float(np.min(floats(values), initial=np.inf))
