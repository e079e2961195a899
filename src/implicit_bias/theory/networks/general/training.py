"""Training of a linear network of any kind: the flow by explicit steps, and gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from implicit_bias.theory.experiment import output_times
from implicit_bias.theory.networks.general.linear import LinearNetwork
from implicit_bias.theory.networks.vector_flow import VectorFlow, explicit_vector_steps, follow
from implicit_bias.theory.networks.vectors import Shapes, Weights, flat
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.descent import OVERFLOW, check_step, stretches
from implicit_bias.theory.solvers.registry import whole_iterations
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, STATIONARY, TOLERANCE, Stop

SOLVERS = ("gradient_flow", "gradient_descent")


@dataclass(frozen=True)
class GeneralRun:
    """A run sampled at T flow times, the last one being where it stopped.

    Attributes:
        t: (T,) flow times on the loss L = 1/2 ||Y - X Theta||_F^2.
        excess: (T,) L - L*.
        y: (T, N) the weights as one vector.
        stop_reason: as of a `Trajectory`, without "algebraic", "saddle" and "slow".
        steps: steps of the solver.
    """

    t: Array
    excess: Array
    y: Array
    stop_reason: str
    steps: int


def train_weights(
    kind: LinearNetwork,
    problem: Problem,
    weights: Weights,
    solver: str,
    step_size: float,
    stop: Stop,
    points: int,
    tol: float = 1e-8,
) -> tuple[GeneralRun, str]:
    """Train a network by a named solver and sample about `points` times along the way.

    Args:
        kind: of the network.
        problem: the reparametrised problem.
        weights: initial weights.
        solver: one of SOLVERS.
        step_size: step on the averaged loss; for the flow it only sets the unit of the iteration axis.
        stop: what ends the run.
        points: about how many samples to record.
        tol: local error of the flow.

    Returns:
        The run and the name of the method used.

    Raises:
        ValueError: the solver is unknown, or step_size is not positive and finite.
        ArithmeticError: the solver fails, or the descent diverges.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}")
    flow, y0 = weights_flow(kind, problem, weights), flat(weights)
    times = output_times(_horizon(flow, y0, stop), stop.t_max, points)
    if solver == "gradient_descent":
        iterations = whole_iterations(times, check_step(problem, step_size))
        return _descend(flow, problem, y0, step_size, iterations, stop), solver
    samples, still = _Samples(flow), max(stop.stationary, tol)
    steps = explicit_vector_steps(flow, y0, tol)
    _, reason, count = follow(flow, y0, steps, samples.add, times, stop, still, slow=still)
    return samples.run(reason, count), "explicit"


def weights_flow(kind: LinearNetwork, problem: Problem, weights: Weights) -> VectorFlow:
    """The flow of weights of these shapes as one vector."""
    shapes = Shapes(weights)

    def residual(y: Array) -> Array:
        return kind.residual(problem, shapes.weights(y))

    return VectorFlow(
        velocity=lambda y: flat(kind.velocity(problem, shapes.weights(y))),
        excess=lambda y: 0.5 * float(np.sum(residual(y) ** 2)),
        fastest=lambda y: float(np.linalg.eigvalsh(kind.kernel(problem, shapes.weights(y)))[-1]),
    )


def _horizon(flow: VectorFlow, y0: Array, stop: Stop) -> float:
    """About how long a run takes at the rate at which the loss falls at its start, -d log(L - L*)/dt = ||y'||^2 / L."""
    excess0 = flow.excess(y0)
    rate = flow.speed(y0) ** 2 / excess0 if excess0 > 0 else 0.0
    decades = np.log(max(excess0 / max(stop.excess, 1e-26 * excess0), 2.0)) if excess0 > 0 else 1.0
    return float(min(decades / rate if rate > 0 else np.inf, stop.t_max, 1e300))


@dataclass
class _Samples:
    """Collects a run."""

    flow: VectorFlow
    _t: list[float] = field(default_factory=list)
    _y: list[Array] = field(default_factory=list)

    def add(self, t: float, y: Array) -> None:
        self._t.append(t)
        self._y.append(y.copy())

    def run(self, reason: str, steps: int) -> GeneralRun:
        excess = np.array([self.flow.excess(y) for y in self._y])
        return GeneralRun(np.array(self._t), excess, np.array(self._y), reason, steps)


class _Descent:
    """Gradient descent on L, in place."""

    def __init__(self, flow: VectorFlow, y0: Array, step: float) -> None:
        self._flow, self.y, self._step = flow, y0.copy(), step

    @property
    def diverged(self) -> bool:
        return not self._flow.excess(self.y) < OVERFLOW

    def run(self, iterations: int, excess: float) -> int:
        """Take up to `iterations` steps, fewer if L - L* reaches `excess`; return how many were taken."""
        for taken in range(iterations):
            if not excess < self._flow.excess(self.y) < OVERFLOW:
                return taken
            self.y += self._step * self._flow.velocity(self.y)
        return iterations


def _descend(
    flow: VectorFlow, problem: Problem, y0: Array, step_size: float, iterations: Iterable[int], stop: Stop
) -> GeneralRun:
    """Train by gradient descent with a fixed step on the averaged loss.

    Raises:
        DivergenceError: the iterates left the finite numbers.
    """
    step = check_step(problem, step_size)
    descent, samples, speed0 = _Descent(flow, y0, step), _Samples(flow), flow.speed(y0)
    samples.add(0.0, y0)
    if flow.excess(y0) <= stop.excess or speed0 == 0:
        return samples.run(TOLERANCE if flow.excess(y0) <= stop.excess else STATIONARY, 0)
    last = int(min(stop.t_max / step * (1 + 1e-12), 2.0**62))

    def allowed() -> float:
        return problem.n / flow.fastest(y0)

    for stretch in stretches(descent, iterations, last, stop.excess, step_size, allowed):
        reason = TOLERANCE if flow.excess(descent.y) <= stop.excess else ""
        if not reason and flow.speed(descent.y) <= stop.stationary * speed0:
            reason = STATIONARY
        if not reason and stretch.done >= last:
            reason = ITERATION_LIMIT
        if stretch.taken and (reason or stretch.wanted):
            samples.add(stretch.done * step, descent.y)
        if reason:
            return samples.run(reason, stretch.done)
    raise AssertionError("stretches are endless")
