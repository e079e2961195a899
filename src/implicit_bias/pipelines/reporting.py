"""Stage 6: one table, one summary and the figures of each sweep."""

from functools import partial
from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from implicit_bias.pipelines import questions, sections
from implicit_bias.pipelines.evaluation import EVALUATION
from implicit_bias.pipelines.kinds.steps import step_of
from implicit_bias.pipelines.nodes import node
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import STAMP, Stage, stamp
from implicit_bias.sweeps.figure import Results
from implicit_bias.sweeps.handover import Loaders, Plan, Problems, Record, entries, failure_of
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import require
from implicit_bias.sweeps.records import Fingerprints
from implicit_bias.theory.problem import Problem


def tabulate_points(
    sweep: Sweep, plan: Plan, problems: Problems, trajectories: Loaders, evaluations: Loaders
) -> pd.DataFrame:
    """One row per finished point: its parameters, how it ended, its metrics, and the stamp of its evaluation.

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
        tracked = entries(trained | measured, "param/", "metric/")
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
        key: entries(fingerprints.load(stage, records, key), "metric/") | {STAMP: stamp(fingerprints.of(stage, key))}
        for key in table["point"]
    }
    return table.drop(columns=STAMP).join(pd.DataFrame.from_dict(rows, orient="index"), on="point")


def summarize_sweep(sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame) -> Record:
    """Aggregate metrics of the whole sweep, and its means against width as curves.

    Raises:
        StaleRecords: the plan or the table is of other parameters, data or numerics.
    """
    Fingerprints(sweep, plan, problems).check(EVALUATION, table)
    whole: Record = {
        "metric/points": len(table),
        "metric/failed": len(plan["points"]) - len(table),
        "metric/seconds": float(table["seconds"].sum()),
    }
    return whole | step_of(sweep.kind, "results").summary(sweep, _problems(problems, table), table)


def draw_sweep(
    sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, evaluations: Loaders
) -> tuple[Any, Any, Any]:
    """Draw the figure of the sweep, once for PNG and once for PDF, and its companion.

    Raises:
        StaleRecords: the plan, the table or a record is of other parameters, data or numerics.
    """
    from implicit_bias.figures.registry import draw_companion, draw_main

    results = _results(sweep, plan, problems, table, evaluations)
    main = draw_main(results)
    return main, main, draw_companion(results)


def draw_interactive(sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, evaluations: Loaders) -> Any:
    """Draw the sweep as a figure to zoom into."""
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
            node(tabulate_points, [*known, "trajectories", "evaluations"], "table"),
            node(summarize_sweep, [*known, "table"], "summary"),
            node(draw_sweep, [*known, "table", "evaluations"], ["figure", "figure_pdf", "companion"]),
            node(draw_interactive, [*known, "table", "evaluations"], "interactive"),
        ]
    )
    return reports + questions.create_pipeline() + sections.create_pipeline()
