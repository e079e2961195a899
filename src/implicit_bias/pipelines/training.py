"""Stage 4: train every point."""

import time
from collections.abc import Iterator
from typing import Any

from kedro.pipeline import Pipeline

from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.kinds.steps import Trained, step_of
from implicit_bias.pipelines.nodes import node
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.handover import Data, DataFields, Loaders, Plan, ProblemFields, Problems, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import compute_points
from implicit_bias.theory.problem import Problem


def train_points(
    data: Data, problems: Problems, sweep: Sweep, plan: Plan, stored: dict[str, ReadStored], initial_states: Loaders
) -> Iterator[dict[str, Record]]:
    """Train every point by its solver, but those that are done; each is saved at once.

    Yields:
        point -> the fields of its Trajectory, its loss curve and what else is tracked; a `Failure` of one that failed.
    """
    inputs = {INITIALIZATION: initial_states}
    for key, record in compute_points(TRAINING, sweep, plan, problems, stored, inputs, rows=data):
        yield {key: record}


def train_point(point: Point, sweep: Sweep, problem_fields: ProblemFields, state: Record, *rows: DataFields) -> Record:
    started, problem = time.perf_counter(), Problem(**problem_fields)
    run: Trained = step_of(sweep.kind, "train").train(point, sweep, problem, state, *rows)
    iteration = problem.iterations(run.t, sweep.step_size)
    return {
        **run.fields,
        "curve/iteration": iteration,
        "curve/loss": problem.averaged(run.excess + run.floor),
        "param/stop_reason": run.stop_reason,
        "param/method": run.method,
        "metric/iterations": round(float(iteration[-1]), 6),  # first: MLflow's tables keep the order
        "metric/steps": run.steps,
        **{f"metric/{name}": value for name, value in run.metrics.items()},
        "metric/seconds": time.perf_counter() - started,
    }


TRAINING = Stage("train", "trajectories", "training", train_point, frozenset({"delta", "point_figures"}))


def create_pipeline(**_: Any) -> Pipeline:
    """Initial states -> trajectories."""
    return Pipeline(
        [node(train_points, ["data", "problems", "params:sweep", "plan", "stored", "initial_states"], "trajectories")]
    )
