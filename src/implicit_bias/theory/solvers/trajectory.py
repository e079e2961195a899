"""What is kept of a training run, whichever solver made it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from scipy.linalg import eigvalsh

from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import Array, Problem


@dataclass(frozen=True)
class Step:
    """One accepted step of a flow integrator.

    Attributes:
        t0: start time.
        t1: end time; infinity for the last step of an integrator that reaches the limit.
        R: (k, k') state at t1.
        at: dense output, (t in [t0, t1]) -> (k, k') state, of the same order as the step.
        residual_error: of a last step, (t) -> estimated error of the residual E relative to E, where it is larger than
            the square root of the tolerance because E has become smaller than it was expected to.
    """

    t0: float
    t1: float
    R: Array
    at: Callable[[float], Array]
    residual_error: Callable[[float], float] | None = None

    def turned(self, basis: Array) -> "Step":
        """The step in the hidden directions that `basis` (q, k') leads back to."""
        return replace(self, R=self.R @ basis.T, at=lambda t: self.at(t) @ basis.T)

    def delayed(self, start: float) -> "Step":
        """The step of a run that begins at `start`; rounding puts no time before its begin."""

        def own(t: float) -> float:
            return max(t - start, self.t0)

        error = self.residual_error
        return Step(
            self.t0 + start,
            self.t1 + start,
            self.R,
            lambda t: self.at(own(t)),
            None if error is None else lambda t: error(own(t)),
        )


Integrator = Callable[[Problem, Array, float], Iterator[Step]]
"""(problem, R(0), tolerance) -> accepted steps, in order, for as long as they are asked for."""


Kind = Literal["flow", "descent", "other"]
"""A gradient flow, gradient descent of fixed step, or another run, of which nothing is certified."""


@dataclass(frozen=True)
class Trajectory:
    """A training run sampled at T flow times, the last one being where it stopped.

    Attributes:
        t: (T,) flow times on the loss L = 1/2 ||Y - X U V^T||_F^2.
        excess: (T,) L - L* = 1/2 ||E||_F^2.
        product: (T, r, m) U1 V^T.
        V: (T, m, k') reduced V.
        force: (T,) ||diag(sigma) E||_2, the speed in (16).
        kernel_change: (T,) ||K(t) - K(0)||_F / ||K(0)||_F of the tangent kernel (kernel.py).
        drift: (T,) ||Lambda(t) - Lambda(0)||_F / max_t ||P||_F^2.
        R: (k, k') final reduced state.
        stop_reason: "tolerance", "stationary", "algebraic", "saddle", "slow", "time limit" or "iteration limit"
            (stopping.py).
        steps: steps of the solver.
        loss_error: largest estimated relative error of the recorded excess losses of a flow before t = infinity, where
            it may be larger than the square root of the tolerance; at most 1 (docs/integrator.md, "What is promised").
        U1_range: (T, 2) smallest and largest eigenvalue of U1 U1^T of a descent; (0, 2) of a flow.
    """

    t: Array
    excess: Array
    product: Array
    V: Array
    force: Array
    kernel_change: Array
    drift: Array
    R: Array
    stop_reason: str
    steps: int
    loss_error: float = 0.0
    U1_range: Array = field(default_factory=lambda: np.empty((0, 2)))


class Path(Protocol):
    """What the distance to the min-norm solution needs of a run: (T, r, m) U1 V^T and (T, m, k') V."""

    @property
    def product(self) -> Array: ...
    @property
    def V(self) -> Array: ...


class Decay(Protocol):
    """What the rate of convergence needs of a run: (T,) flow times and L - L*."""

    @property
    def t(self) -> Array: ...
    @property
    def excess(self) -> Array: ...


def residual(problem: Problem, R: Array) -> Array:
    """E = Y~ - diag(sigma) U1 V^T, shape (r, m) (paper, eq. 6)."""
    U1, V = R[: problem.r], R[problem.r :]
    return problem.Y_tilde - problem.sigma[:, None] * (U1 @ V.T)


def excess_loss(problem: Problem, R: Array) -> float:
    """L - L* = 1/2 ||E||_F^2 (paper, eq. 8)."""
    return 0.5 * float(np.sum(residual(problem, R) ** 2))


def velocity(problem: Problem, R: Array) -> Array:
    """d[U1; V]/dt = [diag(sigma) E V; E^T diag(sigma) U1] under gradient flow (paper, eq. 7)."""
    F, r = problem.sigma[:, None] * residual(problem, R), problem.r
    moved = np.empty_like(R)
    np.matmul(F, R[r:], out=moved[:r])
    np.matmul(F.T, R[:r], out=moved[r:])
    return moved


@dataclass
class Recorder:
    """Collects the observables of a Trajectory, state by state; those that bound a descent if it is `stepwise`."""

    problem: Problem
    R0: Array
    stepwise: bool = False
    _rows: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gram0 = self._grams(self.R0)
        self._kernel0 = self._kernel_norm(*self._gram0)
        self._imbalance0 = imbalance_matrix(self.R0, self.problem.r)

    def _grams(self, R: Array) -> tuple[Array, Array]:
        U1, V = self.problem.sigma[:, None] * R[: self.problem.r], R[self.problem.r :]
        return U1 @ U1.T, V @ V.T

    def _kernel_norm(self, A: Array, C: Array) -> float:
        """Frobenius norm of the kernel Sigma_x (x) C + A (x) I, from A (r, r) and C (m, m)."""
        s2 = self.problem.sigma**2
        square = self.problem.m * np.vdot(A, A) + 2 * (s2 @ np.diagonal(A)) * np.trace(C) + (s2 @ s2) * np.vdot(C, C)
        return float(np.sqrt(max(square, 0.0)))

    def record(self, t: float, R: Array) -> None:
        """Add the state R (k, k') reached at flow time t."""
        problem = self.problem
        U1, V = R[: problem.r], R[problem.r :]
        gram = self._grams(R)
        row = {
            "t": t,
            "product": U1 @ V.T,
            "V": V.copy(),
            "kernel_change": self._kernel_norm(gram[0] - self._gram0[0], gram[1] - self._gram0[1]),
            "drift": np.linalg.norm(imbalance_matrix(R, problem.r) - self._imbalance0),
            "scale": np.vdot(R, R),
        }
        if self.stepwise:
            row["U1_range"] = eigvalsh(U1 @ U1.T)[[0, -1]].clip(min=0.0)
        for name, value in row.items():
            self._rows.setdefault(name, []).append(value)

    def trajectory(self, R: Array, stop_reason: str, steps: int, loss_error: float = 0.0) -> Trajectory:
        """Close the record with the final state R (k, k')."""
        columns = {name: np.array(values) for name, values in self._rows.items()}
        sigma = self.problem.sigma[:, None]
        E = self.problem.Y_tilde - sigma * columns["product"]
        columns["excess"] = 0.5 * np.sum(E * E, axis=(1, 2))
        columns["force"] = np.linalg.norm(sigma * E, 2, axis=(1, 2))
        columns["kernel_change"] = columns["kernel_change"] / (self._kernel0 or 1.0)
        columns["drift"] = columns["drift"] / (np.max(columns.pop("scale")) or 1.0)
        return Trajectory(**columns, R=R.copy(), stop_reason=stop_reason, steps=steps, loss_error=loss_error)
