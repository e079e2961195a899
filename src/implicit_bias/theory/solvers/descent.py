"""Fixed-step gradient descent, exactly that of the full network, on its reduced state."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg.blas import ddot, dgemm

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.theory.kernel import kernel_largest
from implicit_bias.theory.networks.hidden import own_directions
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import Watch, at_rest, check_magnitudes, how_slow, kind_of_rest
from implicit_bias.theory.solvers.inward import Inward
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import Recorder, Trajectory, excess_loss, velocity

OVERFLOW = 1e250
"""A squared residual, or a fourth power of ||P||_F, beyond this size counts as divergence."""


class DivergenceError(ImplicitBiasError, ArithmeticError):
    """Gradient descent left the finite numbers: the step is too large for the kernel it met."""


def largest_step_estimate(problem: Problem, state: State) -> float:
    """Step on the averaged loss at which the linearised descent stops contracting: (n/2) 2 / lambda_max(K(0)).

    Infinite for a network without weights.
    """
    largest = kernel_largest(problem, state.R)
    return problem.n / largest if largest > 0 else np.inf


class Steps(Protocol):
    """What takes steps of fixed size."""

    @property
    def diverged(self) -> bool:
        """Whether the state has left the finite numbers."""

    def run(self, iterations: int, excess: float) -> int:
        """Take up to `iterations` steps, fewer if L - L* reaches `excess`; return how many were taken."""


class Iterates(Steps, Protocol):
    """What a run of a two-layer network by steps of fixed size consists of."""

    @property
    def R(self) -> Array:
        """(k, k') current reduced state."""

    @property
    def still(self) -> bool:
        """Whether nothing but the gradient moves the state."""


class Descent:
    """Gradient descent on L = 1/2 ||Y - X U V^T||_F^2: P <- (I + step S(E)) P, in place (ours, docs/theory.md).

    One step costs four products with the reduced arrays, whatever the width. Works on diag(sigma) U1, so that
    E = Y~ - (diag(sigma) U1) V^T needs no scaling.

    Args:
        problem: the reparametrised problem.
        R0: (k, k') initial reduced state.
        step: step size on L, that is 2 eta / n for step eta on the averaged loss.
    """

    def __init__(self, problem: Problem, R0: Array, step: float) -> None:
        self.problem, self.step = problem, step
        self._U = np.asfortranarray(problem.sigma[:, None] * R0[: problem.r])
        self._V = np.array(R0[problem.r :], order="F")
        self._E = np.empty((problem.r, problem.m), order="F")
        self._F = np.empty_like(self._E)
        self._dV = np.empty_like(self._V)
        self._Y = np.asfortranarray(problem.Y_tilde)
        self._sigma2 = np.broadcast_to((problem.sigma**2)[:, None], self._E.shape)
        self._flat = self._E.reshape(-1, order="F")

    @property
    def R(self) -> Array:
        """(k, k') current reduced state."""
        return np.vstack([self._U / self.problem.sigma[:, None], self._V])

    @property
    def still(self) -> bool:
        """Whether nothing but the gradient moves the state: always."""
        return True

    @property
    def diverged(self) -> bool:
        """Whether the state has left the range in which its loss and its kernel are finite."""
        R = self.R
        return not (2 * excess_loss(self.problem, R) < OVERFLOW and np.sum(R * R) ** 2 < OVERFLOW)

    def run(self, iterations: int, excess: float) -> int:
        """Take up to `iterations` steps, fewer if L - L* reaches `excess`; return how many were taken."""
        U, V, E, F, dV, Y, flat = self._U, self._V, self._E, self._F, self._dV, self._Y, self._flat
        sigma2, step = self._sigma2, self.step
        limit = 2 * excess
        for taken in range(iterations):
            E[...] = Y
            dgemm(-1.0, U, V, 1.0, E, trans_b=1, overwrite_c=1)
            if not limit < ddot(flat, flat) < OVERFLOW:
                return taken
            np.multiply(E, sigma2, out=F)
            dgemm(step, E, U, 0.0, dV, trans_a=1, overwrite_c=1)
            dgemm(step, F, V, 1.0, U, overwrite_c=1)
            V += dV
        return iterations


def gradient_descent(
    problem: Problem, state: State, step_size: float, iterations: Iterable[int], stop: Stop
) -> Trajectory:
    """Train by gradient descent with a fixed step on the averaged loss L~ = ||Y - X U V^T||_F^2 / n (paper, section 4).

    Iteration k is flow time t = k 2 eta / n on L; the trajectory is sampled at the flow times of `iterations`.

    Args:
        problem: the reparametrised problem.
        state: initial reduced state.
        step_size: eta > 0, the step on the averaged loss.
        iterations: increasing positive iterations to record; may be endless. Start and end are always recorded.
        stop: what ends the run: the first iteration at or below its excess loss, its time limit, or stationarity.

    Raises:
        ValueError: step_size is not positive and finite, iterations do not increase, or the numbers of the start are so
            large or small that their products leave floating point.
        DivergenceError: the iterates left the finite numbers.
    """
    step = check_step(problem, step_size)
    return descend(problem, state, lambda R0: Descent(problem, R0, step), step_size, iterations, stop, stepwise=True)


def check_step(problem: Problem, step_size: float) -> float:
    """The step on L, 2 eta / n, of a step eta on the averaged loss.

    Raises:
        ValueError: step_size is not positive and finite.
    """
    if not 0 < step_size < np.inf:
        raise ValueError(f"step_size must be positive and finite, got {step_size}")
    return float(problem.flow_time(1, step_size))


def descend(
    problem: Problem,
    state: State,
    start: Callable[[Array], Iterates],
    step_size: float,
    iterations: Iterable[int],
    stop: Stop,
    stepwise: bool = False,
) -> Trajectory:
    """Run iterates from a state until they end, and record them; arguments and errors as of `gradient_descent`.

    Args:
        problem: the reparametrised problem.
        state: initial reduced state.
        start: R(0) (k, k') in its own hidden directions -> what iterates from there.
        step_size: step on the averaged loss.
        iterations: iterations to record.
        stop: what ends the run.
        stepwise: record what bounds the run step by step, too.
    """
    step = float(problem.flow_time(1, step_size))
    check_magnitudes(problem, state.R)
    R0, O = own_directions(state.R)
    descent, watch = start(R0), Watch(problem)
    recorder = Recorder(problem, state.R, stepwise=stepwise)
    speed0 = np.linalg.norm(velocity(problem, state.R))
    last = int(min(stop.t_max / step * (1 + 1e-12), 2.0**62))
    recorder.record(0.0, state.R)
    if excess_loss(problem, state.R) <= stop.excess:
        return recorder.trajectory(state.R, TOLERANCE, 0)
    if speed0 == 0:
        return recorder.trajectory(state.R, kind_of_rest(problem, R0), 0)
    allowed = partial(largest_step_estimate, problem, state)
    for stretch in stretches(descent, iterations, last, stop.excess, step_size, allowed):
        R, done = descent.R, stretch.done
        reason = TOLERANCE
        if not stretch.short:
            reason = _end_of_run(problem, watch, done * step, descent, stop, float(speed0), done >= last)
        if stretch.taken and (reason or stretch.wanted):
            recorder.record(done * step, R @ O.T)
        if reason:
            return recorder.trajectory(R @ O.T, reason, done)
    raise AssertionError("stretches are endless")


class Stretch(NamedTuple):
    """Steps between two samples: all done so far, those taken since, whether they ended early, whether it was asked."""

    done: int
    taken: int
    short: bool
    wanted: bool


def stretches(
    iterates: Steps,
    iterations: Iterable[int],
    last: int,
    excess: float,
    step_size: float,
    allowed: Callable[[], float],
) -> Iterator[Stretch]:
    """Take steps up to each iteration in turn, then up to twice as many again and again.

    Args:
        iterates: what takes the steps.
        iterations: increasing positive iterations; may be endless.
        last: no step is taken beyond this iteration.
        excess: steps end where L - L* reaches it.
        step_size: step on the averaged loss, for messages.
        allowed: step that the linearised descent allows, for messages.

    Raises:
        ValueError: iterations do not increase.
        DivergenceError: the iterates left the finite numbers.
    """
    done, targets = 0, iter(iterations)
    while True:
        requested = next(targets, None)
        target = min(2 * done + 1 if requested is None else requested, last)
        if target < done:
            raise ValueError(f"iterations must increase, got {target} after {done}")
        with np.errstate(over="ignore", invalid="ignore"):
            taken = iterates.run(target - done, excess)
            diverged = iterates.diverged
        short = taken < target - done
        done += taken
        if diverged:
            raise DivergenceError(
                f"gradient descent diverged before iteration {done} with step_size {step_size:g}; the kernel at "
                f"initialisation allows about 2 / lambda_max = {allowed():.3g}"
            )
        yield Stretch(done, taken, short, requested is not None)


def _end_of_run(
    problem: Problem, watch: Watch, t: float, iterates: Iterates, stop: Stop, speed0: float, at_limit: bool
) -> str:
    """Why a run ends at the state that its iterates have reached at flow time t; "" where it does not."""
    R = iterates.R
    if excess_loss(problem, R) <= stop.excess:
        return TOLERANCE
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges next
        speed = np.linalg.norm(velocity(problem, R))
    if np.isfinite(speed) and iterates.still and watch.rests(t, R):
        return kind_of_rest(problem, R)
    if speed <= stop.stationary * speed0 and iterates.still:
        inward = Inward.of(problem, R)
        if inward and at_rest(inward.problem, inward.rest):
            return kind_of_rest(problem, inward.rest)
        if reason := how_slow(problem, R):
            return reason
    return ITERATION_LIMIT if at_limit else ""
