"""Gradient descent against the flow: how far apart they are, and which steps it can take (ours, docs/descent.md)."""

from dataclasses import dataclass, replace

import numpy as np

from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.descent import Descent, gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Trajectory, excess_loss

PRECISION = 0.002
"""Relative distance of the largest step that arrived from the smallest above it that did not."""
OUTERMOST = 64.0
"""Steps are looked for within this factor of the estimate from the kernel at initialisation."""
TAIL = 1e-6
"""The rate is measured from the excess loss TAIL times the initial one on."""


@dataclass(frozen=True)
class Descended:
    """What a descent with one step came to.

    Attributes:
        iterations: until its excess loss was at or below the wanted one; infinity if it never was.
        rate: -d/dk log(L - L*) on the last part of the way, per iteration; NaN if it did not arrive.
        distance: ||U2 V^T||_F at the end, the distance to the min-norm solution; NaN if it did not arrive.
    """

    iterations: float
    rate: float
    distance: float

    @property
    def arrived(self) -> bool:
        """Whether the wanted loss was reached."""
        return self.iterations < np.inf


def descend_to(problem: Problem, state: State, step_size: float, depth: float, limit: int) -> Descended:
    """Descend until the excess loss is `depth` times the initial one, in at most `limit` iterations.

    Args:
        problem: the reparametrised problem.
        state: initial reduced state.
        step_size: step eta on the averaged loss.
        depth: wanted excess loss, relative to the initial one, below TAIL.
        limit: most iterations.
    """
    descent = Descent(problem, state.R, float(problem.flow_time(1, step_size)))
    excess0 = excess_loss(problem, state.R)
    with np.errstate(over="ignore", invalid="ignore"):
        first = descent.run(limit, TAIL * excess0)
        middle = excess_loss(problem, descent.R)
        last = descent.run(limit - first, depth * excess0)
        final = excess_loss(problem, descent.R)
    if not final <= depth * excess0:
        return Descended(np.inf, np.nan, np.nan)
    rate = np.log(middle / final) / last if last and final > 0 else np.nan
    return Descended(first + last, float(rate), float(np.linalg.norm(state.U2 @ descent.R[problem.r :].T)))


def largest_stable_step(problem: Problem, state: State, depth: float, limit: int) -> float:
    """Largest step on the averaged loss from which descent arrives, by bisection to PRECISION; NaN if none is found.

    Descent is not linear: beyond the first step that fails others may arrive. Bisection finds one border between the
    two, the one met on the way up from the estimate of the kernel at initialisation, or down from it.
    """

    def arrives(step: float) -> bool:
        return descend_to(problem, state, step, depth, limit).arrived

    low = high = estimate = largest_step_estimate(problem, state)
    if estimate == np.inf:
        return np.nan  # without weights nothing moves
    while arrives(high):
        low, high = high, 1.5 * high
        if high > OUTERMOST * estimate:
            return np.nan
    while low == high or not arrives(low):
        high, low = low, low / 1.5
        if low < estimate / OUTERMOST:
            return np.nan
    while high > (1 + PRECISION) * low:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if arrives(middle) else (low, middle)
    return low


@dataclass(frozen=True)
class Forecast:
    """What descent can do while the kernel stays what it is.

    Attributes:
        largest: step on the averaged loss below which it contracts, n / lambda_max(K).
        best: the step that contracts most, n / (lambda_min(K) + lambda_max(K)).
        rate: -d/dk log(L - L*) per iteration at that step, 2 log((kappa + 1) / (kappa - 1)).
        kappa: lambda_max(K) / lambda_min(K).

    A network without weights has K = 0: it takes any step, and none contracts.
    """

    largest: float
    best: float
    rate: float
    kappa: float


def forecast(problem: Problem, R: Array) -> Forecast:
    """Forecast from the kernel at a reduced state R (k, k'), or at any R with the same U1 U1^T and V V^T."""
    low, high = kernel_range(problem, R)
    if high == 0:
        return Forecast(np.inf, np.inf, 0.0, np.nan)
    with np.errstate(divide="ignore"):
        rate = 2 * np.log(np.divide(high + low, high - low))
        return Forecast(problem.n / high, problem.n / (low + high), float(rate), float(np.divide(high, low)))


@dataclass(frozen=True)
class StepGaps:
    """Descents with halved steps, compared with the flow from the same state.

    Attributes:
        step_sizes: (J,) steps on the averaged loss, each half of the one before.
        apart: (J,) max_t ||U V^T - U V^T||_F between descent and flow.
        t: (T,) flow times at which both were recorded.
        flow: (T,) excess loss of the flow.
        descents: (J, T) excess loss of the descents.
    """

    step_sizes: Array
    apart: Array
    t: Array
    flow: Array
    descents: Array


def step_gaps(
    problem: Problem, state: State, step_size: float, t_max: float, halvings: int, samples: int = 40
) -> StepGaps:
    """Run the flow and descents of steps step_size / 2^j, j = 0 ... halvings, to about the flow time t_max.

    All are recorded at the same times, about `samples` of them, which every step meets.
    """
    last = max(round(float(problem.iterations(t_max, step_size))), 1)
    iterations = np.unique(np.linspace(1, last, min(samples, last)).round().astype(int))
    times = problem.flow_time(iterations, step_size)
    stop = Stop(t_max=float(times[-1]), stationary=1e-300)
    flow = _resting(gradient_flow(problem, state, times[:-1], stop, tol=1e-11), times.size + 1)
    halves = 2 ** np.arange(halvings + 1)
    steps = step_size / halves
    runs = [
        _resting(gradient_descent(problem, state, float(step), (iterations * half).tolist(), stop), times.size + 1)
        for step, half in zip(steps, halves, strict=True)
    ]
    return StepGaps(
        step_sizes=steps,
        apart=np.array([_apart(state, run, flow) for run in runs]),
        t=np.concatenate([[0.0], times]),
        flow=flow.excess,
        descents=np.array([run.excess for run in runs]),
    )


def _resting(run: Trajectory, count: int) -> Trajectory:
    """What `step_gaps` needs of a run at the `count` times asked for: one that came to rest early stays where it is."""
    at = np.minimum(np.arange(count), run.t.size - 1)
    return replace(run, excess=run.excess[at], product=run.product[at], V=run.V[at])


def _apart(state: State, first: Trajectory, second: Trajectory) -> float:
    """max_t ||U V^T - U V^T||_F between two runs of a state, recorded at the same times."""
    seen = np.linalg.norm(first.product - second.product, axis=(1, 2))
    unseen = np.linalg.norm((first.V - second.V) @ state.U2.T, axis=(1, 2))
    return float(np.max(np.hypot(seen, unseen)))


def observed_order(values: Array) -> float:
    """log2 of the ratio of the last two values of a quantity whose step is halved each time; NaN without two."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log2(np.abs(values[-2] / values[-1]))) if values.size > 1 else np.nan
