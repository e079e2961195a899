"""Bases of the hidden directions that training can reach, revealed level by level (ours, docs/depth.md section 2).

Training moves W_l by (A W_2 ... W_{l-1})^T F (W_{l+1} ... W_L)^T. So hidden layer 1 needs the rows of A, hidden layer
L - 1 the columns of W_L, and every hidden layer the images, under the initial layers beside it, of what its neighbours
need. One level applies every inner layer, from both sides, to the directions that it has not met yet: to all of them,
or to those alone that a run has been seen to use.
"""

from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.linalg import block_diag

from implicit_bias.theory.networks.deep.state import DeepState, complement
from implicit_bias.theory.problem import Array

Chosen = tuple[tuple[Array, Array], ...]
"""For each inner layer orthonormal combinations (p, q), (p', q') of its p open rows and p' open columns."""


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

    def leave_rows(self, layer: int, rows: Array, columns: int) -> Array:
        """(p, new) coefficients of the images of rows (d, p) in new directions beyond the first `columns` ones."""
        ...

    def leave_columns(self, layer: int, columns: Array, rows: int) -> Array:
        """(new, p) coefficients of the images of columns (d, p) in new directions beyond the first `rows` ones."""
        ...

    def meet(self, layer: int, rows: Array, columns: Array) -> Array:
        """(p, q) block of the inner layer between rows (d, p) and columns (d', q) none of which has been explored."""
        ...

    def frozen(self, directions: int) -> Array:
        """(q, directions) triangular factor of Phi2^T W_1 in the basis of hidden layer 1."""
        ...


class Unfolding:
    """Reduced layers of a network, grown level by level from a Source; `state` is exact but for what is cut off.

    Args:
        source: the network's initial layers, at least three of them.
        levels: how many whole levels to start with.
    """

    def __init__(self, source: Source, levels: int = 0) -> None:
        self._source = source
        self._first, self._last, self.levels = source.first(), source.last(), 0
        self._sizes = [self._first.shape[1], *[0] * (len(source.widths) - 2), self._last.shape[0]]
        self._open = [[np.eye(rows), np.eye(columns)] for rows, columns in pairwise(self._sizes)]
        self._inner = [source.meet(layer, rows, columns) for layer, (rows, columns) in enumerate(self._open)]
        self._close_full()
        for _ in range(levels):
            self.grow()

    @property
    def closed(self) -> bool:
        """Whether no direction is left to explore."""
        return not any(directions.size for ends in self._open for directions in ends)

    def grow(self, chosen: Chosen | None = None) -> None:
        """Add a level: explore, in every inner layer, directions that are in the bases by now.

        Args:
            chosen: which combinations of those that are open; None means all of them.
        """
        counts = [[directions.shape[1] for directions in ends] for ends in self._open]
        for layer in range(len(self._inner)):
            for side in (0, 1):
                count = counts[layer][side]
                directions = self._take(layer, side, count, np.eye(count) if chosen is None else chosen[layer][side])
                if not directions.shape[1]:
                    continue
                if side == 0:
                    block = self._source.leave_rows(layer, directions, self._sizes[layer + 1])
                    self._append(layer + 1, directions @ block, maker=layer)
                else:
                    block = self._source.leave_columns(layer, directions, self._sizes[layer])
                    self._append(layer, directions @ block.T, maker=layer)
        self.levels += 1
        self._close_full()

    def _take(self, layer: int, side: int, count: int, combinations: Array) -> Array:
        """Combinations (count, q) of the first open directions, which are no longer open."""
        directions = self._open[layer][side]
        old, newer = directions[:, :count], directions[:, count:]
        rest = complement(combinations)
        self._open[layer][side] = np.hstack([old @ rest, newer])
        taken: Array = old @ combinations
        return taken

    def _close_full(self) -> None:
        """Directions whose images lie in a hidden layer that is known as a whole have nothing to explore."""
        full = [size == h for size, h in zip(self._sizes, self._source.widths, strict=True)]
        for layer, (rows, columns) in enumerate(self._open):
            self._open[layer] = [rows[:, : 0 if full[layer + 1] else None], columns[:, : 0 if full[layer] else None]]

    def _append(self, hidden: int, images: Array, maker: int) -> None:
        """Add to a hidden layer the directions that inner layer `maker` leads to, from directions on its other side.

        Args:
            hidden: the hidden layer.
            images: (d, new) coefficients, of the basis on the other side, in the new directions.
            maker: the inner layer.
        """
        old, new = self._sizes[hidden], images.shape[1]
        self._sizes[hidden] = old + new
        fresh = np.eye(old + new)[:, old:]
        if (before := hidden - 1) >= 0:
            rows, columns = self._open[before]
            met = rows @ self._source.meet(before, rows, fresh)
            self._inner[before] = np.hstack([self._inner[before], met + images if maker == before else met])
            self._open[before][1] = block_diag(columns, np.eye(new))
        if (after := hidden) < len(self._inner):
            rows, columns = self._open[after]
            met = columns @ self._source.meet(after, fresh, columns).T
            self._inner[after] = np.vstack([self._inner[after], (met + images if maker == after else met).T])
            self._open[after][0] = block_diag(rows, np.eye(new))

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
            open=tuple((rows, columns) for rows, columns in self._open),
            levels=self.levels,
        )


def used(seen: list[list[Array]], share: float) -> Chosen:
    """Few combinations of open directions that leave out at most `share` of what a run has met, at any sample (ours).

    Args:
        seen: for each inner layer the sums over the samples of the Gram matrices (p, p), (p', p') of what was met.
        share: norm that may be left out.
    """
    return tuple((_leading(rows, share), _leading(columns, share)) for rows, columns in seen)


def _leading(gram: Array, share: float) -> Array:
    """(p, q) leading eigenvectors; those left out have eigenvalues whose sum is at most share^2."""
    values, vectors = np.linalg.eigh(gram)
    left_out = np.cumsum(values.clip(min=0.0)) <= share**2
    chosen: Array = vectors[:, ~left_out]
    return chosen


class Fixed:
    """A network whose bases are complete from the start, instead of an Unfolding."""

    closed = True

    def __init__(self, state: DeepState) -> None:
        self._state, self.levels = state, state.levels

    def state(self) -> DeepState:
        """The network."""
        return self._state

    def grow(self, chosen: Chosen | None = None) -> None:
        """Nothing: no direction is left."""
