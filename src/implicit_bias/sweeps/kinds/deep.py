"""Sweeps of linear networks of several depths.

Networks of three layers are revealed by about `LEVELS` levels per layer; more layers have about `DIRECTIONS` directions
per layer besides the first ones, and train `RESTARTS` times per layer. A step of theirs takes about `RATES` evaluations
of the velocity.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.sweeps.handover import Params
from implicit_bias.sweeps.kinds.base import Seconds, SweepKind, refuse_activations_only, refuse_other_starts, timed
from implicit_bias.sweeps.kinds.two_layer import OVERHEAD, STEPS
from implicit_bias.sweeps.metrics import DEEP, with_bounds
from implicit_bias.theory.networks.deep.dynamics import velocity
from implicit_bias.theory.networks.deep.starts import gaussian_deep
from implicit_bias.theory.problem import Problem

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Point, Sweep

LEVELS = 2
DIRECTIONS = 3
RESTARTS = 0.5
RATES = 40


class DeepSweep(SweepKind):
    """A sweep over depths."""

    name = "deep"
    steps = "implicit_bias.pipelines.kinds.deep"
    remedy = "give depths other than 2"
    asks_law = True
    metrics = with_bounds(DEEP, "bound", "certified", "local", "path")
    silent = "the law is asked of two-layer linear networks alone"

    def check(self, sweep: "Sweep") -> None:
        refuse_other_starts(sweep, "the first and the last layer of deep networks are gaussian")
        refuse_activations_only(sweep)

    def doubts(self, sweep: "Sweep") -> list[str]:
        plain = "depth 1 is plain regression: no hidden layer, and a width that sets the initial scale alone"
        return [plain] if 1 in sweep.depths else []

    def trained(self, sweep: "Sweep") -> str:
        return f"depths {sweep.depths}"

    def told_of(self, point: "Point", sweep: "Sweep") -> Params:
        return {"depth": point.depth, "inner_gain": point.inner_gain}

    def compared(self, sweep: "Sweep") -> tuple[list[str], list[str], str]:
        results, axes, _ = super().compared(sweep)
        gains = ["inner_gain"] if len(sweep.inner_gain) > 1 and max(sweep.depths) > 2 else []
        return results, [*axes, "depth", *gains], "imbalance/1"

    def seconds(self, problem: Problem, sweep: "Sweep", rows: Mapping[str, Any]) -> Seconds:
        runs = {depth: _deep(problem, sweep, depth) for depth in sweep.depths}
        return lambda point: runs[point.depth]

    def lines(self, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        return [f"linear networks of depth {', '.join(map(str, sweep.depths))}"]


def _deep(problem: Problem, sweep: "Sweep", depth: int) -> float:
    """Seconds of a run of a network of this depth."""
    if depth > 3:
        size = min(problem.k + DIRECTIONS * depth, max(sweep.widths))
        layers = tuple(np.ones(shape) for shape in pairwise([problem.r, *[size] * (depth - 1), problem.m]))
        return RESTARTS * depth * STEPS * (OVERHEAD + RATES * timed(velocity, problem, layers))
    rng = np.random.default_rng(sweep.seed)
    network = gaussian_deep(problem, depth, max(sweep.widths), rng)
    state = network.state()
    while not network.closed and network.levels < LEVELS * depth:
        network.grow()
        grown = network.state()
        if sum(W.size for W in grown.layers) > sweep.most_weights:
            break
        state = grown
    return STEPS * (OVERHEAD + RATES * timed(velocity, problem, state.layers))
