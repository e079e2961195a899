"""Stage 4: train every point."""

from collections.abc import Callable, Iterator
from typing import Any

from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.kinds.activation import train as activation
from implicit_bias.pipelines.kinds.deep import train as deep
from implicit_bias.pipelines.kinds.two_layer import train as two_layer
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.handover import Data, DataFields, Loaders, Plan, ProblemFields, Problems, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import compute_points


def train_points(
    data: Data,
    problems: Problems,
    sweep: Sweep,
    plan: Plan,
    stored: dict[str, ReadStored],
    initial_states: Loaders,
) -> Iterator[dict[str, Record]]:
    """Train every point by its solver, but those that are done; each is saved at once.

    Args:
        data: name -> loader of X, Y and test rows.
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points to train.
        stored: what earlier runs have left.
        initial_states: point -> loader of a State's fields.

    Yields:
        point -> the fields of its Trajectory, its loss curve and what else is tracked; a `Failure` of one that failed.
    """
    inputs = {INITIALIZATION: initial_states}
    for key, record in compute_points(TRAINING, sweep, plan, problems, stored, inputs, rows=data):
        yield {key: record}


KINDS: dict[str, Callable[..., Record]] = {
    "two_layer": two_layer.train_point,
    "activation": activation.train_point,
    "deep": deep.train_point,
}
"""Kind of network -> what is done for a point of it."""


def train_point(point: Point, sweep: Sweep, problem: ProblemFields, state: Record, *rows: DataFields) -> Record:
    """Train one point."""
    return KINDS[sweep.kind](point, sweep, problem, state, *rows)


TRAINING = Stage("train", "trajectories", "training", train_point, frozenset({"delta", "point_figures"}))


def create_pipeline(**_: Any) -> Pipeline:
    """Initial states -> trajectories."""
    return Pipeline(
        [
            Node(
                train_points,
                inputs=["data", "problems", "params:sweep", "plan", "stored", "initial_states"],
                outputs="trajectories",
                name="train_points",
            )
        ]
    )
