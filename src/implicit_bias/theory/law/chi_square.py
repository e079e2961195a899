"""Exact law of (sum_j w_j chi^2_dof)^{1/2}, the norm of a Gaussian matrix times a fixed one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, exp, log, log1p, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtr, chdtrc, chdtri, gammaincinv, gammaln, xlogy

from implicit_bias.theory.checks import probability
from implicit_bias.theory.law.roots import newton
from implicit_bias.theory.problem import Array

TINY = 1e-300
SMALLEST = 1e-100
"""Over the largest weight, of the values whose distribution is computed; they are less likely than it."""
MOST_NODES, FARTHEST = 101, 12.0
"""Most nodes of Gauss and Hermite's rule over the scale of a mixed law; the ends of the trapezoidal rule for more."""
NODES = 101
"""Of the inversion integral: 81 give 12 digits."""
BLOCK = 3000
"""Most pairs of a value and a weight that are integrated together, so that their arrays stay in the cache."""
SADDLE, MOST_STEPS = 1e-3, 50
"""Last step to the saddle point over its distance from the poles, and most steps: any contour near it will do."""


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
        return self.tails(norm, upper=False)[0]

    def sf(self, norm: ArrayLike) -> Array:
        """P(N > norm), same shape as `norm`, with full relative precision in the upper tail."""
        return self.tails(norm, upper=True)[0]

    def quantile(self, p: float) -> float:
        """The value N stays below with probability p in (0, 1).

        Raises:
            ValueError: p is outside (0, 1), or beyond what can be computed (1e-100 for two degrees of freedom).
        """
        return self._solve(probability("p", p), upper=False)

    def upper(self, delta: float) -> float:
        """The value N exceeds with probability delta in (0, 1), precise for tiny delta.

        Raises:
            ValueError: delta is outside (0, 1), or below 1e-300.
        """
        return self._solve(probability("delta", delta), upper=True)

    def bound(self, delta: float) -> float:
        """Gaussian concentration: N <= rms + (2 log(1/delta) max weight)^{1/2} with probability >= 1 - delta.

        Raises:
            ValueError: delta is outside (0, 1).
        """
        return float(concentration(self.weights, self.dof, delta))

    def tails(self, norm: ArrayLike, upper: bool) -> tuple[Array, Array]:
        """P(N <= norm), or P(N > norm) if `upper`, and its derivative by log norm, same shape as `norm`."""
        points = np.asarray(norm, float)
        if not self.weights.size:
            return np.where(points < 0, float(upper), float(not upper)), np.zeros(points.shape)
        ratios = np.clip(points.ravel() / sqrt(self.weights[0]), 0, 1e150) ** 2
        if self.weights[-1] == self.weights[0]:
            half = self.dof * self.weights.size / 2
            tail = (chdtrc if upper else chdtr)(2 * half, ratios)
            moved = 2 * np.exp(xlogy(half, ratios / 2) - ratios / 2 - gammaln(half))
        else:
            tail, density = chi_square_mix(ratios, self.weights / self.weights[0], self.dof, upper)
            moved = 2 * ratios * density
        return np.reshape(tail, points.shape), np.reshape(-moved if upper else moved, points.shape)

    def span(self, p: float, upper: bool) -> tuple[float, float, float]:
        """The value exceeded, or not, with probability p: an estimate (Satterthwaite 1946), and two ends around it."""
        weights = self.weights / self.weights[0]
        total = np.sum(weights)
        evenness = total**2 / np.sum(weights**2)  # 1 to q
        dofs = self.dof * np.array([evenness, 1.0, self.weights.size])
        squares = np.array([total / evenness, 1.0, 1.0]) * (chdtri(dofs, p) if upper else 2 * gammaincinv(dofs / 2, p))
        start, low, high = map(float, np.sqrt(squares) * sqrt(self.weights[0]))
        return start, low, high

    def _solve(self, p: float, upper: bool) -> float:
        if not self.weights.size:
            return 0.0
        start, low, high = self.span(p, upper)
        if self.weights[-1] == self.weights[0]:
            return high
        return _solve(self.tails, p, upper, start, low, high, least=sqrt(SMALLEST) * sqrt(self.weights[0]))


Tails = Callable[[float, bool], tuple[Any, Any]]
"""(norm, upper) -> P(N <= norm), or P(N > norm) if `upper`, and its derivative by log norm."""


def _solve(tails: Tails, p: float, upper: bool, start: float, low: float, high: float, least: float) -> float:
    """The norm in [low, high] that is exceeded with probability p if `upper`, else not exceeded: by the rarer tail.

    Raises:
        ValueError: a tail is below TINY, or the norm below `least`.
    """
    above = (p > 0.5) != upper
    target = log1p(-p) if p > 0.5 else log(p)

    def miss(log_norm: float) -> tuple[float, float]:
        tail, moved = tails(exp(log_norm), above)
        likely = max(float(tail), TINY)
        return log(likely) - target, float(moved) / likely

    found = 0.0
    if target >= log(TINY) and high > least:
        ends = log(max(low, least)) - 1e-9, log(high) + 1e-9
        found = exp(newton(miss, log(start) if start > 0 else ends[0], *ends, rising=not above))
    if found <= least:
        raise ValueError(f"the probability must be so large that its quantile can be computed, got {p}")
    return found


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
        return float(self._tails(norm, upper=False)[0])

    def sf(self, norm: float) -> float:
        """P(S N > norm)."""
        return float(self._tails(norm, upper=True)[0])

    def quantile(self, p: float) -> float:
        """The value S N stays below with probability p in (0, 1).

        Raises:
            ValueError: p is outside (0, 1), or beyond what can be computed (1e-100 for two degrees of freedom).
        """
        return self._solve(probability("p", p), upper=False)

    def upper(self, delta: float) -> float:
        """The value S N exceeds with probability delta in (0, 1), precise for tiny delta.

        Raises:
            ValueError: delta is outside (0, 1), or below 1e-300.
        """
        return self._solve(probability("delta", delta), upper=True)

    @cached_property
    def _mixture(self) -> tuple[Array, Array]:
        """Values of S, and their shares."""
        if not self.given.weights.size:
            return np.ones(1), np.ones(1)
        w = self.given.weights / self.given.weights[0]
        spread = np.sqrt(np.sum(w**2) / (2 * self.given.dof)) / np.sum(w)  # of log N
        share = sqrt(self.variance) / spread
        count = 3 + 2 * ceil(8 * share) if share > 1e-3 else 1
        if count <= MOST_NODES:
            nodes, weights = _gauss_hermite(count)
        else:  # N is so much narrower than S that its distribution is nearly a step, of width 2 / share in the nodes
            nodes = np.linspace(-FARTHEST, FARTHEST, ceil(2 * FARTHEST * share))
            weights = np.exp(-(nodes**2) / 2) * (nodes[1] - nodes[0])
        return np.exp(sqrt(self.variance) * nodes / 2 - self.variance / 4), weights / sqrt(2 * pi)

    def _tails(self, norm: float, upper: bool) -> tuple[float, float]:
        scales, shares = self._mixture
        tail, moved = self.given.tails(norm / scales, upper)
        return float(shares @ tail), float(shares @ moved)

    def _solve(self, p: float, upper: bool) -> float:
        if not self.given.weights.size:
            return 0.0
        scales, _ = self._mixture
        start, low, high = self.given.span(p, upper)
        least = sqrt(SMALLEST) * sqrt(self.given.weights[0]) * scales[-1]
        return _solve(self._tails, p, upper, start, low * scales[0], high * scales[-1], least)


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


def chi_square_mix(x: Array, weights: Array, dof: int, upper: bool) -> tuple[Array, Array]:
    """P(Q <= x), or P(Q > x) if `upper`, and the density, (N,) each, of Q = sum_j weights_j chi^2_dof, max weight 1.

    The Laplace inversion integral of E exp(-s Q) / s = prod_j (1 + 2 w_j s)^{-dof/2} / s along a parabola near its
    saddle point, s > 0 for the lower tail and -1/2 < s < 0 for the upper one, by the trapezoidal rule: relative
    precision in both tails. The tail that holds the mean comes from its complement; tails below 1e-300, and P(Q <= x)
    for x below 1e-100, are 0. The density is the same integral without 1 / s (docs/law.md section 3).
    """
    total, right = dof * weights.size, x > dof * weights.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        negligible = x - total - total * np.log(x / total) > -2 * log(TINY)
    tail, density = np.zeros((2, x.size))  # of the side of the mean that x is on
    for some, above in (((x > SMALLEST) & ~right, False), (right & np.isfinite(x) & ~(negligible & (x > total)), True)):
        for part in np.array_split(np.flatnonzero(some), ceil(x.size * weights.size / BLOCK)):
            if part.size:
                tail[part], density[part] = _integrals(x[part], weights, dof, above)
    return np.where(right == upper, tail, 1 - tail), density


def _integrals(x: Array, weights: Array, dof: int, upper: bool) -> tuple[Array, Array]:
    """(N,) the integrals of tail and density for x (N,) > 0 that are all on one side of the mean."""
    s0 = saddle(x, weights, dof, upper)
    ratio = weights / (1 + 2 * weights * s0[:, None])
    second, third = 2 * dof * np.sum(ratio**2, axis=1), -8 * dof * np.sum(ratio**3, axis=1)
    bend, width = (third / (6 * second))[:, None], 1 / np.sqrt(second + s0**-2)[:, None]
    t = np.arcsinh(np.maximum(9.0, np.sqrt(-40 / (bend * x[:, None])) / width)) * _SHARES
    y = width * np.sinh(t)
    s = s0[:, None] + 1j * y + bend * y**2
    re, im = (2 * weights * part[:, :, None] for part in (s.real, s.imag))
    turned = np.arctan(im / (1 + re)) + np.where(re < -1, pi, 0.0)
    modulus, angle = (np.sum(part, axis=2) for part in (np.log1p(re * (2 + re) + im**2) / 2, turned))
    log_mgf = -dof / 2 * (modulus + 1j * angle)
    values = np.exp(s * x[:, None] + log_mgf) * (1 - 2j * bend * y) * (width * np.cosh(t))
    values[:, 0] /= 2
    step = t[:, 1] / pi
    return np.abs(np.sum((values / s).real, axis=1)) * step, np.abs(np.sum(values.real, axis=1)) * step


def saddle(x: Array, weights: Array, dof: int, upper: bool) -> Array:
    """(N,) the saddle points, -1/2 < s < 0 if `upper`, else s > 0: roots of F (ours, docs/law.md section 3).

    F(s) = 1 - x s + dof/2 sum_j (1 - 1 / (1 + 2 w_j s)) is concave, and so is each term in w_j. With all weights at
    their mean, and for s < 0 with the largest alone, it is a larger function, whose root is one of a quadratic. From
    there, where F <= 0, Newton's steps go to the root of F and never past it.
    """

    def outside(weight: float, count: int) -> Array:
        half = (x - weight * (2 + dof * count)) / 2
        most = np.abs(half) + np.sqrt(half**2 + 2 * weight * x)
        one, other = 1 / most, most / (2 * weight * x)
        return np.where(half > 0, -other, -one) if upper else np.where(half > 0, one, other)

    s = outside(float(np.mean(weights)), weights.size)
    if upper:
        s = np.maximum(s, outside(1.0, 1))
    for _ in range(MOST_STEPS):
        d = 1 / (1 + 2 * weights * s[:, None])
        F = 1 - x * s + dof / 2 * (weights.size - np.sum(d, axis=1))
        step = F / (dof * (d**2 @ weights) - x)
        s -= step
        if np.all(np.abs(step) <= SADDLE * np.minimum(np.abs(s), np.abs(s + 0.5))):
            break
    return s


_SHARES = np.linspace(0, 1, NODES)
