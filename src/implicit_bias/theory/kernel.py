"""The tangent kernel K(E) = Sigma_x E V V^T + diag(sigma) U1 U1^T diag(sigma) E of a state: E' = -K(E)."""

import numpy as np
from scipy.linalg import eigvalsh

from implicit_bias.theory.problem import Array, Problem


def kernel_range(problem: Problem, R: Array) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the tangent kernel at the reduced state R (k, k').

    In the eigenbasis of V V^T with eigenvalues c_j the kernel is diag(sigma)(c_j I + U1 U1^T)diag(sigma), j = 1..m.
    """
    V = R[problem.r :]
    scaled = problem.sigma[:, None] * R[: problem.r]
    c = np.clip(np.linalg.eigvalsh(V @ V.T), 0.0, None)
    gram, squares = scaled @ scaled.T, problem.sigma**2
    low = eigvalsh(gram + np.diag(c[0] * squares), subset_by_index=[0, 0])[0]
    high = eigvalsh(gram + np.diag(c[-1] * squares), subset_by_index=[problem.r - 1, problem.r - 1])[0]
    return max(float(low), 0.0), float(high)
