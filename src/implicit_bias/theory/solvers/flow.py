"""Gradient flow of a reduced state, by any integrator: output times, stopping, record."""

from collections.abc import Iterable, Iterator, Sized
from itertools import chain, pairwise

import numpy as np
from scipy.optimize import brentq

from implicit_bias.theory.kernel import kernel_largest
from implicit_bias.theory.networks.hidden import own_directions
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import check_magnitudes, decays_algebraically, kind_of_rest
from implicit_bias.theory.solvers.explicit import explicit_steps
from implicit_bias.theory.solvers.exponential import exponential_steps
from implicit_bias.theory.solvers.inward import Inward
from implicit_bias.theory.solvers.stopping import ALGEBRAIC, RESOLVED, STATIONARY, TIME_LIMIT, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import Integrator, Recorder, Step, Trajectory, excess_loss, velocity

INTEGRATORS: dict[str, Integrator] = {"explicit": explicit_steps, "exponential": exponential_steps}
EXPLICIT_REACH, EXPLICIT_WORK = 1000.0, 60_000.0
"""The explicit method is chosen while lambda_max(K) T, and this times the size k of the state, are below these."""

FOREVER = Stop()


def choose_integrator(problem: Problem, state: State, stop: Stop, horizon: float) -> str:
    """Name of the cheaper integrator for a run of about flow time T = horizon.

    An explicit step resolves 1 / lambda_max(K) and is cheap; an exponential one does not, and needs an
    eigendecomposition. A run that no loss and no time limit ends goes to t = infinity, where the latter keeps Lambda
    to rounding.
    """
    endless = stop.excess == 0 and horizon < stop.t_max
    reach = kernel_largest(problem, state.R) * horizon
    easy = reach <= EXPLICIT_REACH and reach * problem.k <= EXPLICIT_WORK
    return "explicit" if easy and not endless else "exponential"


def gradient_flow(
    problem: Problem,
    state: State,
    times: Iterable[float] = (),
    stop: Stop = FOREVER,
    method: str = "exponential",
    tol: float = 1e-8,
) -> Trajectory:
    """Train a network by gradient flow on L = 1/2 ||Y - X U V^T||_F^2 (paper, eq. 3, reduced).

    Args:
        problem: the reparametrised problem.
        state: initial reduced state.
        times: increasing positive flow times to record; may be endless. Start and end are always recorded.
        stop: what ends the run; its excess loss is located by root finding on the dense output.
        method: "explicit" or "exponential".
        tol: local error relative to the size of the state.

    Raises:
        ValueError: method or tol is outside its range, a time is negative, NaN or not increasing, or the numbers of the
            start are so large or small that their products leave floating point.
    """
    if method not in INTEGRATORS:
        raise ValueError(f"method must be one of {', '.join(INTEGRATORS)}, got {method!r}")
    pending = _Times(times)
    check_magnitudes(problem, state.R)
    R0, O = own_directions(state.R)

    def whole(R: Array) -> Array:
        return R if R0 is state.R else R @ O.T

    recorder = Recorder(problem, state.R)
    recorder.record(0.0, state.R)
    if excess_loss(problem, state.R) <= stop.excess:
        return recorder.trajectory(state.R, TOLERANCE, 0)
    if not np.any(velocity(problem, state.R)):
        return recorder.trajectory(state.R, kind_of_rest(problem, R0), 0)
    way: list[tuple[float, float]] = []
    loss_error = 0.0
    for count, step in enumerate(_steps(problem, R0, method, tol), start=1):
        end, reason = _end_of_run(problem, step, stop, tol)
        for t, R in pending.states(problem, step, min(step.t1, end)):
            recorder.record(t, whole(R))
            loss_error = max(loss_error, _loss_error(step, t))
        if reason:
            R = whole(step.R if end == step.t1 else step.at(end))
            recorder.record(end, R)
            loss_error = max(loss_error, _loss_error(step, end))
            if reason == STATIONARY and way and decays_algebraically(*np.transpose(way)):
                reason = ALGEBRAIC
            return recorder.trajectory(R, reason, count, loss_error)
        way.append((step.t1, excess_loss(problem, step.R)))
    raise AssertionError("integrators yield steps until the run ends")


def _steps(problem: Problem, R0: Array, method: str, tol: float) -> Iterator[Step]:
    """Integrate a start R0 (k, k'), what decays to a saddle apart from the rest."""
    inward = Inward.of(problem, R0)
    if inward is None:
        yield from INTEGRATORS[method](problem, R0, tol)
        return
    rest, O = own_directions(inward.rest) if np.any(inward.rest) else (inward.rest, np.eye(R0.shape[1]))
    for step in INTEGRATORS[method](inward.problem, rest, tol):
        yield inward.beside(step.turned(O))


def _loss_error(step: Step, t: float) -> float:
    """Estimated relative error of the excess loss at time t in the step, at most 1; it is the residual squared."""
    return min(2 * step.residual_error(t), 1.0) if step.residual_error and t < np.inf else 0.0


def _end_of_run(problem: Problem, step: Step, stop: Stop, tol: float) -> tuple[float, str]:
    """Time at which this step ends the run and why; (inf, "") where it does not.

    A state that is as near to where an endless step goes as `tol` has arrived at the time limit.
    """
    if stop.excess > 0 and excess_loss(problem, step.R) <= stop.excess:
        t = _crossing(problem, step, stop.excess)
        if t <= stop.t_max:
            return t, TOLERANCE
    if stop.t_max < np.inf and step.t1 >= stop.t_max:
        arrived = step.t1 == np.inf and np.linalg.norm(step.at(stop.t_max) - step.R) <= tol * np.linalg.norm(step.R)
        return stop.t_max, kind_of_rest(problem, step.R) if arrived else TIME_LIMIT
    if step.t1 == np.inf:
        return np.inf, kind_of_rest(problem, step.R)
    return np.inf, ""


def _crossing(problem: Problem, step: Step, excess: float) -> float:
    """Time in the step at which the decreasing excess loss equals `excess`."""

    def gap(t: float) -> float:
        return float(np.log(max(excess_loss(problem, step.at(t)), 1e-300)) - np.log(excess))

    late = step.t1
    if late == np.inf:
        late = step.t0 + 1 / max(kernel_largest(problem, step.R), 1e-300)
        while gap(late) > 0:
            late = step.t0 + 2 * (late - step.t0)
    if gap(step.t0) <= 0:
        return step.t0
    if gap(late) >= 0:  # the step's own end is at or below, its dense output is above by rounding
        return late
    return float(brentq(gap, step.t0, late, xtol=4 * np.finfo(float).eps * late, rtol=1e-14))


def _check_order(before: float, t: float) -> None:
    if not t > before:
        raise ValueError(f"times must be positive and increasing, got {t} after {before}")


class _Times:
    """Output times, taken in order as the integration reaches them."""

    def __init__(self, times: Iterable[float]) -> None:
        if isinstance(times, Sized):
            for before, t in pairwise(chain([0.0], times)):
                _check_order(before, t)
        self._times = iter(times)
        self._next = 0.0
        self._advance()

    def _advance(self) -> None:
        t = next(self._times, np.inf)
        _check_order(self._next, t)
        self._next = t

    def states(self, problem: Problem, step: Step, end: float) -> Iterator[tuple[float, Array]]:
        """Times of the step before `end` with their states; in an endless step while the residual can be resolved."""
        floor = RESOLVED * excess_loss(problem, step.at(step.t0)) if step.t1 == np.inf else -1.0
        while self._next < end:
            R = step.at(self._next)
            if excess_loss(problem, R) <= floor or (end == np.inf and np.array_equal(R, step.R)):
                return
            yield self._next, R
            self._advance()
