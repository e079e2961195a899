"""Draws the initial network of a point."""

import numpy as np

from implicit_bias.sweeps.handover import ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.networks.deep.starts import DeepScaling, Network, gaussian_deep, orthogonal_deep
from implicit_bias.theory.networks.deep.state import DeepState
from implicit_bias.theory.problem import Problem


def initialize_point(point: Point, sweep: Sweep, problem_fields: ProblemFields) -> Record:
    """The first level of one point's network. Its draw reveals the further ones when training asks for them."""
    return stored(drawn(point, sweep, Problem(**problem_fields)).state(), "initial")


def drawn(point: Point, sweep: Sweep, problem: Problem, levels: int = 0) -> Network:
    """The network of a point, revealed up to a level: always the same one.

    Seed, width and depth alone select it; that of depth 2 is the paper's network, as other sweeps draw it.
    """
    key = (point.seed, point.width) if point.depth == 2 else (point.seed, point.width, point.depth)
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=key))
    scaling = scales(point, sweep)
    if sweep.inner_layers == "orthogonal" and point.depth > 2:
        return orthogonal_deep(problem, point.depth, point.width, rng, scaling)
    return gaussian_deep(problem, point.depth, point.width, rng, scaling, levels, sweep.sampler)


def scales(point: Point, sweep: Sweep) -> DeepScaling:
    """The scales of a point's layers."""
    return DeepScaling(Scaling(0.0, point.sigma_u, point.sigma_v), sweep.inner_gain)


def stored(state: DeepState, name: str) -> Record:
    """The layers of a state, and what has been revealed of them, as arrays."""
    layers = {f"{name}/{number}": layer for number, layer in enumerate(state.layers, start=1)}
    explored = np.array(state.explored, dtype=int).reshape(-1, 2)
    return layers | {"B": state.B, "widths": np.array(state.widths), "explored": explored, "levels": state.levels}
