"""Stage 3: plan the sweep and draw the initial networks of its points."""

import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

from kedro.pipeline import Pipeline

from implicit_bias.pipelines.kinds.steps import step_of
from implicit_bias.pipelines.nodes import node
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.fingerprint import digest, numerics
from implicit_bias.sweeps.handover import Data, DataFields, Plan, ProblemFields, Problems, Record
from implicit_bias.sweeps.kinds.base import STEPS
from implicit_bias.sweeps.manifest import sweep_plan
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import compute_points, modules_found
from implicit_bias.sweeps.workers import check_engine
from implicit_bias.theory.initialization.registry import check_width
from implicit_bias.theory.problem import Problem

logger = logging.getLogger(__name__)

COMPUTING = tuple(f"{__package__}.{stage}" for stage in ("initialization", "training", "evaluation"))
"""Modules that compute what is tracked of a point."""

DATA_TOLD: dict[str, Literal["preparation", "drawn"]] = {"own_data": "preparation", "data": "drawn"}
"""What is tracked of how data were made -> the entry of a data set that says it, as JSON."""


def plan_points(data: Data, problems: Problems, sweep: Sweep) -> Plan:
    """Write down every point of the sweep with all that determines it, before any of them is run.

    Raises:
        EngineError: the engine that the sweep asks for cannot be used.
        ValueError: a data set or a draw of it that the sweep names does not exist, or a width is too large for entries
            that have to be drawn one by one.
    """
    check_engine(sweep)
    needed = sorted({point.problem for point in sweep.points()})
    missing = [name for name in needed if name not in problems]
    if missing:
        raise ValueError(f"problem {missing[0]!r} is not among the data sets drawn: {', '.join(sorted(problems))}")
    loaded = {name: Problem(**problems[name]()) for name in needed}
    doubts = sweep.kind.doubts(sweep)
    for name, problem in loaded.items():
        doubts += sweep.kind.doubts_of_data(name, problem, data[name](), sweep)
    for doubt in doubts:
        logger.warning(doubt)
    for point in sweep.points():
        check_width(loaded[point.problem], point.width, point.initialization)
    first = data[needed[0]]()
    told = {name: json.loads(text) for name, entry in DATA_TOLD.items() if (text := first.get(entry))}
    rows = {name: digest(data[name]()) for name in needed} if sweep.kind.reads_rows else {}
    return sweep_plan(sweep, loaded, numerics(*COMPUTING, *modules_found(sweep)), told, rows)


def initialize_points(
    data: Data, problems: Problems, sweep: Sweep, plan: Plan, stored: dict[str, ReadStored]
) -> Iterator[dict[str, Record]]:
    """Draw the initial network of every point, as a reduced state, but those that are done.

    Yields:
        point -> the fields of its State.
    """
    for key, record in compute_points(INITIALIZATION, sweep, plan, problems, stored, {}, rows=data):
        yield {key: record}


def initialize_point(point: Point, sweep: Sweep, problem: ProblemFields, *rows: DataFields) -> Record:
    record: Record = step_of(sweep.kind, "initialize").draw(point, sweep, Problem(**problem), *rows)
    return record


INITIALIZATION = Stage(
    "initialise",
    "initial_states",
    "initialization",
    initialize_point,
    frozenset(
        {
            "step_size",
            "momentum",
            "stop",
            "flow_tolerance",
            "kink_tolerance",
            "curve_points",
            "delta",
            "point_figures",
            "leak_tol",
            "most_weights",
        }
    ),
    steps=STEPS[:1],
)


def create_pipeline(**_: Any) -> Pipeline:
    """Problems -> plan, initial states."""
    return Pipeline(
        [
            node(plan_points, ["data", "problems", "params:sweep"], "plan"),
            node(initialize_points, ["data", "problems", "params:sweep", "plan", "stored"], "initial_states"),
        ]
    )
