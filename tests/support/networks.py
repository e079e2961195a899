"""Full-space references: what the package computes on reduced states, done here on whole networks."""

from dataclasses import dataclass, field

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.two_layer import State, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize

SHAPES = {  # n, D, m, rank of X, h
    "one output": (6, 11, 1, 6, 20),
    "three outputs": (5, 9, 3, 5, 14),
    "rank deficient": (7, 9, 2, 4, 15),
    "more samples than inputs, rank deficient": (12, 7, 2, 5, 10),
    "one sample": (1, 5, 2, 1, 6),
    "D = r + 1": (5, 6, 2, 5, 12),
    "D = r": (9, 5, 2, 5, 12),
    "one hidden unit": (5, 8, 3, 5, 1),
    "h < m": (6, 9, 3, 6, 2),
    "h < r": (6, 9, 2, 6, 4),
    "h < r + m": (6, 9, 3, 6, 8),
    "h = r + m": (6, 9, 2, 6, 8),
    "r < m": (3, 8, 5, 3, 12),
    "r <= h < m": (3, 8, 5, 3, 4),
    "h < r < m": (3, 8, 5, 3, 2),
}


def random_data(rng: np.random.Generator, n: int, D: int, m: int, rank: int):
    """X (n, D) of the given rank, singular values between 0.5 and 1.5, and Y (n, m), in part out of reach."""
    W, _ = np.linalg.qr(rng.standard_normal((n, rank)))
    Phi1, _ = np.linalg.qr(rng.standard_normal((D, rank)))
    return (W * rng.uniform(0.5, 1.5, rank)) @ Phi1.T, rng.standard_normal((n, m))


@dataclass
class Case:
    """Data and a full network, with the reduced problem and state made of them."""

    X: np.ndarray
    Y: np.ndarray
    U: np.ndarray
    V: np.ndarray
    problem: Problem = field(init=False)
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.problem = reparametrize(self.X, self.Y)
        self.state = reduce_network(self.problem, self.U, self.V)

    @property
    def Phi2(self) -> np.ndarray:
        """(D, D - r) explicit basis of the directions that the data do not see."""
        return complement(self.problem.Phi1)

    def reduced(self, U: np.ndarray, V: np.ndarray) -> State:
        return reduce_network(self.problem, U, V)


def random_case(shape: str | tuple[int, int, int, int, int], seed: int = 0, scale_u: float = 0.5, scale_v: float = 0.5):
    """A random Case of a named or given shape (n, D, m, rank, h)."""
    n, D, m, rank, h = SHAPES[shape] if isinstance(shape, str) else shape
    rng = np.random.default_rng([seed, n, D, m, rank, h])
    X, Y = random_data(rng, n, D, m, rank)
    return Case(X, Y, scale_u * rng.standard_normal((D, h)), scale_v * rng.standard_normal((m, h)))


def complement(Phi1: np.ndarray) -> np.ndarray:
    """(D, D - r) orthonormal basis of the orthogonal complement of the columns of Phi1."""
    return np.linalg.svd(Phi1, full_matrices=True)[0][:, Phi1.shape[1] :]


def full_loss(case: Case, U: np.ndarray, V: np.ndarray) -> float:
    """L = 1/2 ||Y - X U V^T||_F^2."""
    return 0.5 * float(np.sum((case.Y - case.X @ U @ V.T) ** 2))


def full_gradient(case: Case, U: np.ndarray, V: np.ndarray):
    """Gradient of L by the chain rule, no SVD in sight."""
    G = case.X.T @ (case.X @ U @ V.T - case.Y)
    return G @ V, G.T @ U


def full_descent(case: Case, step_size: float, iterations: int):
    """U, V after fixed-step gradient descent on the averaged loss ||Y - X U V^T||_F^2 / n."""
    U, V, n = case.U, case.V, len(case.X)
    for _ in range(iterations):
        dU, dV = full_gradient(case, U, V)
        U, V = U - step_size * (2 / n) * dU, V - step_size * (2 / n) * dV
    return U, V


def full_flow(case: Case, t: float):
    """U, V of the gradient flow on L at time t, by scipy."""
    shape, split = case.U.shape, case.U.size

    def rhs(_, y):
        dU, dV = full_gradient(case, y[:split].reshape(shape), y[split:].reshape(case.V.shape))
        return -np.concatenate([dU.ravel(), dV.ravel()])

    start = np.concatenate([case.U.ravel(), case.V.ravel()])
    y = solve_ivp(rhs, (0, t), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    return y[:split].reshape(shape), y[split:].reshape(case.V.shape)


def full_imbalance(case: Case, U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Lambda = U1^T U1 - V^T V, h x h."""
    U1 = case.problem.Phi1.T @ U
    return U1.T @ U1 - V.T @ V


def dense_eigenvalue(A: np.ndarray, i: int) -> float:
    """lambda_i of a symmetric matrix, decreasing from i = 1; 0 beyond its size."""
    return float(np.linalg.eigvalsh(A)[::-1][i - 1]) if i <= len(A) else 0.0


def tangent_kernel(case: Case, U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """(r m, r m) J J^T, J the Jacobian of vec(diag(sigma) U1 V^T) in U1 and V, column by column.

    The map is bilinear, so that central differences with step 1 are exact.
    """
    U1 = case.problem.Phi1.T @ U
    sigma, r = case.problem.sigma[:, None], case.problem.r
    P = np.vstack([U1, V])
    columns = []
    for i, j in np.ndindex(*P.shape):
        D = np.zeros_like(P)
        D[i, j] = 1.0
        up, down = P + D, P - D
        columns.append(((sigma * (up[:r] @ up[r:].T) - sigma * (down[:r] @ down[r:].T)) / 2).ravel())
    J = np.array(columns).T
    return J @ J.T
