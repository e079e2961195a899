"""Stage 1: draw the synthetic data sets."""

from typing import Any

import numpy as np
from kedro.pipeline import Node, Pipeline

from implicit_bias.parameters import DataSets
from implicit_bias.theory.synthetic import draw_data


def generate_data(data: DataSets) -> dict[str, dict[str, Any]]:
    """Draw every data set, each as often as its parameters ask.

    Args:
        data: the data sets to draw, by name.

    Returns:
        "<name>-draw=<i>" -> X (n, D), Y (n, m) and Theta (D, m).
    """
    drawn = {}
    for name, spec in data.root.items():
        settings = spec.model_dump(exclude={"draws", "seed"})
        for draw in range(spec.draws):
            rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(draw,)))
            X, Y, theta = draw_data(rng=rng, **settings)
            drawn[f"{name}-draw={draw}"] = {"X": X, "Y": Y, "Theta": theta}
    return drawn


def create_pipeline(**_: Any) -> Pipeline:
    """Parameters of the data sets -> data."""
    return Pipeline([Node(generate_data, inputs="params:data", outputs="data", name="generate_data")])
