"""A network and two simpler flows: linearised, and of infinite width (docs/lazy.md)."""

from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.comparisons.infinite_width import infinite_width_rotation
from implicit_bias.theory.comparisons.linearized import linearized_flow
from implicit_bias.theory.measure import distance_curves
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory


@dataclass(frozen=True)
class Companion:
    """A simpler flow at the times of a network's trajectory, in the hidden coordinates of the network's state.

    Attributes:
        excess: (T,) L - L*.
        product: (T, r, m) U1 V^T.
        V: (T, m, k') V, so that U2 V^T is the part of its end-to-end matrix that the data do not see.
    """

    excess: Array
    product: Array
    V: Array


@dataclass(frozen=True)
class Gaps:
    """How far a companion is from the network.

    Attributes:
        excess: (T,) L - L* of the companion.
        distance: (T,) its distance to the min-norm solution.
        loss_gap: largest difference of the losses along the run, relative to the network's initial excess loss.
        distance_gap: largest difference of the distances along the run, relative to the network's initial distance.
    """

    excess: Array
    distance: Array
    loss_gap: float
    distance_gap: float


def linearized_companion(problem: Problem, state: State, t: Array) -> Companion:
    """The linearised network at times t (T,)."""
    flow = linearized_flow(problem, state)
    return Companion(excess=flow.excess(t), product=flow.product(t), V=flow.V(t))


def infinite_width_companion(
    problem: Problem, state: State, flow: Trajectory, a: float, b: float, t: Array
) -> Companion:
    """The infinite-width flow at times t (T,), rotated to where this network starts.

    Args:
        problem: the reparametrised problem.
        state: initial state of the network.
        flow: `infinite_width_flow` at (a, b), recorded at all of t for as long as it moved.
        a: sigma_U^2 h.
        b: sigma_V^2 h.
        t: flow times, increasing.

    Raises:
        ValueError: the network is narrower than r + m.
    """
    rotation = infinite_width_rotation(problem, state, a, b)
    at = np.minimum(np.searchsorted(flow.t, t), flow.t.size - 1)
    return Companion(excess=flow.excess[at], product=flow.product[at], V=flow.V[at] @ rotation)


def gaps(problem: Problem, state: State, trajectory: Trajectory, companion: Companion) -> Gaps:
    """Compare a companion with the trajectory at whose times it was taken."""
    (own, _), (other, _) = (distance_curves(problem, state, path) for path in (trajectory, companion))
    return Gaps(
        excess=companion.excess,
        distance=other,
        loss_gap=_largest(companion.excess - trajectory.excess, trajectory.excess[0]),
        distance_gap=_largest(other - own, own[0]),
    )


def _largest(difference: Array, initial: float) -> float:
    return float(np.max(np.abs(difference)) / initial) if initial > 0 else 0.0
