"""Stage 5: measure every point against the bounds, the law and the min-norm solution."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from kedro.io.core import DatasetError
from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.kinds.activation import evaluate as activation
from implicit_bias.pipelines.kinds.deep import evaluate as deep
from implicit_bias.pipelines.kinds.two_layer import evaluate as two_layer
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.handover import Data, DataFields, Loaders, Plan, ProblemFields, Problems, Record, failure_of
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import compute_points


def evaluate_points(
    data: Data,
    problems: Problems,
    sweep: Sweep,
    plan: Plan,
    stored: dict[str, ReadStored],
    initial_states: Loaders,
    trajectories: Loaders,
) -> Iterator[tuple[dict[str, bytes], dict[str, Record]]]:
    """Measure and draw every trained point, but those that are done: distance to the min-norm solution, bounds, law.

    Without the sweep's `point_figures` no point is drawn.

    Args:
        data: name -> loader of X, Y and test rows.
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points to evaluate.
        stored: what earlier runs have left.
        initial_states: point -> loader of a State's fields.
        trajectories: point -> loader of a Trajectory's fields.

    Yields:
        point -> its figure (SVG), and point -> its metrics and curves.
    """

    def drawn(key: str, record: Record) -> bool:
        """Give a stored record the figure it has; False if that is missing or damaged."""
        if "figure_checksum" not in record:
            return True
        try:
            record["figure"] = stored["point_figures"](key)
        except DatasetError:
            return False
        return record["figure"] is not None and checksum(record["figure"]) == record["figure_checksum"]

    inputs = {INITIALIZATION: initial_states, TRAINING: trajectories}
    done = 0
    for key, record in compute_points(EVALUATION, sweep, plan, problems, stored, inputs, drawn, rows=data):
        done += failure_of(record) is None
        yield {key: figure} if (figure := record.pop("figure", b"")) else {}, {key: record}
    if not done:
        raise RuntimeError("no point of the sweep could be trained and evaluated; the reasons are above")


KINDS: dict[str, Callable[..., Record]] = {
    "two_layer": two_layer.evaluate_point,
    "activation": activation.evaluate_point,
    "deep": deep.evaluate_point,
}
"""Kind of network -> what is done for a point of it."""


def evaluate_point(
    point: Point, sweep: Sweep, problem: ProblemFields, state: Record, trajectory: Record, *rows: DataFields
) -> Record:
    """Measure one point, and draw it if the sweep's points are drawn."""
    record = KINDS[sweep.kind](point, sweep, problem, state, trajectory, *rows)
    if not sweep.point_figures:
        return record
    from implicit_bias.figures.activation_point import activation_point_figure
    from implicit_bias.figures.point import point_figure

    figure = (activation_point_figure if sweep.kind == "activation" else point_figure)(record).svg()
    return record | {"figure": figure, "figure_checksum": checksum(figure)}


def checksum(figure: bytes) -> str:
    """By which a figure is known to be whole, and to belong to a record."""
    return hashlib.sha256(figure).hexdigest()


EVALUATION = Stage("evaluate", "evaluations", "evaluation", evaluate_point)


def create_pipeline(**_: Any) -> Pipeline:
    """Trajectories -> figures and evaluations, point by point."""
    return Pipeline(
        [
            Node(
                evaluate_points,
                inputs=["data", "problems", "params:sweep", "plan", "stored", "initial_states", "trajectories"],
                outputs=["point_figures", "evaluations"],
                name="evaluate_points",
            )
        ]
    )
