"""Stage 5: measure every point against the bounds, the law and the min-norm solution."""

import hashlib
from collections.abc import Iterator
from typing import Any

from kedro.io.core import DatasetError
from kedro.pipeline import Pipeline

from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.kinds.steps import Measured, step_of
from implicit_bias.pipelines.nodes import node
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.handover import Data, DataFields, Loaders, Plan, ProblemFields, Problems, Record, failure_of
from implicit_bias.sweeps.kinds.base import STEPS
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import compute_points
from implicit_bias.theory.problem import Problem


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


def evaluate_point(
    point: Point, sweep: Sweep, problem_fields: ProblemFields, state: Record, trajectory: Record, *rows: DataFields
) -> Record:
    """Measure one point, and draw it if the sweep's points are drawn."""
    problem = Problem(**problem_fields)
    found: Measured = step_of(sweep.kind, "evaluate").measure(point, sweep, problem, state, trajectory, *rows)
    record: Record = {f"metric/{name}": value for name, value in found.metrics.items()}
    record |= {f"curve/{name}": curve for name, curve in found.curves.items()}
    record |= {"curve/iteration": problem.iterations(found.t, sweep.step_size), "metric/t_stop": found.t[-1]}
    if found.unmet is not None:
        unmet = (f"{name}: {', '.join(failed)}" for name, failed in found.unmet.items())
        record["param/unmet"] = "; ".join(unmet) or "none"
    record |= found.arrays
    if not sweep.point_figures:
        return record
    from implicit_bias.figures.points import draw_point

    figure = draw_point(sweep.kind.drawn_as, record).svg()
    return record | {"figure": figure, "figure_checksum": checksum(figure)}


def checksum(figure: bytes) -> str:
    """By which a figure is known to be whole, and to belong to a record."""
    return hashlib.sha256(figure).hexdigest()


EVALUATION = Stage("evaluate", "evaluations", "evaluation", evaluate_point, steps=STEPS)


def create_pipeline(**_: Any) -> Pipeline:
    """Trajectories -> figures and evaluations, point by point."""
    return Pipeline(
        [
            node(
                evaluate_points,
                ["data", "problems", "params:sweep", "plan", "stored", "initial_states", "trajectories"],
                ["point_figures", "evaluations"],
            )
        ]
    )
