"""Draws the initial network of a point."""

import numpy as np

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.initialization.registry import initial_state
from implicit_bias.theory.problem import Problem


def draw(point: Point, sweep: Sweep, problem: Problem) -> Record:
    """Draw one point's initial state; seed and width alone select U0 and V0, so that the cases share them."""
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=(point.seed, point.width)))
    state = initial_state(
        problem,
        point.width,
        rng,
        point.initialization,
        point.sigma_u,
        point.sigma_v,
        balanced=point.balanced,
        density=sweep.density,
        sampler=sweep.sampler,
    )
    return vars(state)
