"""The template of a sweep: initialisation, training, evaluation and reporting, in a namespace of its own."""

from typing import Any

from kedro.pipeline import Pipeline

from implicit_bias.pipelines import evaluation, initialization, reporting, training

STAGES = {"initialization": initialization, "training": training, "evaluation": evaluation, "reporting": reporting}


def create_pipeline(namespace: str = "width_sweep", stages: tuple[str, ...] = tuple(STAGES), **_: Any) -> Pipeline:
    """Problems -> the points, tables and figures of one sweep.

    Args:
        namespace: prefix of the sweep's datasets and name of its parameters.
        stages: the stages wanted, by name.
    """
    template = sum((STAGES[name].create_pipeline() for name in stages), Pipeline([]))
    shared = {"data", "problems"} & template.inputs()
    return Pipeline(template, namespace=namespace, inputs=shared, parameters={"params:sweep": f"params:{namespace}"})
