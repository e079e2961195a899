"""The flow by an explicit Runge-Kutta pair of order 8: for narrow spectra and smooth activations."""

from collections.abc import Iterator
from math import sqrt

import numpy as np
from scipy.integrate import DOP853 as TABLEAU

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.steps import FlowStep, first_step, next_step, size, step_towards
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.runge_kutta import DENSE, shares

STAGES = TABLEAU.n_stages
EASY, STABLE = 1.0, 5.0
"""Largest step that is tried first, and ever, times the rate of the gradient's change: beyond 6 it is unstable."""
LEAST = 0.01
"""Part of the tolerance that steps are held to when next to nothing of the residual is left."""
TIGHTEST = 1e-13
"""Rounding forbids smaller tolerances."""
FORGOTTEN = 0.98
"""What a step leaves of a rate that it does not see again."""
LAST = TABLEAU.A[-1]
"""(12,) weights of the last stage, which is at the end of the step as its result is."""


def explicit_steps(model: Model, R0: Array, tol: float, end: float = np.inf) -> Iterator[FlowStep]:
    """Dormand and Prince's pair of order 8 with dense output of order 7 (Hairer, Norsett, Wanner 1993, II.5, II.6).

    Stages are increments C (n + m, h) of the state (network.py): a gradient costs one large product instead of two.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        tol: accuracy relative to ||R||_F. Without kinks it is made smaller with the residual, down to a hundredth,
            since the loss near its end is the square of a small difference.
        end: no step goes beyond this time, and one ends there.

    Raises:
        ArithmeticError: the step falls below rounding.
    """
    R, r, t = R0, model.samples.problem.r, 0.0
    least = 1.0 if model.phi.kinks else LEAST
    H, V = model.hidden(R), R[r:]
    K = np.empty((STAGES + 4, model.samples.n + len(V), R.shape[1]))
    rate, excess0 = 0.0, model.motion(H, V, out=K[0]).loss - model.floor
    allowed = max(tol, TIGHTEST)
    dt, evaluations, rejected = _first_step(model, H, V, K, first_step(tol, 8, R, size(model.lift(K[0])))), 2, False
    while True:
        dt, t1 = step_towards(end, t, dt)
        if t1 == t:
            raise ArithmeticError(f"the explicit flow failed at t = {t:.6g}: the step fell below rounding")
        for stage in range(1, STAGES):
            _stage(model, H, V, dt, TABLEAU.A[stage, :stage], K, stage)
        C = dt * _combine(TABLEAU.B, K[:STAGES])
        R1 = R + model.lift(C)
        H1 = model.hidden(R1)
        loss = model.motion(H1, R1[r:], out=K[STAGES]).loss
        evaluations += STAGES
        fifth, third = (size(model.lift(_combine(w, K[: STAGES + 1]))) for w in (TABLEAU.E5, TABLEAU.E3))
        error = dt * fifth**2 / np.hypot(fifth, 0.1 * third) if fifth != 0 else 0.0
        error /= allowed * max(size(R), size(R1))
        if not error <= 1:
            dt, rejected = next_step(dt, error if np.isfinite(error) else 1e10, 8, True), True
            continue
        dense = _Dense(model, R, H, K, t, dt)
        speed = size(model.lift(K[STAGES]))
        yield FlowStep(t, t1, R1, loss, speed, dense, evaluations)
        evaluations += dense.evaluations
        t, R, H, V = t1, R1, H1, R1[r:]
        left = sqrt(max(loss - model.floor, 0.0) / (excess0 or 1.0))
        allowed = max(tol * max(left, least), TIGHTEST)
        if not model.phi.kinks:
            rate = max(_rate(K, dt), FORGOTTEN * rate)
        K[0] = K[STAGES]
        dt, rejected = min(next_step(dt, error, 8, rejected), STABLE / max(rate, 1e-300)), False


def _first_step(model: Model, H: Array, V: Array, K: Array, move: float) -> float:
    """A first step that is short beside that of a given movement and beside the rate at which the gradient changes.

    The rate comes from a gradient after a small step of Euler's (Hairer, Norsett, Wanner 1993, II.4).
    """
    small = 1e-4 * move
    _stage(model, H, V, small, np.ones(1), K, 1)
    rate = size(model.lift(K[1] - K[0])) / (small * size(model.lift(K[0])) or np.inf)
    return min(0.1 * move, EASY / rate if rate > 0 else np.inf)


def _rate(K: Array, dt: float) -> float:
    """Largest rate of the flow, about, as two states at the end of a step and their gradients show it (ibid., IV.2)."""
    apart = dt * size(_combine(TABLEAU.B - LAST, K[:STAGES]))
    return size(K[STAGES] - K[STAGES - 1]) / apart if apart > 0 else 0.0


def _combine(weights: Array, K: Array) -> Array:
    """sum_i weights_i K_i."""
    return np.dot(weights, K.reshape(len(K), -1)).reshape(K.shape[1:])


def _stage(model: Model, H: Array, V: Array, dt: float, weights: Array, K: Array, stage: int) -> None:
    """K[stage], the gradient at the state moved by dt sum_i weights_i K_i."""
    C = dt * _combine(weights, K[: len(weights)])
    model.motion(H + model.hidden_change(C), V + C[model.samples.n :], out=K[stage])


class _Dense:
    """Dense output of order 7 of one step, made of three more gradients when it is first asked for."""

    def __init__(self, model: Model, R: Array, H: Array, K: Array, t: float, dt: float) -> None:
        self.evaluations = 0
        self._model, self._R, self._H, self._K, self._t, self._dt = model, R, H, K, t, dt
        self._coefficients: Array | None = None

    def __call__(self, t: float) -> Array:
        if self._coefficients is None:
            self._coefficients = self._prepared()
        theta = (t - self._t) / self._dt
        return self._R + self._model.lift(np.tensordot(shares(theta), self._coefficients, 1))

    def _prepared(self) -> Array:
        K, dt, V = self._K, self._dt, self._R[self._model.samples.problem.r :]
        for i, weights in enumerate(TABLEAU.A_EXTRA):
            stage = STAGES + 1 + i
            _stage(self._model, self._H, V, dt, weights[:stage], K, stage)
        self.evaluations = len(TABLEAU.A_EXTRA)
        return dt * np.tensordot(DENSE, K, 1)
