"""Centring and scaling, so that what rounding leaves is of the size of the result."""

import numpy as np

from implicit_bias.theory.problem import Array


def standardize(values: Array, center: bool, scale: str, deviation: Array) -> tuple[Array, Array, Array]:
    """Shift and scale a matrix, and say how: result = (values - shift) / size.

    The mean is subtracted twice: the first one is off by the rounding of the values, the second one, of what is left,
    by the rounding of the result. Centred columns are orthogonal to the ones to that precision, however large the mean.

    Args:
        values: (n, d) numbers.
        center: subtract the mean of each column; a constant column becomes exactly 0.
        scale: "none"; "columns", to unit standard deviation each, constant columns left as they are; or "table", by
            one number, to rows of root mean square norm 1, as those of the paper's Figure 1.
        deviation: (d,) size of the rounding in each column; one that varies by three times that or less is constant.

    Returns:
        The result (n, d), shift (d,) and size (d,).
    """
    n, d = values.shape
    constant = np.ptp(values, axis=0) <= 3 * deviation
    shift, shifted = np.zeros(d), values
    if center:
        shift = np.where(constant, values[0], values.mean(axis=0))
        shifted = np.where(constant, 0.0, values - shift)
        shifted = shifted - shifted.mean(axis=0)
    size = np.ones(d)
    if scale == "columns":
        size = np.where(constant, 1.0, shifted.std(axis=0))
    elif scale == "table":
        size = np.full(d, np.linalg.norm(shifted) / n**0.5 or 1.0)
    return shifted / size, shift, size
