"""Stage 3: plan the sweep and draw the initial networks of its points."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines.kinds.activation import initialize as activation
from implicit_bias.pipelines.kinds.deep import initialize as deep
from implicit_bias.pipelines.kinds.two_layer import initialize as two_layer
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.fingerprint import digest, numerics
from implicit_bias.sweeps.handover import Data, DataFields, Plan, ProblemFields, Problems, Record
from implicit_bias.sweeps.manifest import sweep_plan
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import compute_points
from implicit_bias.sweeps.workers import check_engine
from implicit_bias.theory.initialization.registry import check_width
from implicit_bias.theory.problem import Problem

COMPUTING = tuple(f"{__package__}.{stage}" for stage in ("initialization", "training", "evaluation"))
"""Modules that compute what is tracked of a point."""

DATA_TOLD: dict[str, Literal["preparation", "drawn"]] = {"own_data": "preparation", "data": "drawn"}
"""What is tracked of how data were made -> the entry of a data set that says it, as JSON."""

logger = logging.getLogger(__name__)


def plan_points(data: Data, problems: Problems, sweep: Sweep) -> Plan:
    """Write down every point of the sweep with all that determines it, before any of them is run.

    Args:
        data: name -> loader of X, Y and how they were drawn, or tables of one's own prepared.
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.

    Returns:
        Title, description, parameters, points and data sets of the sweep, as tracked.

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
    for alpha in sweep.alpha if sweep.kind == "two_layer" else ():
        if not 0.25 < alpha <= 0.5:
            logger.warning("alpha = %g is outside (1/4, 1/2]: Lemma 1 and Theorem 2 do not cover it", alpha)
    if 1 in sweep.depths:
        logger.warning("depth 1 is plain regression: no hidden layer, and a width that sets the initial scale alone")
    loaded = {name: Problem(**problems[name]()) for name in needed}
    for name, problem in loaded.items():
        if sweep.kind == "activation":
            activation.check_data(name, problem, data[name]())
            continue
        if problem.D == problem.r:
            logger.warning("%s has D = r = %d: every solution is the min-norm solution", name, problem.r)
        if (narrowest := min(sweep.widths)) < (rank := min(problem.r, problem.m)):
            logger.warning("h = %d < min(r, m) = %d of %s: it cannot fit every Y, may end late", narrowest, rank, name)
    for point in sweep.points():
        check_width(loaded[point.problem], point.width, point.initialization)
    first = data[needed[0]]()
    told = {name: json.loads(text) for name, entry in DATA_TOLD.items() if (text := first.get(entry))}
    rows = {name: digest(data[name]()) for name in needed} if sweep.reads_rows else {}
    return sweep_plan(sweep, loaded, numerics(*COMPUTING), told, rows)


def initialize_points(
    data: Data, problems: Problems, sweep: Sweep, plan: Plan, stored: dict[str, ReadStored]
) -> Iterator[dict[str, Record]]:
    """Draw the initial network of every point, as a reduced state, but those that are done.

    Args:
        data: name -> loader of X, Y and test rows.
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points to initialise.
        stored: what earlier runs have left.

    Yields:
        point -> the fields of its State.
    """
    for key, record in compute_points(INITIALIZATION, sweep, plan, problems, stored, {}, rows=data):
        yield {key: record}


KINDS: dict[str, Callable[..., Record]] = {
    "two_layer": two_layer.initialize_point,
    "activation": activation.initialize_point,
    "deep": deep.initialize_point,
}
"""Kind of network -> what is done for a point of it."""


def initialize_point(point: Point, sweep: Sweep, problem: ProblemFields, *rows: DataFields) -> Record:
    """Draw the initial network of one point."""
    return KINDS[sweep.kind](point, sweep, problem, *rows)


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
)


def create_pipeline(**_: Any) -> Pipeline:
    """Problems -> plan, initial states."""
    return Pipeline(
        [
            Node(plan_points, inputs=["data", "problems", "params:sweep"], outputs="plan", name="plan_points"),
            Node(
                initialize_points,
                inputs=["data", "problems", "params:sweep", "plan", "stored"],
                outputs="initial_states",
                name="initialize_points",
            ),
        ]
    )
