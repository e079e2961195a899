"""Draws the initial network of a point, and refuses data that it cannot be measured on."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from implicit_bias.pipelines.kinds.activation.network import model_of, points_of
from implicit_bias.sweeps.handover import DataFields, ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.activation import draw_network
from implicit_bias.theory.problem import Problem

logger = logging.getLogger(__name__)


def check_data(name: str, problem: Problem, rows: Mapping[str, Any]) -> None:
    """Refuse a data set without test rows, at which networks with activations are compared.

    Raises:
        ValueError: it has none.
    """
    if not len(rows.get("X_test", ())):
        raise ValueError(
            f"{name} has no test rows, at which networks with activations are compared: set held_out of the data set, "
            "or give a table X_test"
        )
    if problem.D == problem.r:
        logger.warning("%s has D = r = %d: training sees all of U, and no part of it stays Gaussian", name, problem.D)


def initialize_point(point: Point, sweep: Sweep, problem_fields: ProblemFields, rows: DataFields) -> Record:
    """Draw one point's network.

    Seed and width alone select the draw, so that the activations share it.

    Returns:
        `R` (r + m, h) [Phi1^T U; V], and `frozen` (N, h), what the frozen part gives to the hidden layer at the test
        rows.
    """
    model = model_of(point, problem_fields, rows)
    rng = np.random.default_rng(np.random.SeedSequence(sweep.seed, spawn_key=(point.seed, point.width)))
    return vars(draw_network(model, points_of(model, rows), point.width, point.sigma_u, point.sigma_v, rng))
