"""Fixed-step gradient descent of a deep network, exactly that of the full one up to the leak, on its reduced layers."""

from collections.abc import Iterable
from functools import partial

import numpy as np
from scipy.linalg.blas import ddot, dgemm

from implicit_bias.theory.networks.deep.dynamics import excess_loss, kernel_largest, velocity
from implicit_bias.theory.networks.deep.record import DeepRecorder, DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.networks.vectors import flat
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.descent import OVERFLOW, check_step, stretches
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, STATIONARY, TOLERANCE, Stop


class DeepDescent:
    """Gradient descent on L = 1/2 ||Y - X W_1 ... W_L||_F^2, all layers at once, in place.

    Args:
        problem: the reparametrised problem.
        layers: the initial layers.
        step: size of a step on L, that is 2 eta / n for step eta on the averaged loss.
    """

    def __init__(self, problem: Problem, layers: Layers, step: float) -> None:
        m = problem.m
        self.problem, self.step = problem, step
        self._W = [np.array(W, order="F") for W in layers]
        self._S = [np.zeros((W.shape[0], m), order="F") for W in self._W[1:]]
        self._G = [np.zeros((W.shape[0], m), order="F") for W in self._W]
        self._E = np.empty((problem.r, m), order="F")
        self._Y = np.asfortranarray(problem.Y_tilde)
        self._sigma = np.asfortranarray(np.broadcast_to(problem.sigma[:, None], self._E.shape))
        self._step_sigma = step * self._sigma

    @property
    def layers(self) -> Layers:
        """Current layers."""
        return tuple(np.ascontiguousarray(W) for W in self._W)

    @property
    def diverged(self) -> bool:
        """Whether the network has left the range in which its loss is finite."""
        size = max(float(np.max(np.abs(W), initial=0.0)) for W in self._W)
        largest = OVERFLOW ** (0.25 / max(len(self._W) - 1, 1))  # the squared kernel has 4 (L - 1) factors
        return not (size < largest and 2 * excess_loss(self.problem, self.layers) < OVERFLOW)

    def run(self, iterations: int, excess: float) -> int:
        """Take up to `iterations` steps, fewer if L - L* reaches `excess`; return how many were taken."""
        W, S, G, E, Y = self._W, self._S, self._G, self._E, self._Y
        sigma, step_sigma, flat_E = self._sigma, self._step_sigma, self._E.reshape(-1, order="F")
        limit, depth = 2 * excess, len(self._W)
        for taken in range(iterations):
            if depth > 1:
                S[-1][...] = W[-1]
            for l in range(depth - 2, 0, -1):  # S[l - 1] = W_{l+1} ... W_L
                dgemm(1.0, W[l], S[l], 0.0, S[l - 1], overwrite_c=1)
            if depth > 1:
                dgemm(1.0, W[0], S[0], 0.0, E, overwrite_c=1)
            else:
                E[...] = W[0]
            np.multiply(E, sigma, out=E)
            np.subtract(Y, E, out=E)
            if not limit < ddot(flat_E, flat_E) < OVERFLOW:
                return taken
            np.multiply(E, step_sigma, out=G[0])
            for l in range(1, depth):
                dgemm(1.0, W[l - 1], G[l - 1], 0.0, G[l], trans_a=1, overwrite_c=1)
            for l in range(depth - 1):
                dgemm(1.0, G[l], S[l], 1.0, W[l], trans_b=1, overwrite_c=1)
            W[-1] += G[-1]
        return iterations


def largest_deep_step(problem: Problem, state: DeepState) -> float:
    """Step on the averaged loss at which the linearised descent stops contracting: (n/2) 2 / lambda_max(K(0))."""
    guess = np.ones((problem.r, problem.m))
    largest, _ = kernel_largest(problem, state.layers, guess, rounds=60)
    return problem.n / largest if largest > 0 else np.inf


def deep_descent(
    problem: Problem,
    state: DeepState,
    step_size: float,
    iterations: Iterable[int],
    stop: Stop,
    leak_tol: float = np.inf,
) -> DeepTrajectory:
    """Train by gradient descent with a fixed step on the averaged loss ||Y - X W_1 ... W_L||_F^2 / n.

    Args:
        problem: the reparametrised problem.
        state: initial network.
        step_size: eta > 0, the step on the averaged loss; iteration k is flow time k 2 eta / n.
        iterations: increasing positive iterations to record; may be endless. Start and end are always recorded.
        stop: what ends the run: the first iteration at or below its excess loss, its time limit, or stationarity.
        leak_tol: largest leak that is allowed.

    Raises:
        ValueError: step_size is not positive and finite, or iterations do not increase.
        DivergenceError: the iterates left the finite numbers.
        LeakError: the run leaks more than leak_tol.
    """
    step = check_step(problem, step_size)
    descent, recorder = DeepDescent(problem, state.layers, step), DeepRecorder(problem, state, leak_tol)
    recorder.record(0.0, state.layers)
    speed0 = _speed(problem, state.layers)
    if excess_loss(problem, state.layers) <= stop.excess:
        return recorder.trajectory(state.layers, TOLERANCE, 0)
    if speed0 == 0:
        return recorder.trajectory(state.layers, STATIONARY, 0)
    last = int(min(stop.t_max / step * (1 + 1e-12), 2.0**62))
    allowed = partial(largest_deep_step, problem, state)
    for stretch in stretches(descent, iterations, last, stop.excess, step_size, allowed):
        layers, done = descent.layers, stretch.done
        reason = TOLERANCE if stretch.short else _end_of_run(problem, layers, stop, speed0, done >= last)
        if stretch.taken and (reason or stretch.wanted):
            recorder.record(done * step, layers)
        if reason:
            return recorder.trajectory(layers, reason, done)
    raise AssertionError("stretches are endless")


def _speed(problem: Problem, layers: Layers) -> float:
    return float(np.linalg.norm(flat(velocity(problem, layers))))


def _end_of_run(problem: Problem, layers: Layers, stop: Stop, speed0: float, at_limit: bool) -> str:
    """Why a run ends at these layers; "" where it does not."""
    if excess_loss(problem, layers) <= stop.excess:
        return TOLERANCE
    if _speed(problem, layers) <= stop.stationary * speed0:
        return STATIONARY
    return ITERATION_LIMIT if at_limit else ""
