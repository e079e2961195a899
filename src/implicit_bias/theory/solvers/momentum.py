"""Fixed-step gradient descent with momentum, exactly that of the full network, on its reduced state."""

from collections.abc import Iterable

import numpy as np

from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.descent import OVERFLOW, check_step, descend
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Trajectory, excess_loss, velocity

STILL = 1e-10
"""A velocity W of this size, relative to P, is taken for rounding."""


class Momentum:
    """W <- beta W + step S(F) P, P <- P + W; with `nesterov` S(F) P is taken at P + beta W (reduced: ours).

    The gradient of the full network is -S(F) P, so that P and W, which starts at 0, move by products from the left:
    both stay in the row space of P(0), and U2, whose gradient is 0, stays where it is. The imbalance is not conserved.

    Args:
        problem: the reparametrised problem.
        R0: (k, k') initial reduced state.
        step: step size on L, that is 2 eta / n for step eta on the averaged loss.
        beta: momentum, in [0, 1).
        nesterov: whether the gradient is that of Nesterov (1983) and not of the heavy ball (Polyak 1964).
    """

    def __init__(self, problem: Problem, R0: Array, step: float, beta: float, nesterov: bool) -> None:
        self.problem, self.step, self.beta, self.nesterov = problem, step, beta, nesterov
        self.R = R0.copy()
        self._W = np.zeros_like(R0)

    @property
    def still(self) -> bool:
        """Whether what is left of the velocity W is rounding."""
        return bool(np.linalg.norm(self._W) <= STILL * np.linalg.norm(self.R))

    @property
    def diverged(self) -> bool:
        """Whether the state has left the range in which its loss and its kernel are finite."""
        return not (2 * excess_loss(self.problem, self.R) < OVERFLOW and np.sum(self.R * self.R) ** 2 < OVERFLOW)

    def run(self, iterations: int, excess: float) -> int:
        """Take up to `iterations` steps, fewer if L - L* reaches `excess`; return how many were taken."""
        for taken in range(iterations):
            if not excess < excess_loss(self.problem, self.R) < OVERFLOW:
                return taken
            ahead = self.R + self.beta * self._W if self.nesterov else self.R
            self._W = self.beta * self._W + self.step * velocity(self.problem, ahead)
            self.R = self.R + self._W
        return iterations


def momentum_descent(
    problem: Problem,
    state: State,
    step_size: float,
    iterations: Iterable[int],
    stop: Stop,
    beta: float = 0.9,
    nesterov: bool = False,
) -> Trajectory:
    """Train by gradient descent with momentum on the averaged loss L~ = ||Y - X U V^T||_F^2 / n.

    The trajectory is sampled as that of `gradient_descent`: iteration k is at time k 2 eta / n, although with momentum
    a step counts for about 1 / (1 - beta) of them. `drift` is that of the imbalance, which momentum does not conserve.

    Args:
        problem: the reparametrised problem.
        state: initial reduced state.
        step_size: eta > 0, the step on the averaged loss.
        iterations: increasing positive iterations to record; may be endless. Start and end are always recorded.
        stop: what ends the run: the first iteration at or below its excess loss, its time limit, or stationarity.
        beta: momentum, in [0, 1); 0 is gradient descent.
        nesterov: Nesterov's momentum and not the heavy ball.

    Raises:
        ValueError: step_size or beta is outside its range, or as `gradient_descent`.
        DivergenceError: the iterates left the finite numbers.
    """
    if not 0 <= beta < 1:
        raise ValueError(f"momentum must be in [0, 1), got {beta}")
    step = check_step(problem, step_size)
    return descend(problem, state, lambda R0: Momentum(problem, R0, step, beta, nesterov), step_size, iterations, stop)
