"""Gradient descent and momentum, exactly those of the full network, on the part that training sees."""

from collections.abc import Iterable

import numpy as np

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.run import Run, RunRecorder
from implicit_bias.theory.networks.activation.steps import size
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.descent import DivergenceError
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, STATIONARY, TOLERANCE, Stop

OVERFLOW = 1e250


class NetworkDescent:
    """Heavy-ball descent on L: B <- momentum B + gradient, R <- R - step B; momentum 0 is gradient descent.

    The hidden layer H is carried along: one product of (n, n) with (n, h) per step, and the sum of all steps from which
    A is made when it is asked for.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        step: step size on L, that is 2 eta / n for step eta on the averaged loss.
        momentum: in [0, 1).
    """

    def __init__(self, model: Model, R0: Array, step: float, momentum: float = 0.0) -> None:
        self._model, self._step, self._momentum, self._R0 = model, step, momentum, R0
        self._H, self._V = model.hidden(R0), R0[model.samples.problem.r :].copy()
        shape = (model.samples.n + len(self._V), R0.shape[1])
        self._G, self._moved = np.empty(shape), np.zeros(shape)
        self._B = np.zeros(shape) if momentum else self._G
        self.loss = model.motion(self._H, self._V, out=self._G).loss

    @property
    def R(self) -> Array:
        """(r + m, h) current state."""
        R: Array = self._R0 + self._model.lift(self._moved)
        R[self._model.samples.problem.r :] = self._V
        return R

    @property
    def speed(self) -> float:
        """||dR/dt||_F of the flow at the current state."""
        return size(self._model.lift(self._G))

    def run(self, iterations: int, excess: float) -> int:
        """Take up to `iterations` steps, fewer if L - floor reaches `excess` or is no number; return how many."""
        n, step, floor = self._model.samples.n, self._step, self._model.floor
        for taken in range(iterations):
            if not excess < self.loss - floor < OVERFLOW:
                return taken
            if self._momentum:
                self._B *= self._momentum
                self._B += self._G
            moved = self._model.hidden_change(self._B)
            moved *= step
            self._H += moved
            np.multiply(self._B, step, out=self._G)
            self._V += self._G[n:]
            self._moved += self._G
            self.loss = self._model.motion(self._H, self._V, out=self._G).loss
        return iterations


def gradient_descent(
    model: Model, R0: Array, step_size: float, iterations: Iterable[int], stop: Stop, momentum: float = 0.0
) -> Run:
    """Train by gradient descent, or with momentum by Polyak's (1964) heavy ball, on the averaged loss 2 L / n.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        step_size: eta > 0, the step on the averaged loss; iteration k is flow time t = k 2 eta / n.
        iterations: increasing positive iterations to record; may be endless. Start and end are always recorded.
        stop: what ends the run: the first iteration at or below its excess loss, its time limit, or stationarity.
        momentum: in [0, 1).

    Raises:
        ValueError: step_size or momentum is outside its range, or iterations do not increase.
        DivergenceError: the iterates left the finite numbers.
    """
    if not 0 < step_size < np.inf:
        raise ValueError(f"step_size must be positive and finite, got {step_size}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum}")
    step = float(model.samples.problem.flow_time(1, step_size))
    descent, recorder = NetworkDescent(model, R0, step, momentum), RunRecorder(model, R0)
    recorder.record(0.0, R0, descent.loss - model.floor)
    speed0, done, pending = descent.speed, 0, iter(iterations)
    last = int(min(stop.t_max / step * (1 + 1e-12), 2.0**62))
    if descent.loss - model.floor <= stop.excess or speed0 == 0:
        return recorder.run(R0, STATIONARY if speed0 == 0 else TOLERANCE, 0, 1)
    while True:
        target = min(next(pending, 2 * done + 1), last)
        if target < done:
            raise ValueError(f"iterations must increase, got {target} after {done}")
        with np.errstate(over="ignore", invalid="ignore"):
            taken = descent.run(target - done, stop.excess)
        done += taken
        if not descent.loss < OVERFLOW:
            raise DivergenceError(f"gradient descent diverged before iteration {done} with step_size {step_size:g}")
        reason = ""
        if descent.loss - model.floor <= stop.excess:
            reason = TOLERANCE
        elif descent.speed <= stop.stationary * speed0:
            reason = STATIONARY
        elif done >= last:
            reason = ITERATION_LIMIT
        R = descent.R
        recorder.record(done * step, R, descent.loss - model.floor)
        if reason:
            return recorder.run(R, reason, done, done + 1)
