"""One point of a sweep, composed: train a state, then measure it."""

from collections.abc import Iterator

import numpy as np

from implicit_bias.theory.bounds.before import instantaneous_rate
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.networks.two_layer import State, imbalance
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.registry import Task
from implicit_bias.theory.solvers.registry import solver as solver_named
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Trajectory, excess_loss


def train(
    problem: Problem,
    state: State,
    solver: str,
    step_size: float,
    stop: Stop,
    points: int,
    tol: float,
    momentum: float = 0.9,
) -> tuple[Trajectory, str]:
    """Train by a named solver and sample about `points` times along the way.

    Args:
        problem: the reparametrised problem.
        state: initial reduced state.
        solver: a name of solvers/registry.py, or an import path package.module:object.
        step_size: step on the averaged loss; for the flow it only sets the unit of the iteration axis.
        stop: what ends the run.
        points: about how many samples to record.
        tol: local error of the flow relative to the size of the state.
        momentum: beta of the solvers that have momentum.

    Returns:
        The trajectory and the name of the method used.

    Raises:
        ValueError: there is no such solver, or an argument is outside its range.
    """
    horizon = estimate_horizon(problem, state, stop)
    times = output_times(horizon, stop.t_max, points)
    task = Task(times, horizon, stop, step_size, tol, momentum)
    return solver_named(solver).train(problem, state, task)


def estimate_horizon(problem: Problem, state: State, stop: Stop) -> float:
    """About how long a run takes: log(initial / final loss) over the better of two rates, capped by the time limit.

    The rates are that of the kernel at initialisation and the guaranteed one at the solution.
    """
    excess0 = excess_loss(problem, state.R)
    final = max(stop.excess, 1e-26 * excess0)
    at_solution = float(instantaneous_rate(problem, imbalance(state), problem.min_norm_coordinates))
    rate = max(2 * kernel_range(problem, state.R)[0], at_solution)
    decades = np.log(max(excess0 / final, 2.0)) if final > 0 else 1.0
    return float(min(decades / rate if rate > 0 else np.inf, stop.t_max, 1e300))


def output_times(horizon: float, t_max: float, points: int) -> Iterator[float]:
    """Endless increasing times: a geometric third and an even two thirds up to the horizon, then growing steps."""
    third = max(points // 3, 1)
    early = horizon * np.geomspace(1e-5, 1e-1, third, endpoint=False)
    even = horizon * np.linspace(0, 1, 2 * third + 1)[1:]
    times = np.union1d(early, even)
    yield from times
    t, growth = horizon, 1 + 1 / (2 * third)
    while t < t_max:
        t *= growth
        yield t
