"""Draws the initial network of a point."""

import numpy as np

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.networks.deep.starts import DeepScaling, Network, gaussian_deep, orthogonal_deep
from implicit_bias.theory.networks.deep.state import DeepState
from implicit_bias.theory.problem import Problem


def draw(point: Point, sweep: Sweep, problem: Problem) -> Record:
    """The first level of one point's network. Its draw reveals further ones when training asks for them."""
    return stored(network_of(point, sweep, problem).state())


def network_of(point: Point, sweep: Sweep, problem: Problem) -> Network:
    """The network of a point, to be revealed level by level.

    Seed, width and depth alone select its first level, which scales and gains multiply; that of depth 2 is the paper's
    network, as other sweeps draw it.
    """
    key = (point.seed, point.width) if point.depth == 2 else (point.seed, point.width, point.depth)
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=key))
    scaling = DeepScaling(Scaling(0.0, point.sigma_u, point.sigma_v), point.inner_gain)
    if sweep.inner_layers == "orthogonal" and point.depth > 2:
        return orthogonal_deep(problem, point.depth, point.width, rng, scaling)
    return gaussian_deep(problem, point.depth, point.width, rng, scaling, sampler=sweep.sampler)


def stored(state: DeepState) -> Record:
    """A state as arrays: its layers, and what of them is left to explore."""
    record: Record = {f"initial/{number}": layer for number, layer in enumerate(state.layers, start=1)}
    for number, (rows, columns) in enumerate(state.open, start=2):
        record |= {f"open/{number}/rows": rows, f"open/{number}/columns": columns}
    return record | {"B": state.B, "widths": np.array(state.widths), "levels": state.levels}


def loaded(record: Record) -> DeepState:
    """The state that a record holds."""
    widths = tuple(int(h) for h in record["widths"])
    return DeepState(
        layers=tuple(record[f"initial/{number}"] for number in range(1, len(widths) + 2)),
        B=record["B"],
        widths=widths,
        open=tuple((record[f"open/{l}/rows"], record[f"open/{l}/columns"]) for l in range(2, len(widths) + 1)),
        levels=int(record["levels"]),
    )
