"""What arguments must be, said in one way: the name, what it may be, what it was."""

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]


def check(name: str, value: float, valid: bool, allowed: str) -> float:
    """Return a finite, valid number as a float, or raise ValueError naming it."""
    if not (isfinite(value) and valid):
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return float(value)


def probability(name: str, value: float) -> float:
    """Return a probability strictly between 0 and 1, or raise ValueError naming it."""
    return check(name, value, 0 < value < 1, "in (0, 1)")


def as_matrix(name: str, value: ArrayLike) -> Array:
    """Return `value` as a finite two-dimensional float64 array; one-dimensional targets become a column.

    Raises:
        ValueError: the value is not numeric, not a matrix, empty, or holds NaN or infinite entries.
    """
    try:
        raw = np.asarray(value)
        if np.iscomplexobj(raw):
            raise TypeError("its entries are complex")
        matrix = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a numeric array, got {type(value).__name__}: {error}") from None
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be a non-empty matrix, got shape {matrix.shape}")
    bad = np.argwhere(~np.isfinite(matrix))
    if bad.size:
        row, column = bad[0]
        raise ValueError(
            f"{name} must be finite, got {matrix[row, column]} at row {row}, column {column} ({len(bad)} such entries)"
        )
    return matrix
