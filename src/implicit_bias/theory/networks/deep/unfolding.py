"""Bases of the hidden directions that training can reach, revealed level by level (ours, docs/depth.md section 2).

Training moves W_l by (A W_2 ... W_{l-1})^T F (W_{l+1} ... W_L)^T. So hidden layer 1 needs the rows of A, hidden layer
L - 1 the columns of W_L, and every hidden layer the images, under the initial layers beside it, of what its neighbours
need. One level applies every inner layer, from both sides, to the directions that it has not met yet.
"""

from typing import Protocol

import numpy as np

from implicit_bias.theory.networks.deep.state import DeepState
from implicit_bias.theory.problem import Array


class Source(Protocol):
    """Initial layers that are sampled as far as they are asked for.

    Inner layers are counted from 0 (W_2) to L - 3 (W_{L-1}); hidden layers from 0 to L - 2.
    """

    @property
    def widths(self) -> tuple[int, ...]:
        """(L - 1,) hidden widths."""
        ...

    def first(self) -> Array:
        """A (r, d_1) in a basis of its rows."""
        ...

    def last(self) -> Array:
        """W_L (d_{L-1}, m) in a basis of its columns, orthonormal also to that of A where L = 2."""
        ...

    def leave_rows(self, layer: int, rows: slice, columns: int) -> Array:
        """(p, new) coefficients of the images of `rows` in new directions beyond the first `columns` ones."""
        ...

    def leave_columns(self, layer: int, columns: slice, rows: int) -> Array:
        """(new, p) coefficients of the images of `columns` in new directions beyond the first `rows` ones."""
        ...

    def meet(self, layer: int, rows: slice, columns: slice) -> Array:
        """The block of the inner layer between basis directions neither of which has been explored."""
        ...

    def frozen(self, directions: int) -> Array:
        """(q, directions) triangular factor of Phi2^T W_1 in the basis of hidden layer 1."""
        ...


class Unfolding:
    """Reduced layers of a network, grown level by level from a Source; `state` is exact but for what is cut off.

    Args:
        source: the network's initial layers, at least three of them.
        levels: how many levels to start with.
    """

    def __init__(self, source: Source, levels: int = 0) -> None:
        self._source = source
        A, Z = source.first(), source.last()
        hidden = len(source.widths)
        self._sizes = [A.shape[1], *[0] * (hidden - 2), Z.shape[0]]
        self._first, self._last, self.levels = A, Z, 0
        self._explored = [[0, 0] for _ in range(hidden - 1)]
        self._inner: list[Array] = [np.zeros((0, 0)) for _ in range(hidden - 1)]
        for layer in range(hidden - 1):
            rows, columns = self._sizes[layer : layer + 2]
            self._inner[layer] = source.meet(layer, slice(0, rows), slice(0, columns))
        self._mark_full()
        for _ in range(levels):
            self.grow()

    @property
    def closed(self) -> bool:
        """Whether no direction is left to explore."""
        return all(tuple(done) == W.shape for done, W in zip(self._explored, self._inner, strict=True))

    def grow(self) -> None:
        """Add a level: explore, in every inner layer, the directions that are in the bases by now."""
        targets = [W.shape for W in self._inner]
        for layer, (rows, columns) in enumerate(targets):
            done = self._explored[layer]
            fresh_rows, fresh_columns = slice(done[0], rows), slice(done[1], columns)
            if fresh_rows.start < rows:
                block = self._source.leave_rows(layer, fresh_rows, self._sizes[layer + 1])
                done[0] = rows
                self._append(layer + 1, block, rows=fresh_rows, maker=layer)
            if fresh_columns.start < columns:
                block = self._source.leave_columns(layer, fresh_columns, self._sizes[layer])
                done[1] = columns
                self._append(layer, block, columns=fresh_columns, maker=layer)
        self.levels += 1
        self._mark_full()

    def _mark_full(self) -> None:
        """Directions whose images lie in a hidden layer that is known as a whole have nothing to explore."""
        full = [size == h for size, h in zip(self._sizes, self._source.widths, strict=True)]
        for layer, W in enumerate(self._inner):
            done = self._explored[layer]
            done[0] = W.shape[0] if full[layer + 1] else done[0]
            done[1] = W.shape[1] if full[layer] else done[1]

    def _append(
        self, hidden: int, block: Array, maker: int, rows: slice | None = None, columns: slice | None = None
    ) -> None:
        """Add to a hidden layer the directions that inner layer `maker` leads to, with coefficients `block`."""
        new = block.shape[1] if rows is not None else block.shape[0]
        old = self._sizes[hidden]
        self._sizes[hidden] = old + new
        fresh = slice(old, old + new)
        for layer in (hidden - 1, hidden):  # new columns of the layer before, new rows of the layer after
            if not 0 <= layer < len(self._inner):
                continue
            W, done = self._inner[layer], self._explored[layer]
            if layer == hidden - 1:
                wider = np.hstack([W, np.zeros((W.shape[0], new))])
                if layer == maker and rows is not None:
                    wider[rows, fresh] = block
                wider[done[0] :, fresh] = self._source.meet(layer, slice(done[0], W.shape[0]), fresh)
            else:
                wider = np.vstack([W, np.zeros((new, W.shape[1]))])
                if layer == maker and columns is not None:
                    wider[fresh, columns] = block
                wider[fresh, done[1] :] = self._source.meet(layer, fresh, slice(done[1], W.shape[1]))
            self._inner[layer] = wider

    def state(self) -> DeepState:
        """The network as far as it has been revealed."""
        A, Z = self._first, self._last
        d1, dL = self._sizes[0], self._sizes[-1]
        return DeepState(
            layers=(
                np.hstack([A, np.zeros((A.shape[0], d1 - A.shape[1]))]),
                *(W.copy() for W in self._inner),
                np.vstack([Z, np.zeros((dL - Z.shape[0], Z.shape[1]))]),
            ),
            B=self._source.frozen(d1),
            widths=self._source.widths,
            explored=tuple((rows, columns) for rows, columns in self._explored),
            levels=self.levels,
        )


class Fixed:
    """A network whose bases are complete from the start, instead of an Unfolding."""

    closed = True

    def __init__(self, state: DeepState) -> None:
        self._state, self.levels = state, state.levels

    def state(self) -> DeepState:
        """The network."""
        return self._state

    def grow(self) -> None:
        """Nothing: no direction is left."""
