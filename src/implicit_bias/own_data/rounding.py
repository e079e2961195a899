"""How far the numbers of a table are from what they stand for, told from their types and from their digits."""

from collections import Counter

import numpy as np

from implicit_bias.theory.problem import Array
from implicit_bias.theory.rounding import binary_deviation, rounding_norm

DIGITS = range(1, 13)
"""Significant decimal digits that show rounding; numbers of more are as good as float64."""

FLOAT32_DIGITS = range(7, 10)
"""Digits with which float32 is written."""

LOOKED_AT = 1000
"""Numbers that are looked at for the digits of float32."""


def rounding_deviation(values: Array, eps: Array) -> Array:
    """(D,) standard deviation of the rounding errors in each column.

    Errors are those of the format the numbers are in, or came from: float32 and float16 are known by the type, by
    values that have no more bits, and by the digits they are written with. Numbers of few decimals, or of few
    significant digits, are off by up to half a unit of the last one. Integers, multiples of 1/8 and numbers of a single
    digit are settings or counts, and exact but for their format.

    Args:
        values: (n, D) numbers.
        eps: (D,) machine epsilon of the type of each column.
    """
    eps = eps.copy()
    exact = _is_exact(values)
    for short in (np.float32, np.float16):
        fits = _have_the_bits_of(short, values) & ~exact
        eps[fits] = np.maximum(eps[fits], np.finfo(short).eps)
    written, units = _decimal_units(values, np.flatnonzero(~exact), eps)
    if _is_float32_in_text(values[:, written]):
        eps[written] = np.maximum(eps[written], np.finfo(np.float32).eps)
    deviation = binary_deviation(values, eps)
    deviation[written] = np.maximum(deviation[written], units / 12**0.5)
    return deviation


def error_norm(values: Array, deviation: Array) -> float:
    """Bound of the spectral norm of the rounding errors of a matrix, whose equal rows and columns share theirs.

    Args:
        values: (n, D) numbers as they came.
        deviation: (D,) standard deviation of their errors, in the unit that the bound is to have.
    """
    row_copies, column_copies = _copies(values), _copies(values.T)
    return rounding_norm(deviation, len(values), row_copies, column_copies)


def _is_exact(values: Array) -> np.ndarray:
    """(D,) whether a column has integers or multiples of 1/8, and not such as float32 makes of larger numbers."""
    with np.errstate(over="ignore"):
        integers, eighths = (np.all(values * part == np.rint(values * part), axis=0) for part in (1, 8))
        parts = np.abs(values).max(axis=0) * np.where(integers, 1, 8)
    return eighths & ~((parts >= 2.0 ** np.finfo(np.float32).nmant) & _have_the_bits_of(np.float32, values))


def _have_the_bits_of(short: type[np.floating], values: Array) -> np.ndarray:
    """(D,) whether all numbers of a column have no more significant bits than a format, whatever their size."""
    mantissa = np.frexp(values)[0] * 2.0 ** (np.finfo(short).nmant + 1)
    return np.all(mantissa == np.rint(mantissa), axis=0)


def _copies(rows: Array) -> int:
    return max(Counter(row.tobytes() for row in np.ascontiguousarray(rows)).values())


def _decimal_units(values: Array, columns: np.ndarray, eps: Array) -> tuple[np.ndarray, Array]:
    """Of some columns, those of few digits, and the unit of the last digit of their largest numbers.

    Numbers are written to so many decimals or to so many significant digits, whichever more of a column are.
    """
    for rows in (slice(3), slice(None)):  # most columns of full precision show it in their first rows
        digits = _digits(values[rows, columns], eps[columns])
        written = np.all(digits >= 0, axis=0)
        columns, digits = columns[written], digits[:, written]
    several = digits.max(axis=0, initial=0) > 1
    columns, digits = columns[several], digits[:, several]
    exponents = _exponents(values[:, columns])
    decimals = np.where(digits > 0, digits - 1 - exponents, -400)
    most_digits, most_decimals = digits.max(axis=0, initial=0), decimals.max(axis=0, initial=-400)
    by_decimals = np.sum(decimals == most_decimals, axis=0) >= np.sum(digits == most_digits, axis=0)
    largest = np.where(digits > 0, exponents, -400).max(axis=0, initial=-400)
    return columns, 10.0 ** np.where(by_decimals, -most_decimals, largest + 1 - most_digits)


def _digits(values: Array, eps: Array) -> np.ndarray:
    """Significant decimal digits of numbers, 0 for 0, -1 for more than are looked for."""
    found = np.full(values.shape, -1)
    found[values == 0] = 0
    mantissa = np.abs(values) / 10.0 ** _exponents(values)
    for digits in DIGITS:
        scaled = mantissa * 10.0 ** (digits - 1)
        fits = np.abs(scaled - np.rint(scaled)) <= np.minimum(4 * eps * scaled, 0.01)
        found[(found < 0) & fits] = digits
    return found


def _exponents(values: Array) -> np.ndarray:
    """Powers of ten of the first digits, 1e-300 the smallest; 0 for 0."""
    powers = np.log10(np.abs(values), where=values != 0, out=np.zeros_like(values))
    return np.maximum(np.floor(powers), -300).astype(int)


def _is_float32_in_text(values: Array) -> bool:
    """Whether numbers of seven to nine digits are those that float32 is written with."""
    sample = values.ravel()[:LOOKED_AT]
    if not sample.size or _digits(sample, np.full(sample.shape, np.finfo(float).eps)).max() not in FLOAT32_DIGITS:
        return False
    with np.errstate(over="ignore"):
        return bool(np.all(sample.astype(np.float32).astype(str).astype(float) == sample))
