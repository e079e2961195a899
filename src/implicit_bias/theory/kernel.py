"""The tangent kernel K(E) = Sigma_x E V V^T + diag(sigma) U1 U1^T diag(sigma) E of a state: E' = -K(E)."""

import numpy as np

from implicit_bias.theory.problem import Array, Problem


def _extreme(problem: Problem, R: Array, which: int) -> float:
    """Smallest (0) or largest (-1) eigenvalue of the tangent kernel at the reduced state R (k, k').

    In the eigenbasis of V V^T with eigenvalues c_j the kernel is diag(sigma)(c_j I + U1 U1^T)diag(sigma), j = 1..m.
    """
    V = R[problem.r :]
    scaled = problem.sigma[:, None] * R[: problem.r]
    c = max(float(np.linalg.eigvalsh(V @ V.T)[which]), 0.0)
    return max(float(np.linalg.eigvalsh(scaled @ scaled.T + np.diag(c * problem.sigma**2))[which]), 0.0)


def kernel_largest(problem: Problem, R: Array) -> float:
    """Largest eigenvalue of the tangent kernel at the reduced state R (k, k')."""
    return _extreme(problem, R, -1)


def kernel_range(problem: Problem, R: Array) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the tangent kernel at the reduced state R (k, k')."""
    return _extreme(problem, R, 0), kernel_largest(problem, R)
