"""The end of the flow at large width, in closed form (ours, docs/law.md section 2)."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from implicit_bias.theory.checks import check
from implicit_bias.theory.problem import Array, Problem


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
