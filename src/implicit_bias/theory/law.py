"""The sharp law of the min-norm distance (ours): exact given V V^T, in closed form at large width. See docs/law.md."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from implicit_bias.theory.norm_law import NormLaw, check, norm_law, probability
from implicit_bias.theory.problem import Array, Problem, as_matrix

MAX_WIDTH = 10**18


@dataclass(frozen=True)
class Scaling:
    """Entries of U(0), V(0) i.i.d. of standard deviations sigma_U = gain_U h^-alpha and sigma_V = gain_V h^-alpha.

    The paper's initialisation is gain_U = gain_V = 1, alpha = 1/2; fixed scales are alpha = 0.

    Raises:
        ValueError: alpha is negative or not finite, a gain is not positive and finite.
    """

    alpha: float = 0.5
    gain_U: float = 1.0
    gain_V: float = 1.0

    def __post_init__(self) -> None:
        check("alpha", self.alpha, self.alpha >= 0, "finite and >= 0")
        check("gain_U", self.gain_U, self.gain_U > 0, "finite and > 0")
        check("gain_V", self.gain_V, self.gain_V > 0, "finite and > 0")

    def sigma_U(self, h: float) -> float:
        """Standard deviation of the entries of U(0) at width h."""
        return float(self.gain_U * check("h", h, h >= 1, "finite and >= 1") ** -self.alpha)

    def gram(self, h: float) -> tuple[float, float]:
        """(a, b) = (sigma_U^2 h, sigma_V^2 h)."""
        power = check("h", h, h >= 1, "finite and >= 1") ** (1 - 2 * self.alpha)
        return self.gain_U**2 * power, self.gain_V**2 * power


PAPER = Scaling()
"""sigma_U = sigma_V = h^{-1/2}."""


@dataclass(frozen=True)
class LargeWidthLimit:
    """U1 U1^T(inf) = a I + A diag(e) A^T and V V^T(inf) = b I + B diag(e) B^T at large width, M = A diag(mu) B^T.

    Attributes:
        a, b: sigma_U^2 h and sigma_V^2 h.
        e: (q,) growth of the q = min(r, m) modes, decreasing.
        A: (r, q) left singular vectors of M = Phi1^T Theta^.
        B: (m, q) right singular vectors of M.
    """

    a: float
    b: float
    e: Array
    A: Array
    B: Array

    @property
    def VVt(self) -> Array:
        """(m, m) V V^T(inf)."""
        return self.b * np.eye(len(self.B)) + (self.B * self.e) @ self.B.T

    @property
    def U1U1t(self) -> Array:
        """(r, r) U1 U1^T(inf)."""
        return self.a * np.eye(len(self.A)) + (self.A * self.e) @ self.A.T

    @property
    def v(self) -> Array:
        """(m,) eigenvalues of V V^T(inf), decreasing."""
        return self.b + np.pad(self.e, (0, len(self.B) - self.e.size))


def mode_growth(mu: Array, a: float, b: float) -> Array:
    """Growth e = ((T^2 + 4 mu^2)^{1/2} - T) / 2, T = a + b, of modes mu >= 0, without cancellation or overflow."""
    quarter, half = a / 4 + b / 4, mu / 2
    root = quarter + np.hypot(quarter, half)
    fraction: Array = np.divide(half, root, out=np.zeros_like(mu), where=root > 0)
    return mu * fraction


def large_width_limit(problem: Problem, a: float, b: float) -> LargeWidthLimit:
    """End of the flow as h grows with a = sigma_U^2 h and b = sigma_V^2 h fixed (ours, docs/law.md section 2).

    a = b = 0 is the rich limit. Raises ValueError if a or b is negative or not finite.
    """
    a = check("a = sigma_U^2 h", a, a >= 0, "finite and >= 0")
    b = check("b = sigma_V^2 h", b, b >= 0, "finite and >= 0")
    A, mu, Bt = np.linalg.svd(problem.min_norm_coordinates, full_matrices=False)
    return LargeWidthLimit(a=a, b=b, e=mode_growth(mu, a, b), A=A, B=Bt.T)


def asymptotic_rate(problem: Problem, limit: LargeWidthLimit) -> float:
    """Rate at which L - L* decays in the end: 2 min_j lambda_min(diag(sigma)(c_j I + U1U1^T)diag(sigma)).

    c_j are the eigenvalues of V V^T(inf). Computed from the inverse, so that the smallest eigenvalue keeps its digits.
    """
    basis = np.linalg.svd(limit.A, full_matrices=True)[0]
    basis[:, : limit.e.size] = limit.A
    spectrum = limit.v[-1] + limit.a + np.pad(limit.e, (0, problem.r - limit.e.size))
    if not np.all(spectrum > 0):
        return 0.0
    inverse_root = basis / np.sqrt(spectrum) / (problem.sigma / problem.sigma[-1])[:, None]
    return float(2 * (problem.sigma[-1] / np.linalg.norm(inverse_root, 2)) ** 2)


def kernel_change(problem: Problem, limit: LargeWidthLimit) -> float:
    """||K(inf) - K(0)||_F / ||K(0)||_F of the kernel K(E) = Sigma_x E VV^T + diag(sigma) U1U1^T diag(sigma) E."""
    s2 = (problem.sigma / problem.sigma[0]) ** 2
    AtSA = limit.A.T @ (s2[:, None] * limit.A)
    e = limit.e
    moved = np.sum(s2**2) * np.sum(e**2) + problem.m * e @ AtSA**2 @ e
    moved += 2 * np.sum(e) * np.sum(e * np.sum((s2[:, None] * limit.A) ** 2, axis=0))
    scale = (limit.a + limit.b) * sqrt(problem.m) * np.linalg.norm(s2)
    return float(np.sqrt(moved) / scale) if scale > 0 else inf


def _gram(problem: Problem, VVt: ArrayLike) -> tuple[Array, Array]:
    """Diagonal and eigenvalues of V V^T, checked."""
    matrix = as_matrix("VVt", VVt)
    if matrix.shape != (problem.m, problem.m) or not np.allclose(matrix, matrix.T, atol=1e-8 * np.abs(matrix).max()):
        raise ValueError(f"VVt must be a symmetric ({problem.m}, {problem.m}) matrix V V^T, got shape {matrix.shape}")
    v = np.linalg.eigvalsh(matrix)
    if v[0] < -1e-8 * abs(v[-1]):
        raise ValueError(f"VVt must be positive semidefinite, got smallest eigenvalue {v[0]}")
    return np.diag(matrix).clip(min=0.0), v.clip(min=0.0)


def distance_law(problem: Problem, VVt: ArrayLike, sigma_U: float) -> NormLaw:
    """Law of ||U V(t)^T - Theta(t)||_F = ||U2 V(t)^T||_F given V(t), at any t, for the flow or gradient descent (ours).

    At t = inf it is the distance to the min-norm solution. U2 has i.i.d. N(0, sigma_U^2) entries, so the squared
    norm is sigma_U^2 sum_j v_j chi^2_{D-r}, v_j the eigenvalues of V V^T; it is 0 where D = r.

    Args:
        problem: the reparametrised problem.
        VVt: (m, m) V V^T of the run.
        sigma_U: standard deviation of the entries of U(0), h^-alpha in the paper.

    Raises:
        ValueError: VVt is not a symmetric positive semidefinite (m, m) matrix, or sigma_U is not positive.
    """
    sigma_U = check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0")
    return norm_law(sigma_U**2 * _gram(problem, VVt)[1], problem.D - problem.r)


def limit_const(problem: Problem) -> float:
    """lim h^{1/2} rms distance at alpha = 1/2: (D-r)^{1/2} (tr (I + Theta^^T Theta^)^{1/2})^{1/2}."""
    return _limit_law(_modes(problem), PAPER, 1, np.ones(1), problem.D - problem.r).rms


def lazy_distance(problem: Problem, sigma_U: float, b: float) -> float:
    """Root mean square distance as a + b -> inf, where V stays: sigma_U (b m (D-r))^{1/2}."""
    return sigma_U * sqrt(b * problem.m * (problem.D - problem.r))


def rich_distance(problem: Problem, sigma_U: float) -> float:
    """Root mean square distance as a + b -> 0: sigma_U ((D-r) ||Theta^||_*)^{1/2}, a nuclear norm."""
    return sigma_U * sqrt((problem.D - problem.r) * float(_modes(problem).sum()))


def _modes(problem: Problem) -> Array:
    """(m,) singular values of M, padded with zeros."""
    mu = np.linalg.svd(problem.min_norm_coordinates, compute_uv=False)
    return np.pad(mu, (0, problem.m - mu.size))


def _limit_law(mu: Array, scaling: Scaling, h: float, unseen: Array, dof: int) -> NormLaw:
    """Law of (sum_ij unseen_i sigma_U^2 v_j chi^2_dof)^{1/2} with V V^T at its large-width limit."""
    a, b = scaling.gram(h)
    v = b + mode_growth(mu, a, b)
    return norm_law(scaling.sigma_U(h) ** 2 * np.outer(unseen, v), dof)


@dataclass(frozen=True)
class DistancePrediction:
    """Large-width prediction of the distance to the min-norm solution, no training.

    Attributes:
        h: (H,) widths.
        rms: (H,) root mean square distance.
        lower, upper: (H,) two-sided 1 - delta quantile band.
        bound: (H,) Gaussian concentration bound at 1 - delta.
    """

    h: Array
    rms: Array
    lower: Array
    upper: Array
    bound: Array


def predict_distance(
    problem: Problem, h: ArrayLike, scaling: Scaling = PAPER, delta: float = 0.05
) -> DistancePrediction:
    """Predict the distance at widths h (H,) from one SVD (ours, docs/law.md section 2); default the paper's scaling.

    Raises:
        ValueError: a width is below 1 or not finite, or delta is outside (0, 1).
    """
    delta, widths, mu = probability("delta", delta), np.atleast_1d(np.asarray(h, float)), _modes(problem)
    laws = [_limit_law(mu, scaling, width, np.ones(1), problem.D - problem.r) for width in widths.flat]
    rows = [(law.rms, law.quantile(delta / 2), law.upper(delta / 2), law.bound(delta)) for law in laws]
    rms, lower, upper, bound = np.array(rows).reshape(-1, 4).T
    return DistancePrediction(h=widths, rms=rms, lower=lower, upper=upper, bound=bound)


def _unseen_part(problem: Problem, x: ArrayLike) -> Array:
    """Phi2 Phi2^T x of the rows of x (N, D), exactly 0 where it is rounding."""
    points = as_matrix("x", np.atleast_2d(np.asarray(x, float)))
    if points.shape[1] != problem.D:
        raise ValueError(f"x must have D = {problem.D} columns, got shape {points.shape}")
    part = points - (points @ problem.Phi1) @ problem.Phi1.T
    part -= (part @ problem.Phi1) @ problem.Phi1.T
    rounding = problem.D * np.finfo(float).eps * np.linalg.norm(points, axis=1, keepdims=True)
    return np.where(np.linalg.norm(part, axis=1, keepdims=True) > rounding, part, 0.0)


@dataclass(frozen=True)
class PredictionBand:
    """Entries of x^T U V(inf)^T are N(center, std^2), in [lower, upper] with probability 1 - delta; all (N, m)."""

    center: Array
    std: Array
    lower: Array
    upper: Array


def prediction_band(
    problem: Problem, x: ArrayLike, VVt: ArrayLike, sigma_U: float, delta: float = 0.05
) -> PredictionBand:
    """Exact pointwise band of the trained network around ridgeless regression, given V(inf) (ours).

    Args:
        problem: the reparametrised problem.
        x: (N, D) or (D,) test points.
        VVt: (m, m) V V^T at convergence.
        sigma_U: standard deviation of the entries of U(0).
        delta: probability outside the band, for each entry.

    Raises:
        ValueError: x, VVt, sigma_U or delta is not what it must be.
    """
    variances = check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0") ** 2 * _gram(problem, VVt)[0]
    z = -float(ndtri(probability("delta", delta) / 2))
    unseen = np.linalg.norm(_unseen_part(problem, x), axis=1)
    center = np.atleast_2d(np.asarray(x, float)) @ problem.min_norm_solution
    std = np.outer(unseen, np.sqrt(variances))
    return PredictionBand(center=center, std=std, lower=center - z * std, upper=center + z * std)


def unseen_spectrum(problem: Problem, X_test: ArrayLike) -> Array:
    """Nonzero eigenvalues of Phi2^T Sigma_test Phi2, Sigma_test = X_test^T X_test / N, from test rows (N, D)."""
    part = _unseen_part(problem, X_test)
    s = np.linalg.svd(part / sqrt(len(part)), compute_uv=False)[: problem.D - problem.r]
    return np.asarray(s**2, float)


def unseen_spectrum_of_covariance(problem: Problem, covariance: ArrayLike) -> Array:
    """(D - r,) eigenvalues, decreasing, of Phi2^T Sigma_test Phi2 for a covariance (D, D), without Phi2."""
    half = _unseen_part(problem, as_matrix("covariance", covariance))
    spectrum = np.linalg.eigvalsh(_unseen_part(problem, half.T))[::-1][: problem.D - problem.r]
    return np.where(spectrum > problem.D * np.finfo(float).eps * np.abs(covariance).max(), spectrum, 0.0)


def excess_risk_law(problem: Problem, unseen: ArrayLike, VVt: ArrayLike, sigma_U: float) -> NormLaw:
    """Law, given V(inf), of the root mean square difference between network and ridgeless predictions (ours).

    Its rms squared, sigma_U^2 tr(V V^T) tr(Phi2^T Sigma_test Phi2), is the expected excess test risk over ridgeless
    regression: the cross term with the ridgeless residual is odd in U2 and has mean 0.

    `unseen` holds the eigenvalues of Phi2^T Sigma_test Phi2, from `unseen_spectrum` or `unseen_spectrum_of_covariance`;
    VVt (m, m) and sigma_U as in `distance_law`.

    Raises:
        ValueError: an argument is not what it must be.
    """
    sigma_U = check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0")
    return norm_law(sigma_U**2 * np.outer(np.asarray(unseen, float), _gram(problem, VVt)[1]), 1)


def width_for_distance(problem: Problem, epsilon: float, delta: float = 0.05, scaling: Scaling = PAPER) -> int:
    """Smallest width from which on the distance stays <= epsilon with probability >= 1 - delta at large width.

    Raises:
        ValueError: epsilon or delta is out of range, or no width up to 10^18 will do (alpha <= 1/4, or too small).
    """
    return _width(problem, np.ones(1), problem.D - problem.r, epsilon, delta, scaling)


def width_for_prediction(
    problem: Problem, x: ArrayLike, epsilon: float, delta: float = 0.05, scaling: Scaling = PAPER
) -> int:
    """Smallest width from which on ||x^T U V^T - x^T Theta^|| <= epsilon at every row of x, jointly (union bound).

    Raises:
        ValueError: as `width_for_distance`, or x is not (N, D) and finite.
    """
    energy = np.sum(_unseen_part(problem, x) ** 2, axis=1)
    return _width(problem, energy.max(keepdims=True), 1, epsilon, probability("delta", delta) / energy.size, scaling)


def width_for_risk(
    problem: Problem, unseen: ArrayLike, epsilon: float, delta: float = 0.05, scaling: Scaling = PAPER
) -> int:
    """Smallest width from which on the mean square difference to ridgeless predictions is <= epsilon.

    With probability >= 1 - delta; `unseen` as in `excess_risk_law`. Raises ValueError as `width_for_distance`.
    """
    epsilon = check("epsilon", epsilon, epsilon > 0, "finite and > 0")
    return _width(problem, np.asarray(unseen, float), 1, sqrt(epsilon), delta, scaling)


def _width(problem: Problem, unseen: Array, dof: int, epsilon: float, delta: float, scaling: Scaling) -> int:
    """Bisection: every weight sigma_U^2 v_j falls with h as soon as alpha >= 1/4 (docs/law.md section 5)."""
    epsilon = check("epsilon", epsilon, epsilon > 0, "finite and > 0")
    delta, mu = probability("delta", delta), _modes(problem)

    def law(h: int) -> NormLaw:
        return _limit_law(mu, scaling, h, unseen, dof)

    def enough(h: int) -> bool:
        return float(law(h).sf(epsilon)) <= delta

    if not law(1).weights.size:
        return 1
    if scaling.alpha < 0.25:
        raise ValueError(f"alpha must be above 1/4 for the deviation to vanish with h, got {scaling.alpha}")
    if not enough(MAX_WIDTH):
        raise ValueError(
            f"epsilon must be at least {law(MAX_WIDTH).upper(delta)}, what width {MAX_WIDTH:.0e} attains "
            f"at alpha = {scaling.alpha}, got {epsilon}"
        )
    low, high = 0, 1
    while not enough(high):
        low, high = high, min(2 * high, MAX_WIDTH)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
