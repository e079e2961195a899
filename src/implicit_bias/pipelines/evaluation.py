"""Stage 5: measure every point against the bounds, the law and the min-norm solution."""

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, TypeVar

from kedro.io.core import DatasetError
from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import Reader, Stage
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.points import Loaders
from implicit_bias.sweeps.records import compute_points
from implicit_bias.theory.measure import evaluate
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.registry import solver
from implicit_bias.theory.solvers.trajectory import Trajectory

Kept = TypeVar("Kept", State, Trajectory)


def evaluate_points(
    problems: Loaders,
    sweep: Sweep,
    plan: dict[str, Any],
    stored: dict[str, Reader],
    initial_states: Loaders,
    trajectories: Loaders,
) -> Iterator[tuple[dict[str, bytes], dict[str, dict[str, Any]]]]:
    """Measure and draw every trained point, but those that are done: distance to the min-norm solution, bounds, law.

    Without the sweep's `point_figures` no point is drawn.

    Args:
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points to evaluate.
        stored: what earlier runs have left.
        initial_states: point -> loader of a State's fields.
        trajectories: point -> loader of a Trajectory's fields.

    Yields:
        point -> its figure (PNG), and point -> its metrics and curves.
    """

    def drawn(key: str, record: dict[str, Any]) -> bool:
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
    for key, record in compute_points(EVALUATION, sweep, plan, problems, stored, inputs, drawn):
        done += "error" not in record
        yield {key: figure} if (figure := record.pop("figure", b"")) else {}, {key: record}
    if not done:
        raise RuntimeError("no point of the sweep could be trained and evaluated; the reasons are above")


def evaluate_point(
    point: Point,
    sweep: Sweep,
    problem_fields: dict[str, Any],
    state_fields: dict[str, Any],
    trajectory_fields: dict[str, Any],
) -> dict[str, Any]:
    """Measure one point, and draw it if the sweep's points are drawn."""
    if "error" in trajectory_fields:
        return trajectory_fields
    problem, state = Problem(**problem_fields), State(**state_fields)
    trajectory = restored(Trajectory, trajectory_fields)
    law, alpha = point.law != "silent", point.alpha if point.law == "exact" else None
    kind, step = solver(point.solver).kind, float(problem.flow_time(1, sweep.step_size))
    evaluation = evaluate(problem, state, trajectory, point.sigma_u, point.sigma_v, alpha, sweep.delta, law, step, kind)
    iteration = problem.iterations(trajectory.t, sweep.step_size)
    record: dict[str, Any] = {f"metric/{name}": value for name, value in evaluation.metrics.items()}
    record |= {f"curve/{name}": curve for name, curve in evaluation.curves.items()}
    record |= {"curve/iteration": iteration, "metric/t_stop": trajectory.t[-1]}
    record["metric/met/law"] = float(point.law == "exact")
    unmet = (f"{name}: {', '.join(failed)}" for name, failed in evaluation.unmet.items())
    record["param/unmet"] = "; ".join(unmet) or "none"
    if not sweep.point_figures:
        return record
    from implicit_bias.figures import png, point_figure

    figure = png(point_figure(record))
    return record | {"figure": figure, "figure_checksum": checksum(figure)}


def checksum(figure: bytes) -> str:
    """By which a figure is known to be whole, and to belong to a record."""
    return hashlib.sha256(figure).hexdigest()


EVALUATION = Stage("evaluate", "evaluations", "evaluation", evaluate_point)


def restored(kind: type[Kept], record: dict[str, Any]) -> Kept:
    """The State or Trajectory among all that a record holds."""
    return kind(**{field.name: record[field.name] for field in fields(kind)})


def create_pipeline(**_: Any) -> Pipeline:
    """Trajectories -> figures and evaluations, point by point."""
    return Pipeline(
        [
            Node(
                evaluate_points,
                inputs=["problems", "params:sweep", "plan", "stored", "initial_states", "trajectories"],
                outputs=["point_figures", "evaluations"],
                name="evaluate_points",
            )
        ]
    )
