"""A gradient flow of any weights, as one vector: explicit steps, output times, stopping."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq

from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.stopping import RESOLVED, STATIONARY, TIME_LIMIT, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import Step

RESOLUTION = 3.0
"""A step is at most this many times 1 / lambda_max(K): near the stability limit, about 6, the dense output is wrong."""


@dataclass(frozen=True)
class VectorFlow:
    """A gradient flow y' = velocity(y).

    Attributes:
        velocity: (N,) -> (N,).
        excess: (N,) -> the part of the loss that falls.
        fastest: (N,) -> largest eigenvalue of the tangent kernel there.
    """

    velocity: Callable[[Array], Array]
    excess: Callable[[Array], float]
    fastest: Callable[[Array], float]

    def speed(self, y: Array) -> float:
        """||y'||."""
        return float(np.linalg.norm(self.velocity(y)))


def explicit_vector_steps(flow: VectorFlow, y0: Array, tol: float) -> Iterator[Step]:
    """Integrate a flow by DOP853, order 8 with order 7 dense output (Hairer, Norsett, Wanner 1993).

    Args:
        flow: the flow.
        y0: (N,) where it starts; the R of a step is such a vector.
        tol: accuracy relative to the largest entry, of a start at 0 to the way that the fastest mode leads from there;
            from 1e-13 up to 1. Steps are held to a hundredth of it.

    Raises:
        ValueError: tol is outside its range.
        ArithmeticError: the step size falls below rounding, or the flow leaves the finite numbers.
    """
    if not 1e-13 <= tol < 1:
        raise ValueError(f"tol must be in [1e-13, 1), got {tol}")
    start = flow.velocity(y0)
    if not np.any(start):
        yield Step(0.0, np.inf, y0, lambda _: y0)
        return
    local = max(tol / 100, 1e-13)
    size = np.max(np.abs(y0)) or np.max(np.abs(start)) / flow.fastest(y0)
    solver = DOP853(lambda _, y: flow.velocity(y), 0.0, y0, np.inf, rtol=local, atol=local * size)
    while True:
        largest = flow.fastest(solver.y)
        solver.max_step = RESOLUTION / largest if largest > 0 else np.inf
        message = solver.step()
        if solver.status == "failed" or not np.all(np.isfinite(solver.y)):
            raise ArithmeticError(f"the explicit flow failed at t = {solver.t:.6g}: {message or 'overflow'}")
        yield Step(solver.t_old, solver.t, solver.y, _dense(cache(solver.dense_output)))


def _dense(output: Callable[[], Callable[[float], Array]]) -> Callable[[float], Array]:
    return lambda t: output()(t)


def follow(
    flow: VectorFlow,
    y0: Array,
    steps: Iterator[Step],
    record: Callable[[float, Array], None],
    times: Iterable[float],
    stop: Stop,
    still: float,
    slow: float = 0.0,
) -> tuple[Array, str, int]:
    """Record a flow at the times asked for, at its start and at its end.

    Args:
        flow: the flow.
        y0: (N,) where it starts.
        steps: it, step by step, for as long as it is asked for.
        record: takes a flow time and the vector (N,) there.
        times: increasing positive flow times to record; may be endless.
        stop: what ends the run; its excess loss is located by root finding on the dense output.
        still: speed, relative to that at the start, at which an endless step has arrived.
        slow: speed, likewise, that ends the run; 0 where the last step is endless.

    Returns:
        the last vector, why the run ended there, and the number of steps.

    Raises:
        ValueError: a time is negative, NaN or not increasing.
    """
    record(0.0, y0)
    speed0 = flow.speed(y0)
    if flow.excess(y0) <= stop.excess:
        return y0, TOLERANCE, 0
    if speed0 == 0:
        return y0, STATIONARY, 0
    pending = _increasing(times)
    t = next(pending)
    for count, step in enumerate(steps, start=1):
        end, reason = _end(flow, step, stop, still * speed0, slow * speed0)
        last = min(step.t1, end)
        floor = RESOLVED * flow.excess(step.at(step.t0)) if step.t1 == np.inf else -1.0
        while t < last:
            y = step.at(t)
            if flow.excess(y) <= floor or (last == np.inf and np.array_equal(y, step.R)):
                break
            record(t, y)
            t = next(pending)
        if reason:
            y = step.R if end == step.t1 else step.at(end)
            record(end, y)
            return y, reason, count
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


def _end(flow: VectorFlow, step: Step, stop: Stop, still: float, slow: float) -> tuple[float, str]:
    """Time at which this step ends the run and why; (inf, "") where it does not."""
    if stop.excess > 0 and flow.excess(step.R) <= stop.excess:
        t = _crossing(flow, step, stop.excess)
        if t <= stop.t_max:
            return t, TOLERANCE
    if stop.t_max < np.inf and step.t1 >= stop.t_max:
        endless = step.t1 == np.inf and flow.speed(step.at(stop.t_max)) <= still
        return (np.inf, STATIONARY) if endless else (stop.t_max, TIME_LIMIT)
    if step.t1 == np.inf or (slow > 0 and flow.speed(step.R) <= slow):
        return step.t1, STATIONARY
    return np.inf, ""


def _crossing(flow: VectorFlow, step: Step, excess: float) -> float:
    """Time in the step at which the decreasing excess loss equals `excess`."""

    def gap(t: float) -> float:
        return float(np.log(max(flow.excess(step.at(t)), 1e-300)) - np.log(excess))

    late = step.t1
    if late == np.inf:
        late = step.t0 + 1 / max(flow.fastest(step.R), 1e-300)
        while gap(late) > 0:
            late = step.t0 + 2 * (late - step.t0)
    if gap(step.t0) <= 0:
        return step.t0
    if gap(late) >= 0:
        return late
    return float(brentq(gap, step.t0, late, xtol=4 * np.finfo(float).eps * late, rtol=1e-14))
