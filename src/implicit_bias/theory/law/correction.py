"""Finite-width correction of the mean of ||V(inf)||_F^2 about its large-width limit (ours). See docs/law.md."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log1p, sqrt

import numpy as np

from implicit_bias.theory.checks import check
from implicit_bias.theory.law.chi_square import MixedLaw, norm_law
from implicit_bias.theory.law.limit import large_width_limit
from implicit_bias.theory.problem import Array, Problem


@dataclass(frozen=True)
class Correction:
    """E tr V V^T(inf) = tr of its limit + value / h + O(h^-2), at fixed a = sigma_U^2 h and b = sigma_V^2 h.

    Attributes:
        value: the coefficient.
        standard_error: of the Monte Carlo estimate, 0 where the value is closed-form.
    """

    value: float
    standard_error: float


def corrected_rms(problem: Problem, a: float, b: float, h: float, correction: Correction) -> tuple[float, float]:
    """Root mean square distance at width h with its 1/h correction, and the standard error of that.

    Raises:
        ValueError: a, b or h is out of range, or h is so small that the corrected mean is not positive.
    """
    h = check("h", h, h >= 1, "finite and >= 1")
    limit = large_width_limit(problem, a, b)
    mean = float(np.sum(limit.v)) + correction.value / h
    if mean <= 0:
        raise ValueError(f"h must be above {-correction.value / np.sum(limit.v)} for a 1/h correction, got {h}")
    rms = sqrt(a / h * (problem.D - problem.r) * mean)
    return rms, rms * correction.standard_error / (2 * h * mean)


def marginal_quantile(problem: Problem, a: float, b: float, h: float, correction: Correction, p: float) -> float:
    """Quantile of the distance over the draw of the whole network: V(inf) varies too, to order 1/h of its law.

    tr V V^T(inf) is taken lognormal with the corrected mean and the deviation of `trace_deviation`, its eigenvalues in
    the proportions of their limit.

    Raises:
        ValueError: as `corrected_rms`, or p is outside (0, 1).
    """
    corrected_rms(problem, a, b, h, correction)  # refuses widths that are too small
    v = large_width_limit(problem, a, b).v
    trace = float(np.sum(v)) + correction.value / h
    law = norm_law(v * (trace / np.sum(v)) * (a / h), problem.D - problem.r)
    return MixedLaw(law, trace_variance(problem, a, b, h, trace)).quantile(p)


def trace_variance(problem: Problem, a: float, b: float, h: float, trace: float) -> float:
    """Variance of log tr V V^T(inf) at width h, lognormal of this mean and the deviation of `trace_deviation`."""
    return log1p((trace_deviation(problem, a, b) / (sqrt(h) * trace)) ** 2)


def trace_deviation(problem: Problem, a: float, b: float) -> float:
    """lim h^{1/2} std of tr V V^T(inf): no factor k^{1/2}, for only the diagonal of the initial Gram matrix enters.

    Raises:
        ValueError: a or b is not positive and finite.
    """
    _check_scales(a, b)
    mu = np.linalg.svd(problem.min_norm_coordinates, compute_uv=False)
    sech = (a + b) / np.hypot(a + b, 2 * mu)
    unseen = problem.m - mu.size
    return sqrt(float(np.sum((1 - sech) ** 2) * a**2 + np.sum((1 + sech) ** 2) * b**2) / 2 + 2 * b**2 * unseen)


def path_free_correction(problem: Problem, a: float, b: float) -> Correction:
    """The part of the correction that knows neither sigma nor the path, in closed form; all of it in the lazy limit.

    Sums over single modes of M, pairs of modes, and pairs of a mode and a direction that M does not touch.

    Raises:
        ValueError: a or b is not positive and finite.
    """
    _check_scales(a, b)
    mu = np.linalg.svd(problem.min_norm_coordinates, compute_uv=False)
    T = a + b
    cosh2 = np.hypot(T, 2 * mu) / T
    value = np.sum(((a - b) ** 2 - (a**2 + b**2) / cosh2**2) / (2 * T * cosh2))
    value += (problem.r - mu.size) * np.sum(idle_direction(cosh2, a, b))
    value += (problem.m - mu.size) * np.sum(idle_direction(cosh2, b, a))
    first, second = np.triu_indices(mu.size, 1)
    value += np.sum(_mode_pair(cosh2[first], cosh2[second], a, b))
    return Correction(value=float(value), standard_error=0.0)


def estimate_correction(
    problem: Problem,
    a: float,
    b: float,
    solve: Callable[[Array], Array],
    pairs: int = 64,
    seed: int = 0,
    step: float = 0.03,
) -> Correction:
    """Estimate the whole correction by antithetic pairs of flows about the large-width start.

    Each pair starts at Gram matrices D^{1/2} (I +- tau Z) D^{1/2}, D = diag(a I_r, b I_m), Z symmetric Gaussian with
    the covariance of sqrt(h) times the Wishart fluctuation and tau = step / sqrt(k). First orders cancel, so that the
    second difference estimates the coefficient without the 1/sqrt(h) noise of sampled networks; bias O(step^2). Its
    values are quadratic forms, as skew as chi-squares of few degrees of freedom: with few pairs a small mean comes with
    a small standard error, and the latter is too small on the whole; 64 pairs are enough for it to be right to 5 %.

    Args:
        problem: the reparametrised problem.
        a: sigma_U^2 h.
        b: sigma_V^2 h.
        solve: R(0) (k, k) -> R(inf) (k, k), accurate to well below step^2 / k.
        pairs: pairs of flows, at least 2.
        seed: of the Gaussian draws.
        step: size of the perturbation, in (0, 0.2].

    Raises:
        ValueError: an argument is out of range.
    """
    _check_scales(a, b)
    if pairs < 2:
        raise ValueError(f"pairs must be at least 2, got {pairs}")
    tau = check("step", step, 0 < step <= 0.2, "in (0, 0.2]") / sqrt(problem.k)
    root = np.sqrt(np.repeat([a, b], [problem.r, problem.m]))[:, None]
    rng = np.random.default_rng(seed)

    def trace(gram: Array) -> float:
        return float(np.sum(solve(root * np.linalg.cholesky(gram))[problem.r :] ** 2))

    center, eye = trace(np.eye(problem.k)), np.eye(problem.k)
    values = np.empty(pairs)
    for i in range(pairs):
        G = rng.standard_normal((problem.k, problem.k))
        Z = (G + G.T) / sqrt(2)
        values[i] = (trace(eye + tau * Z) + trace(eye - tau * Z) - 2 * center) / (2 * tau**2)
    return Correction(value=float(values.mean()), standard_error=float(values.std(ddof=1) / sqrt(pairs)))


def _check_scales(a: float, b: float) -> None:
    check("a = sigma_U^2 h", a, a > 0, "finite and > 0")
    check("b = sigma_V^2 h", b, b > 0, "finite and > 0")


def idle_direction(cosh2: Array, a: float, b: float) -> Array:
    """A mode of boost angle theta, cosh2 = cosh 2 theta, with a direction of U1 that M does not touch."""
    T, C2, S2 = a + b, (cosh2 + 1) / 2, (cosh2 - 1) / 2
    return a**2 / (T * np.sqrt(C2)) * (1 - 1 / cosh2) - (a**2 * S2 + a * b * C2) / (T * cosh2)


def _mode_pair(cosh2_i: Array, cosh2_j: Array, a: float, b: float) -> Array:
    """Two modes: E of the second-order term over the four entries of the initial Gram matrix that couple them."""
    D = np.diag([a, b])
    (Pi, si, Wi), (Pj, sj, Wj) = _boost(cosh2_i), _boost(cosh2_j)
    alpha, beta = (si @ np.array(unit, float) @ sj for unit in ([[0, 1], [0, 0]], [[0, 0], [1, 0]]))
    moves = [Z @ D @ Pj + Pi @ D @ Z for Z in (alpha, beta)]
    system = np.stack([np.stack([move[:, 0, 1], move[:, 1, 0]], -1) for move in moves], -1)
    total = np.zeros(cosh2_i.shape)
    for row, column, variance in ((0, 0, a * a), (0, 1, a * b), (1, 0, a * b), (1, 1, b * b)):
        eps = np.zeros((2, 2))
        eps[row, column] = 1
        pushed = Pi @ eps @ Pj
        shift = np.linalg.solve(system, -np.stack([pushed[:, 0, 1], pushed[:, 1, 0]], -1)[..., None])
        Z = shift[:, :1] * alpha + shift[:, 1:] * beta
        Zt = Z.swapaxes(1, 2)
        block_i = 2 * Z @ eps.T @ Pi + Z @ D @ Zt + Z @ np.linalg.inv(Pj) @ Zt @ D @ Pi
        block_j = 2 * Zt @ eps @ Pj + Zt @ D @ Z + Zt @ np.linalg.inv(Pi) @ Z @ D @ Pj
        total += variance * np.sum(Wi * block_i + Wj * block_j, axis=(1, 2))
    return total


def _boost(cosh2: Array) -> tuple[Array, Array, Array]:
    """Boost by theta, its square root, and the functional [[0, -tanh(2 theta)/2], [., 1]], each (pairs, 2, 2)."""
    theta = np.arccosh(cosh2) / 2
    P, s = (
        np.stack([np.cosh(x), np.sinh(x), np.sinh(x), np.cosh(x)], -1).reshape(-1, 2, 2) for x in (theta, theta / 2)
    )
    W = np.zeros_like(P)
    W[:, 0, 1] = W[:, 1, 0] = -np.tanh(2 * theta) / 2
    W[:, 1, 1] = 1
    return P, s, W
