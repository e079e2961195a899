"""The flow by an explicit Runge-Kutta pair of order 8: for narrow spectra and smooth activations."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import DOP853 as TABLEAU

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.steps import FlowStep, first_step, next_step, size
from implicit_bias.theory.problem import Array

STAGES = TABLEAU.n_stages


def explicit_steps(model: Model, R0: Array, tol: float) -> Iterator[FlowStep]:
    """Dormand and Prince's pair of order 8 with dense output of order 7 (Hairer, Norsett, Wanner 1993, II.5, II.6).

    Stages are increments C (n + m, h) of the state (network.py): a gradient costs one large product instead of two.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        tol: accuracy relative to ||R||_F; without kinks steps are held to a hundredth of it, since the loss near its
            end is the square of a small difference.

    Raises:
        ArithmeticError: the step falls below rounding.
    """
    R, r, t, evaluations = R0, model.samples.problem.r, 0.0, 1
    tol = tol if model.phi.kinks else max(tol / 100, 1e-13)
    H, V = model.hidden(R), R[r:]
    K = np.empty((STAGES + 4, model.samples.n + len(V), R.shape[1]))
    model.motion(H, V, out=K[0])
    dt = 0.1 * first_step(tol, 8, R, size(model.lift(K[0])))
    rejected = False
    while True:
        if t + dt == t:
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
        error /= tol * max(size(R), size(R1))
        if not error <= 1:
            dt, rejected = next_step(dt, error if np.isfinite(error) else 1e10, 8, True), True
            continue
        dense = _Dense(model, R, H, C, K, t, dt)
        speed = size(model.lift(K[STAGES]))
        yield FlowStep(t, t + dt, R1, loss, speed, dense, evaluations)
        evaluations += dense.evaluations
        t, R, H, V = t + dt, R1, H1, R1[r:]
        K[0] = K[STAGES]
        dt, rejected = next_step(dt, error, 8, rejected), False


def _combine(weights: Array, K: Array) -> Array:
    """sum_i weights_i K_i."""
    return np.dot(weights, K.reshape(len(K), -1)).reshape(K.shape[1:])


def _stage(model: Model, H: Array, V: Array, dt: float, weights: Array, K: Array, stage: int) -> None:
    """K[stage], the gradient at the state moved by dt sum_i weights_i K_i."""
    C = dt * _combine(weights, K[: len(weights)])
    model.motion(H + model.hidden_change(C), V + C[model.samples.n :], out=K[stage])


class _Dense:
    """Dense output of order 7 of one step, made of three more gradients when it is first asked for."""

    def __init__(self, model: Model, R: Array, H: Array, C: Array, K: Array, t: float, dt: float) -> None:
        self.evaluations = 0
        self._model, self._R, self._H, self._C, self._K, self._t, self._dt = model, R, H, C, K, t, dt
        self._rows: list[Array] = []

    def __call__(self, t: float) -> Array:
        if not self._rows:
            self._prepare()
        x = (t - self._t) / self._dt
        total = np.zeros_like(self._C)
        for i, row in enumerate(reversed(self._rows)):
            total += row
            total *= x if i % 2 == 0 else 1 - x
        return self._R + self._model.lift(total)

    def _prepare(self) -> None:
        K, C, dt, V = self._K, self._C, self._dt, self._R[self._model.samples.problem.r :]
        for i, weights in enumerate(TABLEAU.A_EXTRA):
            stage = STAGES + 1 + i
            _stage(self._model, self._H, V, dt, weights[:stage], K, stage)
        self.evaluations = len(TABLEAU.A_EXTRA)
        first, last = dt * K[0], dt * K[STAGES]
        self._rows = [C, first - C, 2 * C - first - last, *(dt * _combine(weights, K) for weights in TABLEAU.D)]
