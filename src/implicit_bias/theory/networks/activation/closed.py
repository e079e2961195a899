"""Gaussian integrals of activations in closed form."""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial, pi, sqrt

import numpy as np
from scipy.special import erf, ndtr

from implicit_bias.theory.problem import Array


@dataclass(frozen=True)
class Integrals:
    """Integrals of phi over Gaussians; all arguments are arrays of one shape, and so are the results.

    Attributes:
        mean: (a, s) -> E phi(a + s xi), xi standard normal.
        variance: (a, s) -> Var phi(a + s xi).
        dual: (p, q, c) -> E phi(u) phi(v), u, v centred of variances p, q and covariance c.
        dual_slope: (p, q, c) -> E phi'(u) phi'(v).
        hermite: (a, s, degree) -> (degree + 1, ...) E phi(a + s xi) He_l(xi) / l!^{1/2}; None where by quadrature.
    """

    mean: Callable[[Array, Array], Array]
    variance: Callable[[Array, Array], Array]
    dual: Callable[[Array, Array, Array], Array]
    dual_slope: Callable[[Array, Array, Array], Array]
    hermite: Callable[[Array, Array, int], Array] | None = None


def _ratio(a: Array, s: Array) -> Array:
    """a / s, where s = 0 infinity of the sign of a, and 0 where both are 0."""
    far = np.where(a == 0, 0.0, np.copysign(np.inf, a))
    return np.divide(a, s, out=np.broadcast_to(far, np.broadcast(a, s).shape).copy(), where=s > 0)


def _angle(p: Array, q: Array, c: Array) -> tuple[Array, Array]:
    """(pq)^{1/2} and the angle between u and v."""
    scale = np.sqrt(p) * np.sqrt(q)
    return scale, np.arccos(np.clip(np.divide(c, scale, out=np.zeros_like(scale), where=scale > 0), -1, 1))


def piecewise_linear(above: float, below: float) -> Integrals:
    """Of phi(z) = above max(z, 0) + below min(z, 0) = below z + (above - below) max(z, 0).

    The duals are the arc-cosine kernels of Cho and Saul (2009, eq. 5, 6).
    """
    bend = above - below

    def mean(a: Array, s: Array) -> Array:
        t = _ratio(a, s)
        return below * a + bend * (a * ndtr(t) + s * np.exp(-0.5 * t * t) / sqrt(2 * pi))

    def variance(a: Array, s: Array) -> Array:
        t = np.clip(_ratio(a, s), -1e100, 1e100)
        up, down, density = ndtr(t), ndtr(-t), np.exp(-0.5 * t * t) / sqrt(2 * pi)
        rectified = up + (t * up) * (t * down) + t * density * (down - up) - density**2
        return np.maximum(s * s * (below**2 + 2 * below * bend * up + bend**2 * rectified), 0.0)

    def dual(p: Array, q: Array, c: Array) -> Array:
        scale, theta = _angle(p, q, c)
        return above * below * c + bend**2 * scale * (np.sin(theta) + (pi - theta) * np.cos(theta)) / (2 * pi)

    def dual_slope(p: Array, q: Array, c: Array) -> Array:
        return above * below + bend**2 * (pi - _angle(p, q, c)[1]) / (2 * pi)

    def hermite(a: Array, s: Array, degree: int) -> Array:
        """By Stein's identity: s^l times the mean of the l-th derivative, whose kink is a delta function."""
        t = np.clip(_ratio(a, s), -1e3, 1e3)
        rows = np.empty((degree + 1, *t.shape))
        rows[0] = mean(a, s)
        before, row = np.zeros_like(t), bend * s * np.exp(-0.5 * t * t) / sqrt(2 * pi)
        for order in range(1, degree + 1):
            if order == 1:
                rows[1] = s * (below + bend * ndtr(t))
            else:
                rows[order] = row / sqrt(factorial(order))
                before, row = row, -t * row - (order - 2) * before
        return rows

    return Integrals(mean, variance, dual, dual_slope, hermite)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def _erf_variance(a: Array, s: Array) -> Array:
    """(2/pi) int_0^eta exp(-k^2 / (1 + sin w)) dw, sin eta = 2 s^2 / (1 + 2 s^2), k^2 = 2 a^2 / (1 + 2 s^2).

    Plackett's (1954) identity for the Gaussian orthant; unlike E erf^2 - (E erf)^2 it does not cancel for small s.
    """
    k2 = 2 * a * a / (1 + 2 * s * s)
    half = np.arcsin(2 * s * s / (1 + 2 * s * s)) / 2
    total = np.zeros(np.broadcast(k2, half).shape)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += weight * np.exp(-k2 / (1 + np.sin(half * (1 + node))))
    return 2 / pi * half * total


def _erf_hermite(a: Array, s: Array, degree: int) -> Array:
    """By Stein's identity: s^l times the l-th derivative in a of the mean erf(c a), c = (1 + 2 s^2)^{-1/2}."""
    c = 1 / np.sqrt(1 + 2 * s * s)
    x = c * a
    rows = np.empty((degree + 1, *np.broadcast(a, s).shape))
    rows[0] = erf(x)
    before, row = np.zeros_like(x), 2 / sqrt(pi) * (s * c) * np.exp(-x * x)  # row_l = (s c)^l erf^(l)(x)
    for order in range(1, degree + 1):
        rows[order] = row / sqrt(factorial(order))
        before, row = row, -2 * (s * c) * (x * row + (order - 1) * (s * c) * before)
    return rows


ERF = Integrals(
    mean=lambda a, s: erf(a / np.sqrt(1 + 2 * s * s)),
    variance=_erf_variance,
    dual=lambda p, q, c: 2 / pi * np.arcsin(np.clip(2 * c / np.sqrt((1 + 2 * p) * (1 + 2 * q)), -1, 1)),
    dual_slope=lambda p, q, c: 4 / pi / np.sqrt((1 + 2 * p) * (1 + 2 * q) - 4 * c * c),
    hermite=_erf_hermite,
)
"""Of the error function; the duals are those of Williams (1997, eq. 11) and their derivative."""

QUADRATIC = Integrals(
    mean=lambda a, s: a * a + s * s,
    variance=lambda a, s: 2 * s * s * (2 * a * a + s * s),
    dual=lambda p, q, c: p * q + 2 * c * c,
    dual_slope=lambda p, q, c: 4 * c,
)
"""Of z^2 (Isserlis 1918)."""
