"""The flow of a deep network by an explicit Runge-Kutta method: best where the problem is well conditioned."""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy.integrate import DOP853

from implicit_bias.theory.networks.deep.dynamics import Shapes, flat, kernel_largest, velocity
from implicit_bias.theory.networks.deep.state import Layers
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Step

RESOLUTION = 3.0
"""A step is at most this many times 1 / lambda_max(K): near the stability limit, about 6, the dense output is wrong."""


def explicit_steps(problem: Problem, layers: Layers, tol: float) -> Iterator[Step]:
    """Integrate the reduced flow by DOP853, order 8 with order 7 dense output (Hairer, Norsett, Wanner 1993).

    Args:
        problem: the reparametrised problem.
        layers: the initial layers; the R of a step holds all of them as one vector.
        tol: accuracy relative to the largest entry, from 1e-13 up to 1; steps are held to a hundredth of it.

    Raises:
        ValueError: tol is outside its range.
        ArithmeticError: the step size falls below rounding, or the flow leaves the finite numbers.
    """
    if not 1e-13 <= tol < 1:
        raise ValueError(f"tol must be in [1e-13, 1), got {tol}")
    shapes, y0 = Shapes(layers), flat(layers)
    if not np.any(y0):
        yield Step(0.0, np.inf, y0, lambda _: y0)
        return

    def rhs(_: float, y: Array) -> Array:
        return flat(velocity(problem, shapes.layers(y)))

    local = max(tol / 100, 1e-13)
    guess: Array = np.ones((problem.r, problem.m))
    solver = DOP853(rhs, 0.0, y0, np.inf, rtol=local, atol=local * np.max(np.abs(y0)))
    while True:
        largest, guess = kernel_largest(problem, shapes.layers(solver.y), guess)
        solver.max_step = RESOLUTION / largest if largest > 0 else np.inf
        message = solver.step()
        if solver.status == "failed" or not np.all(np.isfinite(solver.y)):
            raise ArithmeticError(f"the explicit flow failed at t = {solver.t:.6g}: {message or 'overflow'}")
        yield Step(solver.t_old, solver.t, solver.y, _dense(cache(solver.dense_output)))


def _dense(output: Callable[[], Callable[[float], Array]]) -> Callable[[float], Array]:
    return lambda t: output()(t)
