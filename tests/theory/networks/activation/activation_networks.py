"""Whole networks with an activation, U (D, h) and all: brute force to hold the reduced ones against."""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.activation.activations import ACTIVATIONS, Activation, own_activation
from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.points import Points, read_points
from implicit_bias.theory.networks.activation.samples import read_samples

SOFTPLUS = own_activation(lambda z: np.logaddexp(0, z), lambda z: 1 / (1 + np.exp(-z)), "softplus")
HINGE = own_activation(lambda z: np.maximum(z - 0.1, 0) + 0.5 * z, lambda z: (z > 0.1) + 0.5, "hinge", kinks=(0.1,))
EVERY = {**ACTIVATIONS, "softplus": SOFTPLUS, "hinge": HINGE}
SMOOTH = [name for name, phi in EVERY.items() if not phi.kinks]


@dataclass
class Case:
    """Data, test points and a whole network."""

    X: np.ndarray
    Y: np.ndarray
    points: np.ndarray
    U: np.ndarray
    V: np.ndarray
    phi: Activation

    @property
    def model(self) -> Model:
        return Model(read_samples(self.X, self.Y), self.phi)

    @property
    def read(self) -> Points:
        return read_points(self.model.samples.problem, self.points)

    def reduced(self, U=None, V=None) -> np.ndarray:
        """[Phi1^T U; V]."""
        U, V = self.U if U is None else U, self.V if V is None else V
        return np.vstack([self.model.samples.problem.Phi1.T @ U, V])

    def velocity(self, U, V):
        """-grad L by the chain rule, no SVD in sight."""
        H = self.X @ U
        E = self.Y - self.phi.value(H) @ V.T
        return self.X.T @ ((E @ V) * self.phi.derivative(H)), E.T @ self.phi.value(H)

    def loss(self, U, V) -> float:
        return 0.5 * float(np.sum((self.Y - self.phi.value(self.X @ U) @ V.T) ** 2))

    def predict(self, U, V):
        return self.phi.value(self.points @ U) @ V.T

    def descent(self, step_size: float, iterations: int, momentum: float = 0.0, decay: float = 0.0):
        """U, V after descent on the averaged loss, with weight decay added to the gradient of L."""
        U, V, step = self.U, self.V, 2 * step_size / len(self.X)
        bU, bV = np.zeros_like(U), np.zeros_like(V)
        for _ in range(iterations):
            dU, dV = self.velocity(U, V)
            bU, bV = momentum * bU + dU - decay * U, momentum * bV + dV - decay * V
            U, V = U + step * bU, V + step * bV
        return U, V

    def flow(self, t: float, rtol: float = 1e-11):
        """U, V of the flow on L at time t, by scipy."""
        shape, split = self.U.shape, self.U.size

        def rhs(_, y):
            dU, dV = self.velocity(y[:split].reshape(shape), y[split:].reshape(self.V.shape))
            return np.concatenate([dU.ravel(), dV.ravel()])

        start = np.concatenate([self.U.ravel(), self.V.ravel()])
        y = solve_ivp(rhs, (0, t), start, method="DOP853", rtol=rtol, atol=rtol).y[:, -1]
        return y[:split].reshape(shape), y[split:].reshape(self.V.shape)


def case(name: str, seed: int = 0, n: int = 6, D: int = 11, m: int = 2, h: int = 9, rank: int | None = None, count=5):
    """A random Case; entries of U, V have standard deviations 0.6 and 0.4."""
    rng = np.random.default_rng([seed, n, D, m, h])
    rank = n if rank is None else rank
    W, _ = np.linalg.qr(rng.standard_normal((n, rank)))
    Q, _ = np.linalg.qr(rng.standard_normal((D, rank)))
    X = (W * rng.uniform(0.7, 1.3, rank)) @ Q.T
    return Case(
        X,
        rng.standard_normal((n, m)),
        rng.standard_normal((count, D)) / np.sqrt(D),
        0.6 * rng.standard_normal((D, h)),
        0.4 * rng.standard_normal((m, h)),
        EVERY[name],
    )
