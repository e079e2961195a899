"""Exact law of (sum_j w_j chi^2_dof)^{1/2}, the norm of a Gaussian matrix times a fixed one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil, log, log1p, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import chdtr, chdtrc, chdtri, gammaincinv

from implicit_bias.theory.checks import probability
from implicit_bias.theory.law.roots import roots
from implicit_bias.theory.problem import Array

TINY = 1e-300
MOST_NODES = 101
"""Of the quadrature over the scale of a mixed law."""
NODES = 101
"""Of the inversion integral: 81 give 12 digits."""
BLOCK = 3000
"""Most pairs of a value and a weight that are integrated together, so that their arrays stay in the cache."""
SADDLE = 1e-6
"""Relative precision of the saddle point: any contour near it gives the same integral."""


@dataclass(frozen=True)
class NormLaw:
    """Law of a norm N with N^2 = sum_j weights_j chi^2_dof, all independent.

    Attributes:
        weights: (q,) positive weights, decreasing; empty when N = 0.
        dof: degrees of freedom of each chi-square.
    """

    weights: Array
    dof: int

    @property
    def rms(self) -> float:
        """(E N^2)^{1/2}."""
        return float(sqrt(self.dof) * np.sqrt(self.weights).dot(np.sqrt(self.weights)) ** 0.5)

    def cdf(self, norm: ArrayLike) -> Array:
        """P(N <= norm), same shape as `norm`."""
        return self._map(norm, upper=False)

    def sf(self, norm: ArrayLike) -> Array:
        """P(N > norm), same shape as `norm`, with full relative precision in the upper tail."""
        return self._map(norm, upper=True)

    def quantile(self, p: float) -> float:
        """The value N stays below with probability p in (0, 1).

        Raises:
            ValueError: p is outside (0, 1).
        """
        return self._solve(probability("p", p), upper=False)

    def upper(self, delta: float) -> float:
        """The value N exceeds with probability delta in (0, 1), precise for tiny delta.

        Raises:
            ValueError: delta is outside (0, 1).
        """
        return self._solve(probability("delta", delta), upper=True)

    def bound(self, delta: float) -> float:
        """Gaussian concentration: N <= rms + (2 log(1/delta) max weight)^{1/2} with probability >= 1 - delta.

        Raises:
            ValueError: delta is outside (0, 1).
        """
        return float(concentration(self.weights, self.dof, delta))

    def _map(self, norm: ArrayLike, upper: bool) -> Array:
        points = np.asarray(norm, float)
        if not self.weights.size:
            return np.where(points < 0, float(upper), float(not upper))
        ratios = np.clip(points.ravel() / sqrt(self.weights[0]), 0, 1e150) ** 2
        if self.weights[-1] == self.weights[0]:
            tail = chdtrc if upper else chdtr
            return np.asarray(tail(self.dof * self.weights.size, ratios)).reshape(points.shape)
        weights = self.weights / self.weights[0]
        return chi_square_mix_tail(ratios, weights, self.dof, upper).reshape(points.shape)

    def _solve(self, p: float, upper: bool) -> float:
        if not self.weights.size:
            return 0.0
        top = self.weights[0]
        dofs = np.array([self.dof, self.dof * self.weights.size])
        low, high = map(float, chdtri(dofs, p) if upper else 2 * gammaincinv(dofs / 2, p))
        if self.weights[-1] == top:
            return sqrt(high) * sqrt(top)
        complement = (p > 0.5) != upper
        target = log1p(-p) if p > 0.5 else log(p)

        def miss(log_x: float) -> float:
            tail = chi_square_mix_tail(np.exp([log_x]), self.weights / top, self.dof, complement)
            return log(max(tail[0], TINY)) - target

        return float(np.exp(brentq(miss, log(low) - 1e-9, log(high) + 1e-9, xtol=1e-14) / 2) * sqrt(top))


def concentration(weights: Array, dof: int, delta: float) -> Array:
    """`NormLaw.bound` of many laws at once: (...,) from weights (..., q) >= 0.

    Raises:
        ValueError: delta is outside (0, 1).
    """
    spread = sqrt(-2 * log(probability("delta", delta)))
    scales = np.sqrt(weights if dof else np.zeros_like(weights))
    return sqrt(dof) * np.linalg.norm(scales, axis=-1) + spread * np.asarray(np.max(scales, axis=-1, initial=0.0))


@dataclass(frozen=True)
class MixedLaw:
    """Law of S N, N of a given law and S independent of it, S^2 lognormal of mean 1.

    Attributes:
        given: the law of N.
        variance: of log S^2.
    """

    given: NormLaw
    variance: float

    @property
    def rms(self) -> float:
        """(E S^2 N^2)^{1/2}."""
        return self.given.rms

    def cdf(self, norm: float) -> float:
        """P(S N <= norm)."""
        if not self.given.weights.size:
            return float(norm >= 0)
        scales, shares = self._mixture()
        return float(shares @ self.given.cdf(norm / scales))

    def sf(self, norm: float) -> float:
        """P(S N > norm)."""
        if not self.given.weights.size:
            return float(norm < 0)
        scales, shares = self._mixture()
        return float(shares @ self.given.sf(norm / scales))

    def quantile(self, p: float) -> float:
        """The value S N stays below with probability p in (0, 1).

        Raises:
            ValueError: p is outside (0, 1).
        """
        return self._solve(probability("p", p), self.given.quantile(p), self.cdf, rising=True)

    def upper(self, delta: float) -> float:
        """The value S N exceeds with probability delta in (0, 1), precise for tiny delta.

        Raises:
            ValueError: delta is outside (0, 1).
        """
        return self._solve(probability("delta", delta), self.given.upper(delta), self.sf, rising=False)

    def _mixture(self) -> tuple[Array, Array]:
        w = self.given.weights
        spread = np.sqrt(np.sum(w**2) / (2 * self.given.dof)) / np.sum(w)  # of log N
        share = sqrt(self.variance) / spread
        count = min(3 + 2 * int(np.ceil(8 * share)), MOST_NODES) if share > 1e-3 else 1
        nodes, weights = _gauss_hermite(count)
        return np.exp(sqrt(self.variance) * nodes / 2 - self.variance / 4), weights / sqrt(2 * pi)

    def _solve(self, p: float, center: float, tail: Callable[[float], float], rising: bool) -> float:
        if not center > 0:
            return 0.0
        scales, _ = self._mixture()
        target = log(p)

        def miss(log_scale: float) -> float:
            return (1 if rising else -1) * (log(max(tail(center * float(np.exp(log_scale))), TINY)) - target)

        low, high = log(scales[0]) - 1e-9, log(scales[-1]) + 1e-9
        return center * float(np.exp(brentq(miss, low, high, xtol=1e-13)))


_gauss_hermite = cache(np.polynomial.hermite_e.hermegauss)


def norm_law(weights: ArrayLike, dof: int) -> NormLaw:
    """Law of (sum_j weights_j chi^2_dof)^{1/2}; zero weights are dropped.

    Raises:
        ValueError: a weight is negative or not finite, or dof is negative.
    """
    weights = np.sort(np.ravel(np.asarray(weights, float)))[::-1]
    if not (np.all(np.isfinite(weights)) and np.all(weights >= 0)):
        raise ValueError(f"weights must be finite and >= 0, got {weights}")
    if dof < 0:
        raise ValueError(f"dof must be >= 0, got {dof}")
    return NormLaw(weights=weights[weights > 0] if dof else weights[:0], dof=int(dof))


def chi_square_mix_tail(x: Array, weights: Array, dof: int, upper: bool) -> Array:
    """P(Q <= x), or P(Q > x) if `upper`, (N,) of Q = sum_j weights_j chi^2_dof, max weight 1 (docs/law.md section 3).

    The Laplace inversion integral of E exp(-s Q) / s = prod_j (1 + 2 w_j s)^{-dof/2} / s along a parabola near its
    saddle point, s > 0 for the lower tail and -1/2 < s < 0 for the upper one, by the trapezoidal rule: relative
    precision in both tails. The tail that holds the mean comes from its complement; tails below 1e-300 are 0.
    """
    total, right = dof * weights.size, x > dof * weights.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        negligible = x - total - total * np.log(x / total) > -2 * log(TINY)
    tail = np.zeros(x.size)  # of the side of the mean that x is on
    for some, above in (((x > 0) & ~right, False), (right & np.isfinite(x) & ~(negligible & (x > total)), True)):
        for part in np.array_split(np.flatnonzero(some), ceil(x.size * weights.size / BLOCK)):
            if part.size:
                tail[part] = _tail(x[part], weights, dof, above)
    return np.where(right == upper, tail, 1 - tail)


def _tail(x: Array, weights: Array, dof: int, upper: bool) -> Array:
    """(N,) the integral for x (N,) > 0 that are all on one side of the mean."""

    def slope(s: Array) -> Array:
        return x - dof * np.sum(weights / (1 + 2 * weights * s[:, None]), axis=1) - 1 / s

    low: Array
    high: Array
    if upper:
        low = 0.99 * np.minimum(0.25, dof / (2 * (x + 4))) - 0.5
        high = np.full(x.size, -1 / (4 * dof * weights.sum() + 4))
    else:
        low, high = 0.99 / x, 1.01 * (dof * weights.size / 2 + 1) / x
    s0 = roots(slope, low, high, SADDLE)
    ratio = weights / (1 + 2 * weights * s0[:, None])
    second, third = 2 * dof * np.sum(ratio**2, axis=1), -8 * dof * np.sum(ratio**3, axis=1)
    bend, width = (third / (6 * second))[:, None], 1 / np.sqrt(second + s0**-2)[:, None]
    t = np.arcsinh(np.maximum(9.0, np.sqrt(-40 / (bend * x[:, None])) / width)) * np.linspace(0, 1, NODES)
    y = width * np.sinh(t)
    s = s0[:, None] + 1j * y + bend * y**2
    re, im = (2 * weights * part[:, :, None] for part in (s.real, s.imag))
    turned = np.arctan(im / (1 + re)) + np.where(re < -1, pi, 0.0)
    modulus, angle = (np.sum(part, axis=2) for part in (np.log1p(re * (2 + re) + im**2) / 2, turned))
    log_mgf = -dof / 2 * (modulus + 1j * angle)
    values = np.real(np.exp(s * x[:, None] + log_mgf) / s * (1 - 2j * bend * y)) * width * np.cosh(t)
    return np.asarray(np.abs(values.sum(axis=1) - values[:, 0] / 2) * t[:, 1] / pi)
