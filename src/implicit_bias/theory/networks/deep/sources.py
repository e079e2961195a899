"""Initial layers for an Unfolding: given ones, Gaussian ones that are never drawn whole, and their infinite width."""

from dataclasses import dataclass, field

import numpy as np

from implicit_bias.theory.initialization.gaussian import bartlett_factor
from implicit_bias.theory.networks.two_layer import unseen_factor
from implicit_bias.theory.problem import Array, Problem


@dataclass
class Dense:
    """Layers that are given whole.

    Attributes:
        problem: the reparametrised problem.
        weights: W_1 (D, h_1), W_2 (h_1, h_2), ..., W_L (h_{L-1}, m).
    """

    problem: Problem
    weights: list[Array]
    _bases: list[Array] = field(init=False)

    def __post_init__(self) -> None:
        self._A = self.problem.Phi1.T @ self.weights[0]
        self._bases = [np.zeros((h, 0)) for h in self.widths]
        self._floors = [max(W.shape) * np.finfo(float).eps * np.linalg.norm(W) for W in self.weights]
        self._floors[0] = max(self._A.shape) * np.finfo(float).eps * float(np.linalg.norm(self._A))

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(W.shape[1] for W in self.weights[:-1])

    def _extend(self, hidden: int, images: Array, floor: float) -> Array:
        """Append the directions of images (p, h) that the basis lacks; their coefficients (p, new).

        A direction that is nothing but rounding is none. Orthogonalised twice, so that the basis stays orthonormal.
        """
        Q = self._bases[hidden]
        rest = images
        for _ in range(2):
            rest = rest - (rest @ Q) @ Q.T
        _, s, right = np.linalg.svd(rest, full_matrices=False)
        keep = (s > floor) & (np.arange(s.size) < Q.shape[0] - Q.shape[1])
        new = right[keep].T
        new = np.linalg.qr(new - Q @ (Q.T @ new))[0] if new.size else new
        self._bases[hidden] = np.hstack([Q, new])
        return rest @ new

    def first(self) -> Array:
        return self._extend(0, self._A, self._floors[0])

    def last(self) -> Array:
        return self._extend(len(self._bases) - 1, self.weights[-1].T, self._floors[-1]).T

    def leave_rows(self, layer: int, rows: Array, columns: int) -> Array:
        images = (self._bases[layer] @ rows).T @ self.weights[layer + 1]
        return self._extend(layer + 1, images, self._floors[layer + 1])

    def leave_columns(self, layer: int, columns: Array, rows: int) -> Array:
        images = self.weights[layer + 1] @ (self._bases[layer + 1] @ columns)
        return self._extend(layer, images.T, self._floors[layer + 1]).T

    def meet(self, layer: int, rows: Array, columns: Array) -> Array:
        left, right = self._bases[layer] @ rows, self._bases[layer + 1] @ columns
        return left.T @ self.weights[layer + 1] @ right

    def frozen(self, directions: int) -> Array:
        U2 = self.weights[0] @ self._bases[0][:, :directions]
        return unseen_factor(self.problem, U2 - self.problem.Phi1 @ (self.problem.Phi1.T @ U2))


@dataclass
class Gaussian:
    """Independent layers of i.i.d. N(0, scales_l^2) entries, drawn as far as they are asked for (ours).

    Exact in distribution at every width, by the rotation invariance of what has not been revealed: Bartlett's factor
    (1933) at the edges, the deferred decisions of a random bidiagonalisation inside.

    Attributes:
        problem: the reparametrised problem.
        widths: (L - 1,) hidden widths.
        scales: (L,) standard deviations.
        rng: source of all randomness.
    """

    problem: Problem
    widths: tuple[int, ...]
    scales: tuple[float, ...]
    rng: np.random.Generator
    _B: Array = field(init=False)
    _unseen_rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._B = np.zeros((0, 0))
        self._unseen_rng = self.rng.spawn(1)[0]

    def first(self) -> Array:
        return self.scales[0] * bartlett_factor(self.problem.r, self.widths[0], self.rng)

    def last(self) -> Array:
        return self.scales[-1] * bartlett_factor(self.problem.m, self.widths[-1], self.rng).T

    def leave_rows(self, layer: int, rows: Array, columns: int) -> Array:
        left = self.widths[layer + 1] - columns
        return self.scales[layer + 1] * bartlett_factor(rows.shape[1], left, self.rng)

    def leave_columns(self, layer: int, columns: Array, rows: int) -> Array:
        left = self.widths[layer] - rows
        return self.scales[layer + 1] * bartlett_factor(columns.shape[1], left, self.rng).T

    def meet(self, layer: int, rows: Array, columns: Array) -> Array:
        shape = (rows.shape[1], columns.shape[1])
        return self.scales[layer + 1] * self.rng.standard_normal(shape)

    def frozen(self, directions: int) -> Array:
        """Bartlett's factor of a (D - r, directions) matrix, column by column: those drawn before stay."""
        unseen = self.problem.D - self.problem.r
        rows, old = min(unseen, directions), self._B.shape[1]
        B = np.zeros((rows, directions))
        B[: self._B.shape[0], :old] = self._B
        for j in range(old, directions):
            B[: min(j, rows), j] = self._unseen_rng.standard_normal(min(j, rows))
            if j < rows:
                B[j, j] = np.sqrt(self._unseen_rng.chisquare(float(unseen - j)))
        self._B = B
        return self.scales[0] * B


@dataclass(frozen=True)
class InfinitelyWide:
    """Limit of Gaussian layers as the widths grow together (ours): new directions alone, at their typical length.

    Attributes:
        problem: the reparametrised problem.
        widths: (L - 1,) stand-ins for the widths.
        a, b: limits of scales_1^2 h and scales_L^2 h.
        gains: (L - 2,) limits of scales_l h^(1/2) of the inner layers.
    """

    problem: Problem
    widths: tuple[int, ...]
    a: float
    b: float
    gains: tuple[float, ...]

    def first(self) -> Array:
        return float(np.sqrt(self.a)) * np.eye(self.problem.r)

    def last(self) -> Array:
        return float(np.sqrt(self.b)) * np.eye(self.problem.m)

    def leave_rows(self, layer: int, rows: Array, columns: int) -> Array:
        return self.gains[layer] * np.eye(rows.shape[1])

    def leave_columns(self, layer: int, columns: Array, rows: int) -> Array:
        return self.gains[layer] * np.eye(columns.shape[1])

    def meet(self, layer: int, rows: Array, columns: Array) -> Array:
        return np.zeros((rows.shape[1], columns.shape[1]))

    def frozen(self, directions: int) -> Array:
        return np.zeros((0, directions))
