"""The template of a sweep: initialisation, training, evaluation and reporting, in a namespace of its own."""

from typing import Any

from kedro.pipeline import Pipeline

from implicit_bias.pipelines import evaluation, initialization, reporting, training
from implicit_bias.pipelines.studies import early, lazy

STAGES = {"initialization": initialization, "training": training, "evaluation": evaluation, "reporting": reporting}
"""The stages of every sweep."""
STUDIES = {"lazy": lazy, "early": early}
"""Additional stages that a sweep may have."""


def create_pipeline(namespace: str = "width_sweep", stages: tuple[str, ...] = tuple(STAGES), **_: Any) -> Pipeline:
    """Problems -> the points, tables and figures of one sweep.

    Args:
        namespace: prefix of the sweep's datasets and name of its parameters.
        stages: the stages wanted, by name, those of STUDIES among them.
    """
    template = sum(((STAGES | STUDIES)[name].create_pipeline() for name in stages), Pipeline([]))
    shared = {"data", "problems"} & template.inputs()
    return Pipeline(template, namespace=namespace, inputs=shared, parameters={"params:sweep": f"params:{namespace}"})
