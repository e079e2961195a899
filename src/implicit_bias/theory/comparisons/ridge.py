"""Early stopping beside ridge regression: how near the path of a run is to the ridge path (docs/lazy.md).

Theta(lambda) minimises ||Y - X Theta||_F^2 + lambda ||Theta||_F^2; lambda = 0 is the min-norm solution.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from implicit_bias.theory.problem import Array, Problem

FLOW_OVER_RIDGE = 1.2985
"""max_x (1 - exp(-x)) (1 + x) / x: a mode of the flow at t is 1 to 1.2985 times that of ridge at lambda = 1/t."""
REACH, PER_DECADE = 1e6, 8
"""lambda is searched from lambda_r / REACH to lambda_1 REACH on a grid, then refined between its neighbours."""


def ridge_path(problem: Problem, penalties: ArrayLike) -> Array:
    """(L, r, m) coordinates Phi1^T Theta(lambda) = diag(sigma / (sigma^2 + lambda)) Y~ at lambda >= 0 (L,)."""
    lam = np.atleast_1d(np.asarray(penalties, float))[:, None]
    path: Array = (problem.sigma / (problem.sigma**2 + lam))[..., None] * problem.Y_tilde
    return path


def regression_flow(problem: Problem, t: ArrayLike) -> Array:
    """(T, r, m) coordinates of gradient flow on single-layer regression from 0: (1 - exp(-sigma^2 t)) M at t (T,).

    It is the linearised flow of an infinitely wide network, (a + b) times as fast.
    """
    decayed = -np.expm1(-np.atleast_1d(np.asarray(t, float))[:, None] * problem.sigma**2)
    return decayed[..., None] * problem.min_norm_coordinates


def nearest_ridge(problem: Problem, product: Array) -> tuple[Array, Array]:
    """The ridge solution nearest to each U1 V^T (T, r, m).

    Returns:
        lambda (T,), 0 and infinity included, and the distance to Theta(lambda) relative to ||Theta^||_F (T,).
    """
    low, high = problem.sigma[-1] ** 2 / REACH, problem.sigma[0] ** 2 * REACH
    grid = np.geomspace(low, high, int(PER_DECADE * np.log10(high / low)) + 1)
    penalties = np.concatenate([[0.0], grid, [np.inf]])
    path = ridge_path(problem, penalties)
    lam, gap = np.empty(len(product)), np.empty(len(product))
    for i, N in enumerate(product):
        best = int(np.argmin(np.sum((path - N) ** 2, axis=(1, 2))))
        lam[i] = penalties[best]
        if 0 < best < len(penalties) - 1:
            lam[i] = _refined(problem, N, *grid[np.clip([best - 2, best], 0, grid.size - 1)])
        gap[i] = np.linalg.norm(ridge_path(problem, lam[i])[0] - N)
    return lam, gap / (np.linalg.norm(problem.min_norm_coordinates) or 1.0)


def _refined(problem: Problem, N: Array, low: float, high: float) -> float:
    """The penalty between two others whose ridge solution is nearest to N."""

    def distance(log_penalty: float) -> float:
        return float(np.linalg.norm(ridge_path(problem, np.exp(log_penalty))[0] - N))

    return float(np.exp(minimize_scalar(distance, bounds=np.log([low, high]), method="bounded").x))


def seen_risk(problem: Problem, X_test: Array, Y_test: Array, product: Array) -> Array:
    """(T,) mean over test rows (N, D), (N, m) of ||y - N^T Phi1^T x||^2 for each N of a path (T, r, m)."""
    predictions = np.einsum("nr,trm->tnm", X_test @ problem.Phi1, product, optimize=True)
    return np.mean(np.sum((Y_test - predictions) ** 2, axis=2), axis=1)


def network_risk(problem: Problem, X_test: Array, Y_test: Array, product: Array, u2v: Array) -> Array:
    """(T,) test risk along a run, expected over rotations of U2, which leave its law and the run as they are.

    They spread ||U2 V^T||_F^2 evenly over the D - r directions that the data do not see.

    Args:
        problem: the reparametrised problem.
        X_test: (N, D) test rows.
        Y_test: (N, m) their targets.
        product: (T, r, m) U1 V^T.
        u2v: (T,) ||U2 V^T||_F.
    """
    seen = X_test @ problem.Phi1
    unseen = max(float(np.mean(np.sum(X_test**2, axis=1) - np.sum(seen**2, axis=1))), 0.0)
    return seen_risk(problem, X_test, Y_test, product) + u2v**2 * unseen / max(problem.D - problem.r, 1)
