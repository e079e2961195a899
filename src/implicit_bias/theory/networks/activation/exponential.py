"""The flow by exponential collocation: for wide spectra, and for kernels that hardly move (ours).

All the stiffness is in E' = -K E. It is solved exactly with the kernel K0 at the start of a step; what K and the
gradient J^T E differ from those with J0 is collocated at Radau's nodes:

    E' = -K0 E + N,   C' = J0^T E + D,   N = (K0 - K) E,   D = (J - J0)^T E.

Where the kernel does not move, N = D = 0 and one step of any size is exact. See docs/activations.md, section 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial

import numpy as np

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.steps import FlowStep, next_step, size, step_towards
from implicit_bias.theory.networks.activation.tangent import Tangent, kernel_matrix
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.reference import phi

NODES = np.array([0.0, (4 - 6**0.5) / 10, (4 + 6**0.5) / 10, 1.0])
"""The start, and the nodes of Radau's right rule of order 5."""
ORDERS = np.arange(len(NODES))
TO_MONOMIALS = np.linalg.inv(np.vander(NODES, increasing=True))
"""(4, 4) coefficients of the polynomial through values at the nodes."""
KEPT = np.array([0, 1, 3])
WITHOUT = np.zeros((4, 4))
"""(4, 4) coefficients of the polynomial through values at all nodes but the third."""
WITHOUT[:3, KEPT] = np.linalg.inv(np.vander(NODES[KEPT], increasing=True))
_FACTORIALS = np.array([factorial(p) for p in ORDERS], float)
_MOST_SWEEPS, _CONTRACTION, _CLOSE = 8, 0.5, 0.1
_LARGEST_MOVE = 0.3  # of what the first sweep may change of a step, relative to the step
_REMAINS = 1e-6  # of the residual, where the first step is tried to end
_LONGEST = 1e3  # steps, in units of the slowest rate's inverse


class Reference:
    """The tangent at the start of a step, and the eigendecomposition K0 = Q diag(rates) Q^T of its kernel.

    Attributes:
        tangent: there.
        rates: (n m,) eigenvalues.
        blind: (n m,) where they are rounding errors; J0^T maps these directions to 0.
    """

    def __init__(self, tangent: Tangent) -> None:
        self.tangent = tangent
        rates, self._Q = np.linalg.eigh(kernel_matrix(tangent.kernel()))
        self.blind = rates <= len(rates) * np.finfo(float).eps * max(rates[-1], 0.0)
        self.rates = np.where(self.blind, 0.0, rates)

    def hat(self, E: Array) -> Array:
        """(n m,) coordinates of E (n, m) in the eigenvectors."""
        return self._Q.T @ E.T.ravel()

    def unhat(self, e: Array) -> Array:
        """(n, m) the inverse of `hat`."""
        m = len(self.tangent.V)
        return np.ascontiguousarray((self._Q @ e).reshape(m, -1).T)

    def push(self, x: Array) -> Array:
        """(n + m, h) J0^T X of X = unhat(x)."""
        return self.tangent.gradient(self.unhat(np.where(self.blind, 0.0, x)))

    def frozen_move(self, e: Array, dt: float) -> Array:
        """(n + m, h) how the state moves in dt from residual coordinates e (n m,) while the kernel does not."""
        return self.push(dt * phi(-dt * self.rates, 1)[1] * e)


@dataclass(frozen=True)
class Segment:
    """A step of size dt from residual coordinates e.

    Attributes:
        reference: at its start.
        e: (n m,) hat(E) at its start.
        N: (4, n m) hat(N) at the nodes.
        D: of the last three nodes, (n + m, h) each; it is 0 at the first. Empty before the first sweep.
    """

    reference: Reference
    dt: float
    e: Array
    N: Array
    D: tuple[Array, ...] = ()

    def residual(self, theta: float) -> Array:
        """(n, m) E at theta dt, by variation of constants."""
        values = phi(-theta * self.dt * self.reference.rates, len(ORDERS))
        weights = (_FACTORIALS * theta ** (ORDERS + 1) * self.dt)[:, None] * values[1:]
        return self.reference.unhat(values[0] * self.e + np.sum(weights * (TO_MONOMIALS @ self.N), axis=0))

    def move(self, theta: float, coefficients: Array = TO_MONOMIALS) -> Array:
        """(n + m, h) increment of the state at theta dt, through `coefficients` of a polynomial."""
        values = phi(-theta * self.dt * self.reference.rates, len(ORDERS) + 1)
        weights = (_FACTORIALS * theta ** (ORDERS + 2) * self.dt**2)[:, None] * values[2:]
        x = theta * self.dt * values[1] * self.e + np.sum(weights * (coefficients @ self.N), axis=0)
        C = self.reference.push(x)
        shares = self.dt * (theta ** (ORDERS + 1) / (ORDERS + 1)) @ coefficients
        for share, D in zip(shares[1:], self.D, strict=bool(self.D)):
            C += share * D
        return C

    def swept(self, H: Array, V: Array) -> "Segment":
        """The Segment with N and D of the states that this one has at the nodes; H (n, h), V (m, h) at its start."""
        start, N, D = self.reference.tangent, [np.zeros_like(self.e)], []
        for theta in NODES[1:]:
            C, E = self.move(theta), self.residual(theta)
            there = Tangent.at(start.model, H + start.model.hidden_change(C), V + C[len(E) :])
            G = there.gradient(E)
            N.append(self.reference.rates * self.reference.hat(E) - self.reference.hat(there.change(G)))
            G -= start.gradient(E)
            D.append(G)
        return Segment(self.reference, self.dt, self.e, np.array(N), tuple(D))


SWEEP = 2 * (len(NODES) - 1)
"""What a sweep costs in gradients."""


def exponential_steps(model: Model, R0: Array, tol: float, end: float = np.inf) -> Iterator[FlowStep]:
    """Collocation of order 4 or more, any stiffness; n m is to allow an eigendecomposition (n m, n m) per step.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        tol: local error relative to ||R||_F.
        end: no step goes beyond this time, and one ends there.

    Raises:
        ArithmeticError: the step falls below rounding.
    """
    r, t, R, dt, evaluations = model.samples.problem.r, 0.0, R0, 0.0, 1
    while True:
        H, V = model.hidden(R), R[r:]
        reference = Reference(Tangent.at(model, H, V))
        evaluations += reference.tangent.cost
        e = reference.hat(model.samples.Y - reference.tangent.S @ V.T)
        dt = min(dt or first_step(reference, e), longest_step(reference))
        while True:
            dt, t1 = step_towards(end, t, dt)
            if t1 == t:
                raise ArithmeticError(f"the exponential flow failed at t = {t:.6g}: the step fell below rounding")
            segment, moved, sweeps = collocate(reference, e, H, V, dt, tol * size(R))
            evaluations += SWEEP * sweeps
            if segment is None:
                dt *= 0.2
                continue
            error = size(moved - model.lift(segment.move(1.0, WITHOUT))) / (tol * size(R))
            if error <= 1:
                break
            dt = next_step(dt, error, len(ORDERS), True)
        R1 = R + moved
        motion = model.motion_at(R1)
        evaluations += 1
        yield FlowStep(t, t1, R1, motion.loss, size(model.lift(motion.G)), _Dense(model, R, segment, t), evaluations)
        t, R = t1, R1
        dt = next_step(dt, error, len(ORDERS), False)


def first_step(reference: Reference, e: Array) -> float:
    """The step in which the residual's moving part would come down to _REMAINS of itself if the kernel did not move."""
    moving = ~reference.blind & (np.abs(e) > _REMAINS * size(e))
    return float(-np.log(_REMAINS) / reference.rates[moving].min()) if moving.any() else 1.0


def longest_step(reference: Reference) -> float:
    """A step after which nothing is left to move with this kernel."""
    moving = reference.rates[~reference.blind]
    return float(_LONGEST / moving.min()) if moving.size else np.inf


def collocate(
    reference: Reference, e: Array, H: Array, V: Array, dt: float, allowed: float
) -> tuple[Segment | None, Array, int]:
    """Sweep until the step no longer changes: Segment, or None if it does not settle; its move of R; sweeps taken."""
    model = reference.tangent.model
    segment = Segment(reference, dt, e, np.zeros((len(ORDERS), len(e))))
    moved, last = model.lift(segment.move(1.0)), np.inf
    for sweeps in range(1, _MOST_SWEEPS + 1):
        segment, before = segment.swept(H, V), moved
        moved = model.lift(segment.move(1.0))
        change = size(moved - before)
        if change <= _CLOSE * allowed:
            return segment, moved, sweeps
        if not change <= min(_CONTRACTION * last, _LARGEST_MOVE * size(moved)):
            return None, moved, sweeps
        last = change
    return None, moved, sweeps


class _Dense:
    """Dense output of a step: the same collocation within it."""

    evaluations = 0

    def __init__(self, model: Model, R: Array, segment: Segment, t: float) -> None:
        self._model, self._R, self._segment, self._t = model, R, segment, t

    def __call__(self, t: float) -> Array:
        return self._R + self._model.lift(self._segment.move((t - self._t) / self._segment.dt))
