"""What the flow's integrators share: steps, dense output, the choice of the next step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.problem import Array

SAFETY, SHRINK, GROW = 0.9, 0.1, 5.0
AHEAD = 3
"""The last so many steps before the end of a run are equally long."""


@dataclass(frozen=True)
class FlowStep:
    """One accepted step.

    Attributes:
        t0, t1: its start and end.
        R: (r + m, h) state at t1.
        loss: L at t1.
        speed: ||dR/dt||_F at t1.
        at: dense output, t in [t0, t1] -> (r + m, h) state.
        evaluations: gradients taken so far, rejected steps and power iterations included.
    """

    t0: float
    t1: float
    R: Array
    loss: float
    speed: float
    at: Callable[[float], Array]
    evaluations: int


FlowIntegrator = Callable[[Model, Array, float, float], Iterator[FlowStep]]
"""(model, R(0), tolerance, end) -> accepted steps, in order, for as long as they are asked for; one ends at `end`."""


def size(A: Array) -> float:
    """||A||_F."""
    return float(np.sqrt(np.vdot(A, A)))


def next_step(dt: float, error: float, order: int, rejected: bool) -> float:
    """Step after one of size dt whose error, of order dt^order, is `error` times what is allowed."""
    factor = SAFETY * max(error, 1e-10) ** (-1 / order)
    return dt * min(max(factor, SHRINK), 1.0 if rejected else GROW)


def step_towards(end: float, t: float, dt: float) -> tuple[float, float]:
    """Size and end of a step from t of size dt at most; the last ones before `end` share what is left evenly.

    Errors in fast modes decay, but for those of the last step: it is not to be longer than need be.
    """
    if t + AHEAD * dt < end:
        return dt, t + dt
    steps = max(float(np.ceil((end - t) / dt)), 1.0)
    dt = (end - t) / steps
    return dt, t + dt if steps > 1 else end


def first_step(tol: float, order: int, R: Array, speed: float) -> float:
    """A step in which R moves by the fraction of its size whose power `order` is tol."""
    return float(tol ** (1 / order) * size(R) / speed) if speed > 0 else 1.0
