"""Draws the initial network of a point."""

import numpy as np

from implicit_bias.pipelines.kinds.activation.network import model_of, points_of
from implicit_bias.sweeps.handover import DataFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.activation import draw_network
from implicit_bias.theory.problem import Problem


def draw(point: Point, sweep: Sweep, problem: Problem, rows: DataFields) -> Record:
    """Draw one point's network.

    Seed and width alone select the draw, so that the activations share it.

    Returns:
        `R` (r + m, h) [Phi1^T U; V], and `frozen` (N, h), what the frozen part gives to the hidden layer at the test
        rows.
    """
    model = model_of(point, problem, rows)
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=(point.seed, point.width)))
    return vars(draw_network(model, points_of(model, rows), point.width, point.sigma_u, point.sigma_v, rng))
