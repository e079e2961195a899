"""Stage 6: one table, one summary and the figures of each sweep."""

import logging
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines import questions, sections
from implicit_bias.pipelines.evaluation import EVALUATION
from implicit_bias.pipelines.kinds.activation import results as activation
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import STAMP, Stage, stamp
from implicit_bias.sweeps.figure import Results
from implicit_bias.sweeps.handover import Loaders, Plan, Problems, Record, failure_of
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import require
from implicit_bias.sweeps.records import Fingerprints
from implicit_bias.theory.networks.deep import LevelBudgetError, limit_const
from implicit_bias.theory.networks.deep.law import LAW_LEAK
from implicit_bias.theory.problem import Array, Problem

logger = logging.getLogger(__name__)


def tabulate_points(
    sweep: Sweep, plan: Plan, problems: Problems, trajectories: Loaders, evaluations: Loaders
) -> pd.DataFrame:
    """One row per finished point: its parameters, how it ended, its metrics, and the stamp of its evaluation.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        trajectories: point -> loader of what training recorded.
        evaluations: point -> loader of metrics and curves.

    Raises:
        StaleRecords: the plan, or one of the records, is of other parameters, data or numerics.
    """
    fingerprints = Fingerprints(sweep, plan, problems)
    require(plan["points"], trajectories, "trajectories", "training")
    require(plan["points"], evaluations, "evaluations", "evaluation")
    rows = []
    for key, point in plan["points"].items():
        measured = fingerprints.load(EVALUATION, evaluations, key)
        if failure_of(measured) is not None:
            continue
        trained = fingerprints.load(TRAINING, trajectories, key)
        tracked = {
            name.partition("/")[2]: value
            for name, value in (trained | measured).items()
            if name.startswith(("param/", "metric/"))
        }
        rows.append({"point": key, **point["params"], **tracked, STAMP: stamp(fingerprints.of(EVALUATION, key))})
    return pd.DataFrame(rows)


def join_metrics(stage: Stage, fingerprints: Fingerprints, table: pd.DataFrame, records: Loaders) -> pd.DataFrame:
    """The table of a sweep, with the metrics that the records of a study have of its points, and their stamps.

    Args:
        stage: what has made the records.
        fingerprints: what the records must carry.
        table: one row per point.
        records: point -> loader of metrics and curves.

    Raises:
        StaleRecords: the table, or one of the records, is of other parameters, data or numerics.
    """
    fingerprints.check(EVALUATION, table)
    require(table["point"], records, stage.output, stage.pipeline)
    rows = {
        key: {
            name.removeprefix("metric/"): value
            for name, value in fingerprints.load(stage, records, key).items()
            if name.startswith("metric/")
        }
        | {STAMP: stamp(fingerprints.of(stage, key))}
        for key in table["point"]
    }
    return table.drop(columns=STAMP).join(pd.DataFrame.from_dict(rows, orient="index"), on="point")


def summarize_sweep(sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame) -> Record:
    """Aggregate metrics of the whole sweep, and its means against width as curves.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        table: one row per point.

    Raises:
        StaleRecords: the plan or the table is of other parameters, data or numerics.
    """
    Fingerprints(sweep, plan, problems).check(EVALUATION, table)
    if sweep.kind == "activation":
        return activation.summary(len(plan["points"]), table)
    summary: Record = {
        "metric/points": len(table),
        "metric/failed": len(plan["points"]) - len(table),
        "metric/bound_ratio": float(table["bound_worst"].max()),
        "metric/drift": float(table["imbalance_drift"].max()),
        "metric/seconds": float(table["seconds"].sum()),
        "metric/distance": float(table["distance"].mean()),
    }
    if sweep.kind == "deep":
        summary |= _limits_of_depths(sweep, _problems(problems, table))
    elif sweep.alpha:
        summary["metric/limit_const"] = float(np.mean([limit_const(each) for each in _problems(problems, table)]))
    if len(sweep.widths) > 1 and len(sweep.alpha) == len(sweep.depths) == len(sweep.inner_gain) == 1:
        columns = [name for name in ("distance", "distance_init", "iterations", "law_rms") if name in table]
        means = table.groupby("width")[columns].mean()
        summary["curve/iteration"] = means.index.tolist()
        summary |= {f"curve/{name}": means[name].tolist() for name in columns}
        if len(table) > 2 and np.all(table["distance"] > 0):
            slope, slope_se = log_slope(table["width"].to_numpy(float), table["distance"].to_numpy(float))
            summary |= {"metric/slope": slope, "metric/slope_se": slope_se}
    return summary


def _limits_of_depths(sweep: Sweep, drawn: list[Problem]) -> dict[str, float]:
    """limit_const/<depth> of the depths at which it can be had; of several gains, limit_const/<depth>/<gain>."""
    summary, leak_tol = {}, max(sweep.leak_tol, LAW_LEAK)
    for depth in sweep.depths:
        if depth > 2 and sweep.inner_layers == "orthogonal":
            continue
        gains = sweep.inner_gain if depth > 2 else [1.0]
        for gain in gains:
            name = f"limit_const/{depth}" + (f"/{gain:g}" if len(gains) > 1 else "")
            try:
                each = [limit_const(problem, depth, gain, leak_tol) for problem in drawn]
            except LevelBudgetError as error:
                logger.warning("%s is left out: %s", name, error)
            else:
                summary[f"metric/{name}"] = float(np.mean(each))
    return summary


def log_slope(width: Array, distance: Array) -> tuple[float, float]:
    """Least-squares slope of log distance against log width, and its standard error."""
    x, y = np.log(width), np.log(distance)
    x = x - x.mean()
    slope = (x @ y) / (x @ x)
    rest = y - y.mean() - slope * x
    return float(slope), float(np.sqrt(rest @ rest / (x.size - 2) / (x @ x)))


def draw_sweep(
    sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, evaluations: Loaders
) -> tuple[Any, Any, Any]:
    """Draw the figure of the sweep, once for PNG and once for PDF, and its companion.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        table: one row per finished point.
        evaluations: point -> loader of metrics and curves.

    Raises:
        StaleRecords: the plan, the table or a record is of other parameters, data or numerics.
    """
    from implicit_bias.figures.registry import draw_companion, draw_main

    results = _results(sweep, plan, problems, table, evaluations)
    main = draw_main(results)
    return main, main, draw_companion(results)


def draw_interactive(sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, evaluations: Loaders) -> Any:
    """Draw the sweep as a figure to zoom into; see `draw_sweep` for the arguments."""
    from implicit_bias.figures import registry

    return registry.draw_plotly(_results(sweep, plan, problems, table, evaluations))


def _results(sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, evaluations: Loaders) -> Results:
    """What the figures are drawn from, checked to be of this sweep."""
    fingerprints = Fingerprints(sweep, plan, problems)
    fingerprints.check(EVALUATION, table)
    require(table["point"], evaluations, "evaluations", "evaluation")
    load = partial(fingerprints.load, EVALUATION, evaluations)
    return Results(sweep, table, _problems(problems, table), load)


def _problems(problems: Problems, table: pd.DataFrame) -> list[Problem]:
    require(table["problem"].unique(), problems, "problems", "reparametrization")
    return [Problem(**problems[name]()) for name in table["problem"].unique()]


def create_pipeline(**_: Any) -> Pipeline:
    """Evaluations -> table, summary, figures, section of the report."""
    known = ["params:sweep", "plan", "problems"]
    reports = Pipeline(
        [
            Node(
                tabulate_points,
                inputs=[*known, "trajectories", "evaluations"],
                outputs="table",
                name="tabulate_points",
            ),
            Node(
                summarize_sweep,
                inputs=[*known, "table"],
                outputs="summary",
                name="summarize_sweep",
            ),
            Node(
                draw_sweep,
                inputs=[*known, "table", "evaluations"],
                outputs=["figure", "figure_pdf", "companion"],
                name="draw_sweep",
            ),
            Node(
                draw_interactive,
                inputs=[*known, "table", "evaluations"],
                outputs="interactive",
                name="draw_interactive",
            ),
        ]
    )
    return reports + questions.create_pipeline() + sections.create_pipeline()
