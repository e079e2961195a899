"""Draws the initial network of a point."""

from typing import Any

import numpy as np

from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.initialization import gaussian as initialization
from implicit_bias.theory.initialization.entries import ENTRIES, unit_entries
from implicit_bias.theory.problem import Problem


def initialize_point(point: Point, sweep: Sweep, problem_fields: dict[str, Any]) -> dict[str, Any]:
    """Draw one point's initial state; seed and width alone select U0 and V0, so that the cases share them."""
    problem = Problem(**problem_fields)
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=(point.seed, point.width)))
    entries = point.initialization if point.initialization in ENTRIES else "gaussian"
    state = unit_entries(problem, point.width, rng, entries, sweep.density, sweep.sampler)
    state = initialization.scaled(state, point.sigma_u, point.sigma_v)
    if point.case == "balanced":
        state = initialization.balanced(problem, state)
    if point.initialization == "invariant_set":
        state = initialization.in_invariant_set(state)
    elif point.initialization == "orthogonal_layers":
        state = initialization.orthogonal_layers(state)
    return vars(state)
