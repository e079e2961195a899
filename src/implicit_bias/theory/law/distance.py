"""The sharp law of the min-norm distance (ours): exact given V V^T, in closed form at large width. See docs/law.md."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from implicit_bias.theory.law.chi_square import NormLaw, check, norm_law, probability
from implicit_bias.theory.problem import Array, Problem, as_matrix


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


def _symmetric(matrix: Array) -> bool:
    return bool(np.abs(matrix - matrix.T).max() <= 1e-8 * np.abs(matrix).max())


def _gram(problem: Problem, VVt: ArrayLike) -> tuple[Array, Array]:
    """Diagonal and eigenvalues of V V^T, checked."""
    matrix = as_matrix("VVt", VVt)
    if matrix.shape != (problem.m, problem.m) or not _symmetric(matrix):
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
    return sqrt((problem.D - problem.r) * float(np.sum(large_width_limit(problem, 1.0, 1.0).v)))


def lazy_distance(problem: Problem, sigma_U: float, b: float) -> float:
    """Root mean square distance as a + b -> inf, where V stays: sigma_U (b m (D-r))^{1/2}."""
    return sigma_U * sqrt(b * problem.m * (problem.D - problem.r))


def rich_distance(problem: Problem, sigma_U: float) -> float:
    """Root mean square distance as a + b -> 0: sigma_U ((D-r) ||Theta^||_*)^{1/2}, a nuclear norm."""
    nuclear = np.linalg.svd(problem.min_norm_coordinates, compute_uv=False).sum()
    return sigma_U * sqrt((problem.D - problem.r) * float(nuclear))


def unseen_part(problem: Problem, x: ArrayLike) -> Array:
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
    unseen = np.linalg.norm(unseen_part(problem, x), axis=1)
    center = np.atleast_2d(np.asarray(x, float)) @ problem.min_norm_solution
    std = np.outer(unseen, np.sqrt(variances))
    return PredictionBand(center=center, std=std, lower=center - z * std, upper=center + z * std)


def unseen_spectrum(problem: Problem, X_test: ArrayLike) -> Array:
    """Nonzero eigenvalues of Phi2^T Sigma_test Phi2, Sigma_test = X_test^T X_test / N, from test rows (N, D)."""
    part = unseen_part(problem, X_test)
    s = np.linalg.svd(part / sqrt(len(part)), compute_uv=False)[: problem.D - problem.r]
    return np.asarray(s**2, float)


def unseen_spectrum_of_covariance(problem: Problem, covariance: ArrayLike) -> Array:
    """(D - r,) eigenvalues, decreasing, of Phi2^T Sigma_test Phi2 for a covariance (D, D), without Phi2."""
    half = unseen_part(problem, as_matrix("covariance", covariance))
    spectrum = np.linalg.eigvalsh(unseen_part(problem, half.T))[::-1][: problem.D - problem.r]
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
