"""Stage 1: draw the synthetic data sets."""

import json
from typing import Any

import numpy as np
from kedro.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from implicit_bias.pipelines.nodes import node
from implicit_bias.sweeps.data import DataSets
from implicit_bias.sweeps.handover import DataFields
from implicit_bias.theory.synthetic import draw_data, draw_held_out


def generate_data(data: DataSets) -> dict[str, DataFields]:
    """Draw every data set, each as often as its parameters ask.

    Args:
        data: the data sets to draw, by name.

    Returns:
        "<name>-draw=<i>" -> X (n, D), Y (n, m), Theta (D, m), the held-out rows X_test, Y_test, and "drawn": the
        parameters they were drawn with, as JSON.
    """
    drawn = {}
    for name, spec in data.root.items():
        settings = spec.model_dump(exclude={"draws", "seed", "held_out"})
        told = json.dumps(spec.model_dump())
        for draw in range(spec.draws):
            rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(draw,)))
            with threadpool_limits(1):
                X, Y, theta = draw_data(rng=rng, **settings)
                X_test, Y_test = draw_held_out(spec.held_out, theta, rng, spec.noise_std)
            drawn[f"{name}-draw={draw}"] = DataFields(X=X, Y=Y, Theta=theta, X_test=X_test, Y_test=Y_test, drawn=told)
    return drawn


def create_pipeline(**_: Any) -> Pipeline:
    """Parameters of the data sets -> data."""
    return Pipeline([node(generate_data, "params:data", "data")])
