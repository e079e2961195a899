"""The tangent kernel of the samples at one state, as a matrix and as a product."""

from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.problem import Array


@dataclass(frozen=True)
class Tangent:
    """How outputs move with the state at one state: E' = -K E along the flow, K = J J^T.

    Attributes:
        model: the network.
        S, slope: (n, h) phi(H), phi'(H).
        V: (m, h).
    """

    model: Model
    S: Array
    slope: Array
    V: Array

    @classmethod
    def at(cls, model: Model, H: Array, V: Array) -> "Tangent":
        """The tangent at hidden layer H (n, h) and V (m, h)."""
        return cls(model, *model.phi.evaluate(H), V)

    def gradient(self, E: Array) -> Array:
        """(n + m, h) J^T E as an increment of the state, for a residual E (n, m)."""
        n = len(E)
        C = np.empty((n + len(self.V), self.V.shape[1]))
        np.matmul(E, self.V, out=C[:n])
        C[:n] *= self.slope
        np.matmul(E.T, self.S, out=C[n:])
        return C

    def change(self, C: Array) -> Array:
        """(n, m) J C, how the outputs move with an increment C (n + m, h) of the state."""
        moved = self.model.hidden_change(C)
        moved *= self.slope
        return moved @ self.V.T + self.S @ C[len(self.S) :].T

    def product(self, E: Array) -> Array:
        """(n, m) K E."""
        return self.change(self.gradient(E))

    def kernel(self) -> Array:
        """(m, m, n, n) blocks K_op of K: E_o' = -sum_p K_op E_p.

        K_op = [o = p] S S^T + (Z Z^T) * (D diag(v_o * v_p) D^T), D = phi'(H), * elementwise.
        """
        S, D, V = self.S, self.slope, self.V
        Z = self.model.samples.Z
        gram, own = Z @ Z.T, S @ S.T
        K = np.empty((len(V), len(V), len(S), len(S)))
        for o, p in zip(*np.triu_indices(len(V)), strict=True):
            K[o, p] = gram * ((D * (V[o] * V[p])) @ D.T)
            if o == p:
                K[o, o] += own
            K[p, o] = K[o, p]
        return K

    @property
    def cost(self) -> int:
        """What `kernel` costs in gradients, each of one large product."""
        m = len(self.V)
        return 1 + m * (m + 1) // 2


def kernel_matrix(blocks: Array) -> Array:
    """(m n, m n) matrix of (m, m, n, n) blocks, outputs outermost."""
    m, n = blocks.shape[1:3]
    return blocks.transpose(0, 2, 1, 3).reshape(m * n, m * n)
