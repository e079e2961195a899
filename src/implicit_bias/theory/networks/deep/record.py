"""What is kept of the training of a deep network, whichever solver made it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import svdvals

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.theory.networks.deep.dynamics import beyond, excess_loss, heads, imbalances, leak, tails
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import losses_at_rest
from implicit_bias.theory.solvers.stopping import SADDLE, SLOW, STATIONARY

LARGEST_SVD = 400
"""Sizes of layers up to which their spectral norm is computed."""


class LeakError(ImplicitBiasError, ArithmeticError):
    """The run has reached directions that the reduction cuts off: it needs more levels.

    Attributes:
        seen: Gram matrices of what the run has met of the open rows and columns of each inner layer, over all samples.
    """

    def __init__(self, message: str, seen: list[list[Array]]) -> None:
        super().__init__(message)
        self.seen = seen


@dataclass(frozen=True)
class DeepTrajectory:
    """A run sampled at T flow times, the last one being where it stopped.

    Attributes:
        t: (T,) flow times on the loss L = 1/2 ||Y - X W_1 ... W_L||_F^2.
        excess: (T,) L - L* = 1/2 ||E||_F^2.
        product: (T, r, m) A M = Phi1^T W_1 ... W_L.
        V: (T, m, d_1) M^T, M = W_2 ... W_L: what V is in the two-layer network.
        force: (T,) ||diag(sigma) E||_2.
        kernel_change: (T,) ||K(t) - K(0)||_F / ||K(0)||_F of the tangent kernel.
        drifts: (L - 1,) ||Lambda_l - Lambda_l(0)||_F / (||W_l||_F^2 + ||W_{l+1}||_F^2) of each hidden layer at the end.
        head_least: (T, L) r-th singular value of what precedes a layer, A W_2 ... W_{l-1}.
        tail_least: (T, L) m-th singular value of what follows it, W_{l+1} ... W_L.
        norms: (T, L) upper bounds of the spectral norms of the layers.
        leaks: (T,) leak out of the kept directions.
        state: the final network.
        stop_reason: "tolerance", "stationary", "saddle", "slow", "time limit" or "iteration limit".
        steps: steps of the solver.
    """

    t: Array
    excess: Array
    product: Array
    V: Array
    force: Array
    kernel_change: Array
    drifts: Array
    head_least: Array
    tail_least: Array
    norms: Array
    leaks: Array
    state: DeepState
    stop_reason: str
    steps: int

    @property
    def drift(self) -> float:
        """The largest drift of all hidden layers."""
        return float(np.max(self.drifts, initial=0.0))

    @property
    def leak(self) -> float:
        """The largest leak of the run."""
        return float(np.max(self.leaks))


def _least(gram: Array) -> float:
    """Smallest singular value of what has this Gram matrix, 0 where it is rounding."""
    spectrum = np.linalg.eigvalsh(gram)
    return float(np.sqrt(max(spectrum[0] - 4 * len(gram) * np.finfo(float).eps * abs(spectrum[-1]), 0.0)))


def _norm_bound(W: Array) -> float:
    """Spectral norm of W, or where that is dear the root of its largest row sum times its largest column sum."""
    if not W.size:
        return 0.0
    if min(W.shape) <= LARGEST_SVD:
        return float(np.linalg.norm(W, 2))
    return float(np.sqrt(np.linalg.norm(W, 1) * np.linalg.norm(W, np.inf)))


@dataclass
class DeepRecorder:
    """Collects a DeepTrajectory, layers by layers.

    Attributes:
        problem: the reparametrised problem.
        start: the initial network.
        leak_tol: a larger leak ends the run by a LeakError.
    """

    problem: Problem
    start: DeepState
    leak_tol: float = np.inf
    _rows: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        P, S = heads(self.start.layers, self.problem.r), tails(self.start.layers, self.problem.m)
        self._kernel0 = self._kernel([p @ p.T for p in P], [s.T @ s for s in S])
        self._size0 = np.sqrt(_inner(self._kernel0, self._kernel0))
        sizes = [[directions.shape[1] for directions in ends] for ends in self.start.open]
        self._seen: list[list[Array]] = [[np.zeros((p, p)) for p in ends] for ends in sizes]
        self._norms0 = [_norm_bound(W) for W in self.start.layers]

    def _kernel(self, heads: list[Array], tails: list[Array]) -> list[tuple[Array, Array]]:
        """Factors (r, r), (m, m) of the tangent kernel sum_l (sigma P P^T sigma) (x) (S^T S), of P P^T and S^T S."""
        sigma = np.outer(self.problem.sigma, self.problem.sigma)
        return [(sigma * head, tail) for head, tail in zip(heads, tails, strict=True)]

    def record(self, t: float, layers: Layers) -> None:
        """Add the layers reached at flow time t.

        Raises:
            LeakError: the leak is above `leak_tol`.
        """
        problem, start = self.problem, self.start
        P, S = heads(layers, problem.r), tails(layers, problem.m)
        cut = beyond(start, P, S)
        for seen, (head, tail) in zip(self._seen, cut, strict=True):
            seen[0] += head.T @ head
            seen[1] += tail @ tail.T
        out = leak(cut)
        if out > self.leak_tol:
            message = f"{start.levels} levels leak {out:.2g} at t = {t:.3g}, more than leak_tol = {self.leak_tol:g}"
            raise LeakError(message, self._seen)
        head_grams: list[Array] = [p @ p.T for p in P]
        tail_grams: list[Array] = [s.T @ s for s in S]
        kernel = self._kernel(head_grams, tail_grams)
        product = layers[0] @ S[0]
        E = problem.Y_tilde - problem.sigma[:, None] * product
        moved = _inner(kernel, kernel) - 2 * _inner(kernel, self._kernel0) + self._size0**2
        row = {
            "t": t,
            "excess": 0.5 * np.sum(E * E),
            "product": product,
            "V": S[0].T.copy(),
            "force": svdvals(problem.sigma[:, None] * E)[0],
            "kernel_change": np.sqrt(max(moved, 0.0)) / (self._size0 or 1.0),
            "head_least": [1.0, *(_least(gram) for gram in head_grams[1:])],
            "tail_least": [_least(gram) for gram in tail_grams],
            "norms": [
                norm + float(np.linalg.norm(W - W0))
                for norm, W, W0 in zip(self._norms0, layers, start.layers, strict=True)
            ],
            "leaks": out,
        }
        for name, value in row.items():
            self._rows.setdefault(name, []).append(value)

    def trajectory(self, layers: Layers, stop_reason: str, steps: int) -> DeepTrajectory:
        """Close the record with the final layers."""
        columns = {name: np.array(values, float) for name, values in self._rows.items()}
        pairs = zip(imbalances(layers), imbalances(self.start.layers), layers[:-1], layers[1:], strict=True)
        drifts = [np.linalg.norm(now - before) / (np.sum(V * V) + np.sum(W * W) or 1.0) for now, before, V, W in pairs]
        final = self.start.moved(tuple(W.copy() for W in layers))
        if stop_reason == STATIONARY and not self._least(layers):
            stop_reason = SADDLE if steps == 0 or columns["t"][-1] == np.inf else SLOW
        return DeepTrajectory(**columns, drifts=np.array(drifts), state=final, stop_reason=stop_reason, steps=steps)

    def _least(self, layers: Layers) -> bool:
        """Whether the loss is nearer to the least of these widths than to that of a saddle, which a product of smaller
        rank has (Kawaguchi 2016)."""
        floor, next_loss = losses_at_rest(self.problem, min((W.shape[1] for W in layers[:-1]), default=self.problem.k))
        return excess_loss(self.problem, layers) < (floor + next_loss) / 2


def _inner(first: list[tuple[Array, Array]], second: list[tuple[Array, Array]]) -> float:
    """Frobenius inner product of two kernels given by the factors of their terms."""
    return sum(float(np.sum(A * C) * np.sum(B * D)) for A, B in first for C, D in second)
