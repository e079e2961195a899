"""The reduced state of a deep linear network y = W_L^T ... W_1^T x of any widths."""

from dataclasses import dataclass, replace

import numpy as np

from implicit_bias.theory.networks.two_layer import State, unseen_factor
from implicit_bias.theory.problem import Array, Problem

Layers = tuple[Array, ...]


@dataclass(frozen=True)
class DeepState:
    """A deep linear network in orthonormal bases of the hidden directions that training can use (ours, docs/depth.md).

    Layer 0 is A = Phi1^T W_1, layer l = 1 ... L - 1 is W_{l+1}; of hidden layer l = 1 ... L - 1 d_l directions are
    kept. With one layer there is none, and W_1 (D, m) is the network.

    Attributes:
        layers: L arrays of shapes (r, d_1), (d_1, d_2), ..., (d_{L-1}, m).
        B: (q, d_1) triangular factor of Phi2^T W_1, which does not move.
        widths: (L - 1) hidden widths.
        open: for each inner layer orthonormal rows (d_{l-1}, p) and columns (d_l, p') that are left to explore: their
            images under the initial layer are not all in the bases, and what they meet outside is cut off.
        levels: how often the initial layers were applied to build the bases.
    """

    layers: Layers
    B: Array
    widths: tuple[int, ...]
    open: tuple[tuple[Array, Array], ...]
    levels: int

    @property
    def depth(self) -> int:
        """Layers L."""
        return len(self.layers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Dimensions (d_1, ..., d_{L-1}) kept of each hidden layer."""
        return tuple(layer.shape[1] for layer in self.layers[:-1])

    @property
    def closed(self) -> bool:
        """Whether nothing is cut off: the reduction is exact for all times."""
        return not any(directions.size for ends in self.open for directions in ends)

    @property
    def inner(self) -> Layers:
        """W_2, ..., W_{L-1}."""
        return self.layers[1:-1]

    @property
    def U2(self) -> Array:
        """(q, d_1) B, by its name in the two-layer network."""
        return self.B

    def moved(self, layers: Layers) -> "DeepState":
        """The same network with other layers in the same bases."""
        return replace(self, layers=layers)


def closed_state(layers: Layers, B: Array, widths: tuple[int, ...]) -> DeepState:
    """State whose bases hold all that the layers can reach."""
    none = tuple((np.zeros((len(W), 0)), np.zeros((W.shape[1], 0))) for W in layers[1:-1])
    return DeepState(layers, B, widths, none, levels=0)


def of_two_layers(state: State) -> DeepState:
    """The paper's network: A = U1, W_2 = V^T."""
    return closed_state((state.U1, state.V.T), state.U2, (state.h,))


def balanced_deep(problem: Problem, state: DeepState) -> DeepState:
    """Balanced state of the same depth with the same end-to-end matrix (Arora, Cohen, Hazan 2018).

    All Lambda_l = 0: with the SVD A M = P diag(s) Q^T every layer has the singular values s^(1/L).

    Raises:
        ValueError: a width is below m, or A M has no full column rank m.
    """
    if min(state.widths, default=problem.m) < problem.m:
        raise ValueError(f"the balanced start needs widths >= m = {problem.m}, got {min(state.widths)}")
    M = end_to_end(state.layers[1:], problem.m)
    left, s, right = np.linalg.svd(state.layers[0] @ M, full_matrices=False)
    if s.size < problem.m or s[-1] <= np.finfo(float).eps * problem.k * s[0]:
        raise ValueError(
            f"the balanced start needs Phi1^T W_1 ... W_L of full column rank m = {problem.m}, "
            f"got singular values {s} (rank of the data r = {problem.r})"
        )
    if state.depth == 1:
        return state
    root = s ** (1 / state.depth)
    layers = (left * root, *(np.diag(root) for _ in state.inner), root[:, None] * right)
    return closed_state(layers, unseen_factor(problem, (state.B @ M) @ right.T * (root / s)), state.widths)


def complement(directions: Array) -> Array:
    """(d, d - p) orthonormal directions that complete orthonormal ones (d, p)."""
    return np.linalg.qr(directions, mode="complete")[0][:, directions.shape[1] :]


def end_to_end(layers: Layers, m: int) -> Array:
    """Product of layers (d, ...), ..., (..., m) from the last on; the identity (m, m) of none."""
    product: Array = np.eye(m)
    for W in reversed(layers):
        product = W @ product
    return product
