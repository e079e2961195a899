"""The sharp law of the min-norm distance (ours): exact given V V^T. See docs/law.md."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.checks import as_matrix, check
from implicit_bias.theory.law.chi_square import NormLaw, norm_law
from implicit_bias.theory.problem import Array, Problem


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


def _symmetric(matrix: Array) -> bool:
    return bool(np.abs(matrix - matrix.T).max() <= 1e-8 * np.abs(matrix).max())


def gram_spectrum(problem: Problem, VVt: ArrayLike) -> tuple[Array, Array]:
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
    return norm_law(sigma_U**2 * gram_spectrum(problem, VVt)[1], problem.D - problem.r)
