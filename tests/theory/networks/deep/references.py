"""Whole deep networks, trained by the chain rule alone: what the package does on reduced layers, done here in full."""

from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.problem import Problem, reparametrize

SHAPES = {  # n, D, m, hidden widths
    "three layers": (6, 11, 2, (20, 17)),
    "three layers, wide": (8, 20, 2, (60, 50)),
    "four layers": (4, 9, 1, (14, 11, 12)),
    "five layers": (3, 7, 2, (9, 8, 9, 8)),
    "narrower than the data": (6, 9, 2, (4, 5)),
    "narrower than the outputs": (5, 9, 3, (8, 2)),
    "bottleneck": (6, 9, 2, (12, 2, 11)),
    "one neuron wide": (4, 7, 2, (5, 1)),
    "D = r": (7, 5, 2, (12, 10)),
    "two layers": (6, 11, 2, (20,)),
    "one layer": (6, 11, 2, ()),
}


@dataclass
class Full:
    """Data and all layers of a network."""

    X: np.ndarray
    Y: np.ndarray
    weights: list[np.ndarray]
    problem: Problem = field(init=False)

    def __post_init__(self) -> None:
        self.problem = reparametrize(self.X, self.Y)

    def gradient(self, weights):
        """Of L = 1/2 ||Y - X W_1 ... W_L||^2."""
        residual = self.X.T @ (self.X @ total(weights) - self.Y)
        return [
            chain(weights[:l], self.X.shape[1]).T @ residual @ chain(weights[l + 1 :], self.Y.shape[1]).T
            for l in range(len(weights))
        ]

    def flow(self, t: float):
        """Layers at time t, by scipy at its tightest."""
        shapes = [W.shape for W in self.weights]
        ends = np.cumsum([W.size for W in self.weights])[:-1]

        def split(y):
            return [part.reshape(shape) for part, shape in zip(np.split(y, ends), shapes, strict=True)]

        def rhs(_, y):
            return -np.concatenate([g.ravel() for g in self.gradient(split(y))])

        start = np.concatenate([W.ravel() for W in self.weights])
        return split(solve_ivp(rhs, (0, t), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1])

    def descent(self, step: float, iterations: int):
        """Layers after plain descent with this step on L."""
        weights = self.weights
        for _ in range(iterations):
            weights = [W - step * g for W, g in zip(weights, self.gradient(weights), strict=True)]
        return weights


def chain(weights, size: int):
    """Product of layers; the identity of none."""
    return reduce(np.matmul, weights) if weights else np.eye(size)


def total(weights):
    """W_1 ... W_L."""
    return reduce(np.matmul, weights)


def distance(full: Full, weights) -> float:
    """||W_1 ... W_L - Theta^||_F."""
    return float(np.linalg.norm(total(weights) - np.linalg.pinv(full.X) @ full.Y))


def tail_gram(weights):
    """M^T M, M = W_2 ... W_L."""
    M = chain(weights[1:], weights[-1].shape[1])
    return M.T @ M


def random_network(shape, seed: int = 0, scale: float = 1.0) -> Full:
    """Random data with singular values between 0.5 and 1.5 and a Gaussian network, of a named or given shape."""
    n, D, m, widths = SHAPES[shape] if isinstance(shape, str) else shape
    rng = np.random.default_rng([seed, n, D, m, *widths])
    rank = min(n, D)
    left, right = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (n, D))
    X = (left * rng.uniform(0.5, 1.5, rank)) @ right.T
    return Full(X, rng.standard_normal((n, m)), dense_layers(rng, D, widths, m, scale))


def dense_layers(rng, D: int, widths, m: int, scale: float = 1.0):
    """Gaussian layers drawn whole: first and last N(0, 1/h), inner N(0, 1 / rows)."""
    ends = (D, *widths, m)
    spread = [h**-0.5 for h in ends[1:-1]]
    if not widths:
        return [scale * rng.standard_normal((D, m))]
    sizes = [spread[0], *spread[:-1], spread[-1]]
    return [
        scale * size * rng.standard_normal((rows, columns))
        for size, rows, columns in zip(sizes, ends[:-1], ends[1:], strict=True)
    ]
