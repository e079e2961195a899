"""The solvers, each in one row: what it follows, and how it trains a network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from implicit_bias.theory.named import named
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import choose_integrator, gradient_flow
from implicit_bias.theory.solvers.momentum import momentum_descent
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Kind, Trajectory


@dataclass(frozen=True)
class Task:
    """What is asked of a solver.

    Attributes:
        times: flow times to record, endless.
        horizon: about how long the run takes.
        stop: what ends it.
        step_size: step eta on the averaged loss.
        tol: local error of a flow.
        momentum: beta of solvers with momentum.
    """

    times: Iterator[float]
    horizon: float
    stop: Stop
    step_size: float
    tol: float
    momentum: float


@dataclass(frozen=True)
class Solver:
    """One solver.

    Attributes:
        description: one line.
        kind: which certificates hold for its runs: those of a flow, those of gradient descent, or none.
        train: trains a state; returns the trajectory and the name of the method used.
    """

    description: str
    kind: Kind
    train: Callable[[Problem, State, Task], tuple[Trajectory, str]]


def _flow(problem: Problem, state: State, task: Task, method: str = "") -> tuple[Trajectory, str]:
    method = method or choose_integrator(problem, state, task.stop, task.horizon)
    return gradient_flow(problem, state, task.times, task.stop, method, task.tol), method


def _descent(problem: Problem, state: State, task: Task) -> tuple[Trajectory, str]:
    iterations = whole_iterations(task.times, float(problem.flow_time(1, task.step_size)))
    return gradient_descent(problem, state, task.step_size, iterations, task.stop), "gradient_descent"


def _momentum(problem: Problem, state: State, task: Task, nesterov: bool) -> tuple[Trajectory, str]:
    iterations = whole_iterations(task.times, float(problem.flow_time(1, task.step_size)))
    run = momentum_descent(problem, state, task.step_size, iterations, task.stop, task.momentum, nesterov)
    return run, "nesterov" if nesterov else "heavy_ball"


SOLVERS = {
    "gradient_flow": Solver("gradient flow by the cheaper of both integrators", "flow", _flow),
    "gradient_descent": Solver("gradient descent of fixed step", "descent", _descent),
    "flow_explicit": Solver("gradient flow, explicit integrator", "flow", partial(_flow, method="explicit")),
    "flow_exponential": Solver("gradient flow, exponential integrator", "flow", partial(_flow, method="exponential")),
    "momentum": Solver("heavy ball (Polyak 1964)", "other", partial(_momentum, nesterov=False)),
    "nesterov": Solver("Nesterov's momentum (1983)", "other", partial(_momentum, nesterov=True)),
}
"""Name -> solver."""


def solver(name: str) -> Solver:
    """The solver of a name, or of an import path `package.module:object`.

    Raises:
        ValueError: there is none.
    """
    return named("solver", name, SOLVERS, Solver)


def whole_iterations(times: Iterator[float], step: float) -> Iterator[int]:
    """Times as increasing iteration counts."""
    last = 0
    for t in times:
        iteration = max(round(t / step), last + 1)
        yield iteration
        last = iteration
