"""Draws the initial weights of a point."""

import numpy as np

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.kinds.general import GeneralSweep
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.general import LinearNetwork, check_functions, draw_checked
from implicit_bias.theory.networks.vectors import Weights
from implicit_bias.theory.problem import Problem


def draw(point: Point, sweep: Sweep, problem: Problem) -> Record:
    """Draw one point's weights; seed and width alone select the numbers, so that the scales share them.

    Raises:
        ValueError: the functions of the network do not fit together.
    """
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=(point.seed, point.width)))
    name, kind = sweep.kind.name, network_of(sweep)
    weights = draw_checked(name, kind, problem, point.width, rng, point.sigma_u, point.sigma_v)
    check_functions(name, kind, problem, weights)
    return {f"initial/{number}": array for number, array in enumerate(weights, start=1)}


def network_of(sweep: Sweep) -> LinearNetwork:
    """The kind of network of a sweep."""
    assert isinstance(sweep.kind, GeneralSweep)
    return sweep.kind.network


def weights_of(record: Record) -> Weights:
    """The initial weights that a record holds."""
    return tuple(record[f"initial/{number}"] for number in range(1, len(record) + 1) if f"initial/{number}" in record)
