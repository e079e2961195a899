"""The infinite-width flow: the network's own flow from the start that wide networks share, R = diag(a I, b I)^(1/2)."""

import numpy as np

from implicit_bias.theory.initialization.gaussian import MAX_WIDTH
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Trajectory


def infinite_width_state(problem: Problem, a: float, b: float) -> State:
    """Limit of the initial state as h grows with a = sigma_U^2 h and b = sigma_V^2 h fixed; U2 is left out."""
    R = np.diag(np.sqrt(np.repeat([a, b], [problem.r, problem.m])))
    return State(R=R, U2=np.zeros((0, problem.k)), r=problem.r, h=MAX_WIDTH)


def infinite_width_flow(problem: Problem, a: float, b: float, times: Array, tol: float = 1e-8) -> Trajectory:
    """The flow from the infinite-width start, recorded at increasing positive times (T,); the last may be infinite."""
    state, finite = infinite_width_state(problem, a, b), times[np.isfinite(times)]
    return gradient_flow(problem, state, finite, Stop(t_max=float(times[-1])), "exponential", tol)


def infinite_width_rotation(problem: Problem, state: State, a: float, b: float) -> Array:
    """(k, k) Q that makes D^(1/2) Q, D = diag(a I_r, b I_m), an infinite-width start near to the state's R (k, k).

    Q is the polar factor of D^(-1/2) R, the orthogonal matrix nearest to it. The flow from D^(1/2) Q is that from
    D^(1/2), times Q: one flow serves all networks.

    Raises:
        ValueError: the network is narrower than r + m, and has no such start beside it.
    """
    if state.h < problem.k:
        raise ValueError(f"an infinite-width start needs h >= r + m = {problem.k}, got h = {state.h}")
    left, _, right = np.linalg.svd(state.R / np.sqrt(np.repeat([a, b], [problem.r, problem.m]))[:, None])
    return left @ right
