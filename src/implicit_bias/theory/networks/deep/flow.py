"""Gradient flow of a deep network, by either integrator: output times, stopping, record."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.optimize import brentq

from implicit_bias.theory.networks.deep.collocation import exponential_steps
from implicit_bias.theory.networks.deep.dynamics import Shapes, excess_loss, flat, kernel_largest, velocity
from implicit_bias.theory.networks.deep.explicit import explicit_steps
from implicit_bias.theory.networks.deep.record import DeepRecorder, DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.stopping import STATIONARY, TIME_LIMIT, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import Step

INTEGRATORS: dict[str, Callable[[Problem, Layers, float], Iterator[Step]]] = {
    "explicit": explicit_steps,
    "exponential": exponential_steps,
}
RESOLVED = 1e-20
"""In its last, endless step a run is sampled until the excess loss has fallen by this factor."""


def deep_flow(
    problem: Problem,
    state: DeepState,
    times: Iterable[float],
    stop: Stop,
    method: str = "explicit",
    tol: float = 1e-8,
    leak_tol: float = np.inf,
) -> DeepTrajectory:
    """Train a deep network by gradient flow on L = 1/2 ||Y - X W_1 ... W_L||_F^2 (ours, docs/depth.md).

    Args:
        problem: the reparametrised problem.
        state: initial network.
        times: increasing positive flow times to record; may be endless. Start and end are always recorded.
        stop: what ends the run; its excess loss is located by root finding on the dense output.
        method: "explicit" or "exponential"; the latter reaches t = infinity.
        tol: local error relative to the size of the state.
        leak_tol: largest leak that is allowed.

    Raises:
        ValueError: method or tol is outside its range, or a time is negative, NaN or not increasing.
        LeakError: the run leaks more than leak_tol.
        ArithmeticError: the integrator fails.
    """
    if method not in INTEGRATORS:
        raise ValueError(f"method must be one of {', '.join(INTEGRATORS)}, got {method!r}")
    run = _Run(problem, Shapes(state.layers))
    recorder = DeepRecorder(problem, state, leak_tol)
    recorder.record(0.0, state.layers)
    y = flat(state.layers)
    speed0 = run.speed(y)
    if run.excess(y) <= stop.excess:
        return recorder.trajectory(state.layers, TOLERANCE, 0)
    if speed0 == 0:
        return recorder.trajectory(state.layers, STATIONARY, 0)
    still = max(stop.stationary, tol) * speed0
    slow = still if method == "explicit" else 0.0
    pending = _increasing(times)
    t = next(pending)
    for count, step in enumerate(INTEGRATORS[method](problem, state.layers, tol), start=1):
        end, reason = run.end(step, stop, still, slow)
        last = min(step.t1, end)
        floor = RESOLVED * run.excess(step.at(step.t0)) if step.t1 == np.inf else -1.0
        while t < last:
            y = step.at(t)
            if run.excess(y) <= floor or (last == np.inf and np.array_equal(y, step.R)):
                break
            recorder.record(t, run.shapes.layers(y))
            t = next(pending)
        if reason:
            layers = run.shapes.layers(step.R if end == step.t1 else step.at(end))
            recorder.record(end, layers)
            return recorder.trajectory(layers, reason, count)
    raise AssertionError("integrators yield steps until the run ends")


def _increasing(times: Iterable[float]) -> Iterator[float]:
    """The times, then infinity for ever."""
    before = 0.0
    for t in times:
        if not t > before:
            raise ValueError(f"times must be positive and increasing, got {t} after {before}")
        yield t
        before = t
    while True:
        yield np.inf


class _Run:
    """Loss and speed of layers in one vector, and where a step ends the run."""

    def __init__(self, problem: Problem, shapes: Shapes) -> None:
        self._problem, self.shapes = problem, shapes

    def excess(self, y: Array) -> float:
        return excess_loss(self._problem, self.shapes.layers(y))

    def speed(self, y: Array) -> float:
        return float(np.linalg.norm(flat(velocity(self._problem, self.shapes.layers(y)))))

    def end(self, step: Step, stop: Stop, still: float, slow: float) -> tuple[float, str]:
        """Time at which this step ends the run and why, as in `theory.flow`; (inf, "") where it does not."""
        if stop.excess > 0 and self.excess(step.R) <= stop.excess:
            t = self._crossing(step, stop.excess)
            if t <= stop.t_max:
                return t, TOLERANCE
        if stop.t_max < np.inf and step.t1 >= stop.t_max:
            endless = step.t1 == np.inf and self.speed(step.at(stop.t_max)) <= still
            return (np.inf, STATIONARY) if endless else (stop.t_max, TIME_LIMIT)
        if step.t1 == np.inf or (slow > 0 and self.speed(step.R) <= slow):
            return step.t1, STATIONARY
        return np.inf, ""

    def _crossing(self, step: Step, excess: float) -> float:
        """Time in the step at which the decreasing excess loss equals `excess`."""

        def gap(t: float) -> float:
            return float(np.log(max(self.excess(step.at(t)), 1e-300)) - np.log(excess))

        late = step.t1
        if late == np.inf:
            guess = np.ones((self._problem.r, self._problem.m))
            largest, _ = kernel_largest(self._problem, self.shapes.layers(step.R), guess)
            late = step.t0 + 1 / max(largest, 1e-300)
            while gap(late) > 0:
                late = step.t0 + 2 * (late - step.t0)
        if gap(step.t0) <= 0:
            return step.t0
        if gap(late) >= 0:
            return late
        return float(brentq(gap, step.t0, late, xtol=4 * np.finfo(float).eps * late, rtol=1e-14))
