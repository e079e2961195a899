"""Gradient flow of a deep network, by either integrator."""

from collections.abc import Iterable

import numpy as np

from implicit_bias.theory.networks.deep.collocation import exponential_steps
from implicit_bias.theory.networks.deep.dynamics import excess_loss, kernel_largest, velocity
from implicit_bias.theory.networks.deep.record import DeepRecorder, DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.networks.vector_flow import VectorFlow, explicit_vector_steps, follow
from implicit_bias.theory.networks.vectors import Shapes, flat
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.stopping import Stop

METHODS = ("explicit", "exponential")


def deep_flow(
    problem: Problem,
    state: DeepState,
    times: Iterable[float],
    stop: Stop,
    method: str = "explicit",
    tol: float = 1e-8,
    leak_tol: float = np.inf,
) -> DeepTrajectory:
    """Train a deep network by gradient flow on L = 1/2 ||Y - X W_1 ... W_L||_F^2 (ours, docs/depth.md).

    Args:
        problem: the reparametrised problem.
        state: initial network.
        times: increasing positive flow times to record; may be endless. Start and end are always recorded.
        stop: what ends the run; its excess loss is located by root finding on the dense output.
        method: "explicit" or "exponential"; the latter reaches t = infinity.
        tol: local error relative to the size of the state.
        leak_tol: largest leak that is allowed.

    Raises:
        ValueError: method or tol is outside its range, or a time is negative, NaN or not increasing.
        LeakError: the run leaks more than leak_tol.
        ArithmeticError: the integrator fails.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    flow, shapes, y0 = vector_flow(problem, state.layers), Shapes(state.layers), flat(state.layers)
    recorder = DeepRecorder(problem, state, leak_tol)
    explicit = method == "explicit"
    steps = explicit_vector_steps(flow, y0, tol) if explicit else exponential_steps(problem, state.layers, tol)
    still = max(stop.stationary, tol)

    def record(t: float, y: Array) -> None:
        recorder.record(t, shapes.weights(y))

    y, reason, count = follow(flow, y0, steps, record, times, stop, still, slow=still if explicit else 0.0)
    return recorder.trajectory(shapes.weights(y), reason, count)


def vector_flow(problem: Problem, layers: Layers) -> VectorFlow:
    """The flow of all layers as one vector, of networks with layers of these shapes."""
    shapes = Shapes(layers)
    guess: Array = np.ones((problem.r, problem.m))

    def fastest(y: Array) -> float:
        nonlocal guess
        largest, guess = kernel_largest(problem, shapes.weights(y), guess)
        return largest

    return VectorFlow(
        velocity=lambda y: flat(velocity(problem, shapes.weights(y))),
        excess=lambda y: excess_loss(problem, shapes.weights(y)),
        fastest=fastest,
    )
