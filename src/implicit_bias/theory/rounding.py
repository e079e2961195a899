"""How far rounded data are from what they stand for, in the norm that decides their rank."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

DEVIATIONS = 5.0
"""A Gaussian matrix exceeds `rounding_norm` with probability below exp(-DEVIATIONS^2 / 2) < 4e-6."""


def rounding_norm(deviation: Array, n: int, row_copies: int = 1, column_copies: int = 1) -> float:
    """Bound of ||E||_2 for rounding errors E (n, D) that are independent and centred.

    By Weyl's inequality no singular value moves by more than ||E||_2. Rows N(0, diag(deviation^2)) have
    E ||E||_2 <= sqrt(n) max(deviation) + ||deviation||_2 (Chevet's inequality), and the norm concentrates on the scale
    max(deviation) (Davidson and Szarek 2001, Theorem II.13). Copies of rows or columns share their errors, which are
    then those of the distinct ones times the square root of their number at most.

    Args:
        deviation: (D,) standard deviation of the error in each column.
        n: number of rows.
        row_copies: how often the most frequent row occurs.
        column_copies: how often the most frequent column occurs.
    """
    largest = float(deviation.max())
    if largest == 0:
        return 0.0
    rows, columns = row_copies**0.5, column_copies**0.5
    relative = float(np.linalg.norm(deviation / largest))
    return largest * (columns * (n**0.5 + DEVIATIONS * rows) + rows * relative)


def binary_deviation(X: Array, eps: float | Array) -> Array:
    """(D,) size of the errors in numbers of a binary format: eps times the largest entry of each column.

    Storing alone rounds by a third of that or less; numbers that were computed in the format are off by a few such
    roundings.

    Args:
        X: (n, D) numbers.
        eps: machine epsilon of the format, or (D,) of those of the columns.
    """
    return np.abs(X).max(axis=0) * eps
