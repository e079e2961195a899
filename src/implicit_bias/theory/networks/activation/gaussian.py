"""Gaussian integrals of any activation: closed where it has closed forms, by quadrature with an error elsewhere."""

from collections.abc import Callable, Iterator
from math import pi, sqrt
from typing import NamedTuple

import numpy as np

from implicit_bias.theory.networks.activation.activations import Activation, Function
from implicit_bias.theory.problem import Array

REACH = 9.0
"""Integrals run over |xi| <= REACH: beyond it the density is below 1e-18."""
STEPS, PIECE, BLOCK, FINEST = 64, 64, 2048, 64
"""Intervals of the trapezoidal rule at s <= 1, more in proportion to s up to FINEST times; nodes of a Gauss-Legendre
piece; points per block."""


class Moments(NamedTuple):
    """Of phi(a + s xi), xi standard normal, for arrays a, s of one shape.

    Attributes:
        mean, variance, third, fourth: mean and central moments, of the shape of a.
        error: largest difference of the mean to that by half the nodes, relative to the largest root mean square. The
            error of what is returned is about its square where phi is smooth, and below it elsewhere.
    """

    mean: Array
    variance: Array
    third: Array
    fourth: Array
    error: float


def _trapezoid(s: Array, steps: int) -> tuple[Array, Array]:
    steps *= int(np.ceil(np.clip(s.max(initial=0.0), 1.0, FINEST)))
    x = np.linspace(-REACH, REACH, steps + 1)
    return x, np.exp(-0.5 * x * x) / sqrt(2 * pi) * (2 * REACH / steps)


def _rule(kinks: tuple[float, ...], a: Array, s: Array, coarse: bool = False) -> tuple[Array, Array]:
    """Nodes and weights, (K,) or (size, K), of E f(xi) for f(xi) smooth but where a + s xi meets a kink; a, s (size,).

    Without kinks the trapezoidal rule: on a Gaussian weight its error falls like exp(-2 pi d / step), d the distance of
    the nearest singularity of phi(a + s xi) from the real line (Goodwin 1949), faster than that of Gauss-Hermite
    where phi has poles, as tanh has. With kinks the Gauss-Legendre rule between them.
    """
    if not kinks:
        return _trapezoid(s, STEPS // 2 if coarse else STEPS)
    node, weight = np.polynomial.legendre.leggauss(PIECE // 2 if coarse else PIECE)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.nan_to_num((np.sort(kinks) - a[:, None]) / s[:, None], nan=REACH).clip(-REACH, REACH)
    ends = np.concatenate([np.full((len(a), 1), -REACH), inner, np.full((len(a), 1), REACH)], axis=1)
    half = np.diff(ends, axis=1)[:, :, None] / 2
    x = (ends[:, :-1, None] + half * (1 + node)).reshape(len(a), -1)
    return x, (half * weight).reshape(len(a), -1) * np.exp(-0.5 * x * x) / sqrt(2 * pi)


def _blocks(a: Array, s: Array) -> Iterator[tuple[slice, Array, Array]]:
    a, s = (np.ravel(each) for each in np.broadcast_arrays(a, s))
    for start in range(0, a.size, BLOCK):
        block = slice(start, start + BLOCK)
        yield block, a[block], s[block]


def moments(phi: Activation, a: Array, s: Array) -> Moments:
    """Mean and central moments two to four of phi(a + s xi), by quadrature."""
    shape = np.broadcast(a, s).shape
    rows, error, size = np.empty((4, int(np.prod(shape)))), 0.0, 0.0
    for block, a1, s1 in _blocks(a, s):
        x, w = _rule(phi.kinks, a1, s1)
        values = phi.value(a1[:, None] + s1[:, None] * x)
        mean = np.sum(values * w, axis=-1)
        x, w2 = _rule(phi.kinks, a1, s1, coarse=True)
        error = max(error, np.max(np.abs(np.sum(phi.value(a1[:, None] + s1[:, None] * x) * w2, axis=-1) - mean)))
        size = max(size, np.abs(mean).max(), np.sqrt(np.sum(values**2 * w, axis=-1).max()))
        values -= mean[:, None]
        rows[0, block] = mean
        power = values * w
        for order in range(1, 4):
            power = power * values
            rows[order, block] = np.sum(power, axis=-1)
    mean, variance, third, fourth = rows.reshape(4, *shape)
    return Moments(mean, variance, third, fourth, float(error / size) if size > 0 else 0.0)


def mean_variance(phi: Activation, a: Array, s: Array) -> tuple[Array, Array, float]:
    """E phi(a + s xi), Var phi(a + s xi) and the error as in `Moments`, 0 for closed forms."""
    if phi.integrals is not None:
        a, s = np.broadcast_arrays(a, s)
        return phi.integrals.mean(a, s), phi.integrals.variance(a, s), 0.0
    mean, variance, _, _, error = moments(phi, a, s)
    return mean, variance, error


def hermite(function: Function, kinks: tuple[float, ...], a: Array, s: Array, degree: int) -> Array:
    """(degree + 1, ...) coefficients E f(a + s xi) He_l(xi) / l!^{1/2}, l = 0..degree, by quadrature.

    Mehler's formula: E f(u) g(v) = sum_l rho^l f_l g_l for standard normals of correlation rho, at any a and s.
    """
    shape = np.broadcast(a, s).shape
    coefficients = np.empty((degree + 1, int(np.prod(shape))))
    for block, a1, s1 in _blocks(a, s):
        x, w = _rule(kinks, a1, s1)
        values = function(a1[:, None] + s1[:, None] * x) * w
        before, polynomial = np.zeros_like(x), np.ones_like(x)
        for order in range(degree + 1):
            products = values @ polynomial if x.ndim == 1 else np.einsum("ik,ik->i", values, polynomial)
            coefficients[order, block] = products
            before, polynomial = polynomial, (x * polynomial - sqrt(order) * before) / sqrt(order + 1)
    return coefficients.reshape(degree + 1, *shape)


def hermite_coefficients(phi: Activation, a: Array, s: Array, degree: int) -> Array:
    """(degree + 1, ...) coefficients of phi as in `hermite`, in closed form where there is one."""
    if phi.integrals is not None and phi.integrals.hermite is not None:
        a, s = np.broadcast_arrays(a, s)
        return phi.integrals.hermite(a, s, degree)
    return hermite(phi.value, phi.kinks, a, s, degree)


def duals(phi: Activation, p: Array, q: Array, c: Array, degree: int = 60) -> tuple[Array, Array, float]:
    """E phi(u) phi(v) and E phi'(u) phi'(v) (N, n), u_i, v_j centred of variances p (N,), q (n,), covariances c (N, n).

    Returns also a bound on their error relative to the largest entry: 0 for closed forms, else that of Mehler's series
    cut at `degree`, from |rho|^(degree + 1) and what the coefficients leave of the variances.
    """
    if phi.integrals is not None:
        P, Q = np.broadcast_arrays(p[:, None], q[None, :])
        return phi.integrals.dual(P, Q, c), phi.integrals.dual_slope(P, Q, c), 0.0
    scale = np.sqrt(np.outer(p, q))
    rho = np.clip(np.divide(c, scale, out=np.zeros_like(c), where=scale > 0), -1, 1)
    value, first = _series(phi.value, phi.kinks, p, q, rho, degree)
    slope, second = _series(phi.derivative, phi.kinks, p, q, rho, degree)
    return value, slope, max(first, second)


def _series(
    function: Function, kinks: tuple[float, ...], p: Array, q: Array, rho: Array, degree: int
) -> tuple[Array, float]:
    """Mehler's series of E f(u) f(v) (N, n) and its error, exact where |rho| = 1 and the arguments agree."""
    left, left_square = _sided(function, kinks, p, degree)
    right, right_square = _sided(function, kinks, q, degree)
    total, power = np.zeros_like(rho), np.ones_like(rho)
    for f, g in zip(left, right, strict=True):
        total += power * np.outer(f, g)
        power *= rho
    rest = [np.maximum(s - np.sum(c * c, axis=0), 0.0) for s, c in ((left_square, left), (right_square, right))]
    bound = np.abs(power) * np.sqrt(np.outer(*rest))
    same = (rho >= 1 - 1e-14) & np.isclose(p[:, None], q[None, :], rtol=1e-12, atol=0)
    total = np.where(same, left_square[:, None], total)
    largest = np.abs(total).max()
    return total, float(np.where(same, 0.0, bound).max() / largest) if largest > 0 else 0.0


def _sided(function: Function, kinks: tuple[float, ...], variance: Array, degree: int) -> tuple[Array, Array]:
    """Coefficients (degree + 1, N) of f(variance^{1/2} xi) and E f^2 (N,)."""
    zero, s = np.zeros_like(variance), np.sqrt(variance)
    square: Callable[[Array], Array] = lambda z: function(z) ** 2  # noqa: E731
    return hermite(function, kinks, zero, s, degree), hermite(square, kinks, zero, s, 0)[0]
