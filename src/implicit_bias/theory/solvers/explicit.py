"""The gradient flow by an explicit Runge-Kutta method: best where the problem is well conditioned."""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy.integrate import DOP853

from implicit_bias.theory.kernel import kernel_largest
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Step, velocity

RESOLUTION = 3.0
"""A step is at most this many times 1 / lambda_max(K): near the stability limit, about 6, the dense output is wrong."""


def explicit_steps(problem: Problem, R0: Array, tol: float) -> Iterator[Step]:
    """Integrate the reduced flow by DOP853, order 8 with order 7 dense output (Hairer, Norsett, Wanner 1993).

    Args:
        problem: the reparametrised problem.
        R0: (k, k') initial reduced state.
        tol: accuracy relative to max |R|, from 1e-13 up to 1; steps are held to a hundredth of it, since the loss near
            its end is the square of a small difference.

    Raises:
        ValueError: tol is outside its range.
        ArithmeticError: the step size falls below rounding.
    """
    if not 1e-13 <= tol < 1:
        raise ValueError(f"tol must be in [1e-13, 1), got {tol}")
    shape = R0.shape

    def rhs(_: float, y: Array) -> Array:
        return velocity(problem, y.reshape(shape)).ravel()

    if not np.any(R0):
        yield Step(0.0, np.inf, R0, lambda _: R0)
        return
    local = max(tol / 100, 1e-13)
    solver = DOP853(rhs, 0.0, R0.ravel(), np.inf, rtol=local, atol=local * np.max(np.abs(R0)))
    while True:
        solver.max_step = RESOLUTION / kernel_largest(problem, solver.y.reshape(shape))
        message = solver.step()
        if solver.status == "failed":
            raise ArithmeticError(f"the explicit flow failed at t = {solver.t:.6g}: {message}")
        yield Step(solver.t_old, solver.t, solver.y.reshape(shape), _dense(cache(solver.dense_output), shape))


def _dense(output: Callable[[], Callable[[float], Array]], shape: tuple[int, ...]) -> Callable[[float], Array]:
    return lambda t: output()(t).reshape(shape)
