"""The hidden directions of a network: those that its weights have, and no others."""

from collections.abc import Callable

import numpy as np
from scipy.linalg.blas import dsyrk, dtrsm
from scipy.linalg.lapack import dpotrf, dtrcon

from implicit_bias.theory.problem import Array

_EPS = float(np.finfo(float).eps)
_CLEARLY_FULL = 1e-8
"""Reciprocal condition, rows of P scaled to 1, above which no hidden direction is near to rounding."""
_WELL_CONDITIONED = 0.05
"""The same, above which a Cholesky factor of P P^T, which squares the condition, loses less than three digits of O."""
_ROUNDING = 1e-12
"""Norm of a row over that of the largest one, from which on it is no rounding of sums that the others are made of."""
_SQUARES = 1e-100, 1e100
"""Norms of rows whose squares and their products are numbers of full precision."""


def row_space(P: Array, size: Callable[[], Array] | None = None) -> tuple[Array, Array]:
    """Factor P = R O^T with as many orthonormal columns in O as P has rank (ours, docs/theory.md "Rank of a start").

    A direction is rounding, and dropped, if elimination leaves of it less than the rounding errors of the entries it
    was made of. Entries are judged one by one: rows and columns of P may differ in size by any factor.

    Args:
        P: (k, h) stack [U1; V], k > 0.
        size: gives the sizes (k, h) of the numbers that the entries of P are sums and differences of; |P| by default.

    Returns:
        R (k, k'), O (h, k'), k' = rank P, but one zero column where P = 0.
    """
    norms = np.linalg.norm(P, axis=1)
    if size is None or np.min(norms) > _ROUNDING * np.max(norms):  # else a row may be nothing but rounding
        if factors := _by_cholesky(P):
            return factors
        O, RT = np.linalg.qr(P.T)
        if _clearly_full(RT):
            return RT.T, O
    L, M = _eliminate(P, np.abs(P) if size is None else np.maximum(size(), np.abs(P)))
    O, T = np.linalg.qr(M.T)
    return L @ T.T, O


def own_directions(R: Array) -> tuple[Array, Array]:
    """R (k, k') itself and the identity if its columns are independent, else `row_space`: what a run is made with."""
    own, O = row_space(R)
    return (R, np.eye(R.shape[1])) if own.shape == R.shape else (own, O)


def _by_cholesky(P: Array) -> tuple[Array, Array] | None:
    """R = L, O = P^T L^-T with P P^T = L L^T, in a fifth of the time of QR; None where that would cost more digits."""
    k, h = P.shape
    norms = np.linalg.norm(P, axis=1)
    if h < 2 * k or not np.all((_SQUARES[0] < norms) & (norms < _SQUARES[1])):
        return None
    rows = P / norms[:, None]
    L, singular = dpotrf(dsyrk(1.0, rows.T, trans=1, lower=1), lower=1, overwrite_a=1)
    if singular or float(dtrcon(L, uplo="L")[0]) < _WELL_CONDITIONED:
        return None
    return norms[:, None] * L, dtrsm(1.0, L, rows.T, side=1, lower=1, trans_a=1)


def _clearly_full(RT: Array) -> bool:
    """Whether the upper-trapezoidal factor (k', k) of P^T has full row rank beyond doubt."""
    norms = np.linalg.norm(RT, axis=0)
    if not np.all(norms > 0):
        return False
    scaled = RT[:, : len(RT)] / norms[: len(RT)]
    return float(dtrcon(scaled)[0]) > _CLEARLY_FULL


def _eliminate(P: Array, size: Array) -> tuple[Array, Array]:
    """P = L M, L (k, k'), M (k', h), by Gaussian elimination with complete pivoting, ended where rounding is left.

    `size` follows the largest number that each entry of what is left was computed from.
    """
    k, h = P.shape
    cut = 8 * _EPS * k
    left, size = P.copy(), size.copy()
    L, M = [], []
    for _ in range(min(k, h)):
        real = np.where(np.abs(left) > cut * size, np.abs(left), 0.0)
        i, j = np.unravel_index(np.argmax(real), real.shape)
        pivot = left[i, j]
        if real[i, j] == 0:
            break
        column, row = left[:, j] / pivot, left[i].copy()
        L.append(column)
        M.append(row)
        relative = np.abs(row / pivot)
        np.maximum(size, np.abs(column)[:, None] * size[i], out=size)
        np.maximum(size, size[:, j, None] * relative, out=size)
        left -= column[:, None] * row
        left[i], left[:, j] = 0.0, 0.0
    return np.reshape(L or [np.zeros(k)], (-1, k)).T, np.reshape(M or [np.zeros(h)], (-1, h))
