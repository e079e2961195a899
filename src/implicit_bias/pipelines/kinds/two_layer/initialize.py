"""Draws the initial network of a point."""

import numpy as np

from implicit_bias.sweeps.handover import ProblemFields, Record
from implicit_bias.sweeps.parameters import BALANCED, Point, Sweep
from implicit_bias.theory.initialization.registry import initial_state
from implicit_bias.theory.problem import Problem


def initialize_point(point: Point, sweep: Sweep, problem_fields: ProblemFields) -> Record:
    """Draw one point's initial state; seed and width alone select U0 and V0, so that the cases share them."""
    problem = Problem(**problem_fields)
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=(point.seed, point.width)))
    state = initial_state(
        problem,
        point.width,
        rng,
        point.initialization,
        point.sigma_u,
        point.sigma_v,
        balanced=point.case == BALANCED,
        density=sweep.density,
        sampler=sweep.sampler,
    )
    return vars(state)
