"""An additional stage: every trained point, stopped at any time, compared with the path of ridge regression."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Pipeline

from implicit_bias.hooks.preflight import OF_TWO_LAYERS
from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.kinds.steps import restored
from implicit_bias.pipelines.nodes import node
from implicit_bias.pipelines.reporting import join_metrics
from implicit_bias.pipelines.sections import describe_study, typesetting
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.report.section import SectionJson
from implicit_bias.sweeps.compute import ReadStored, Stage
from implicit_bias.sweeps.handover import Data, Loaders, Plan, ProblemFields, Problems, Record, Whereabouts
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import Fingerprints, compute_points
from implicit_bias.theory.comparisons.ridge import (
    REACH,
    nearest_ridge,
    network_risk,
    regression_flow,
    ridge_path,
    seen_risk,
)
from implicit_bias.theory.measure import distance_curves
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory

PATH = 120
"""Penalties at which the ridge path is drawn and searched for its smallest test risk."""


def compare_with_ridge(
    data: Data,
    problems: Problems,
    sweep: Sweep,
    plan: Plan,
    stored: dict[str, ReadStored],
    initial_states: Loaders,
    trajectories: Loaders,
) -> Iterator[dict[str, Record]]:
    """Find, for every time of every trained point, the nearest ridge solution; with held-out rows, the test risk.

    Yields:
        point -> what is tracked of it.
    """
    inputs, test_rows = {INITIALIZATION: initial_states, TRAINING: trajectories}, _test_rows(data)
    for key, record in compute_points(RIDGE, sweep, plan, problems, stored, inputs, beside=test_rows):
        yield {key: record}


def follow_ridge_path(
    point: Point,
    sweep: Sweep,
    problem_fields: ProblemFields,
    state_fields: Record,
    trajectory: Record,
    test_rows: Record,
) -> Record:
    """One point compared with the ridge path."""
    problem, product = Problem(**problem_fields), trajectory["product"]
    penalty, gap = nearest_ridge(problem, product)
    record: Record = {
        "curve/iteration": trajectory["curve/iteration"],
        "curve/ridge_lambda": penalty,
        "curve/ridge_gap": gap,
        "metric/ridge_gap": np.max(gap[1:], initial=0.0),
        "time": trajectory["t"] * point.width * (point.sigma_u**2 + point.sigma_v**2),
    }
    X_test, Y_test = test_rows["X_test"], test_rows["Y_test"]
    if len(X_test):
        _, u2v = distance_curves(problem, restored(State, state_fields), restored(Trajectory, trajectory))
        risk = network_risk(problem, X_test, Y_test, product, u2v)
        path = seen_risk(problem, X_test, Y_test, ridge_path(problem, path_penalties(problem)))
        record |= {
            "curve/risk": risk,
            "metric/risk_end": risk[-1],
            "metric/risk_best": np.min(risk),
            "metric/ridge_best": np.min(path),
        }
    return record


RIDGE = Stage("ridge", "early", "early", follow_ridge_path, TRAINING.ignores)


def path_penalties(problem: Problem) -> Array:
    """Penalties from far above lambda_1 to far below lambda_r, decreasing."""
    reach = REACH**0.5
    return np.geomspace(problem.sigma[0] ** 2 * reach, problem.sigma[-1] ** 2 / reach, PATH)


def _test_rows(data: Data) -> Loaders:
    """Name of a data set -> loader of its held-out rows X_test, Y_test, none where it has none."""

    def load(name: str) -> Record:
        arrays = data[name]()
        return {key: np.asarray(arrays.get(key, ()), float) for key in ("X_test", "Y_test")}

    return {name: partial(load, name) for name in data}


def tabulate_early(
    data: Data, sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, early: Loaders
) -> pd.DataFrame:
    """The table of the sweep with the metrics of the comparison; see `join_metrics`."""
    return join_metrics(RIDGE, _fingerprints(data, sweep, plan, problems), table, early)


def _fingerprints(data: Data, sweep: Sweep, plan: Plan, problems: Problems) -> Fingerprints:
    return Fingerprints(sweep, plan, problems, {RIDGE: _test_rows(data)})


def draw_early(
    data: Data, sweep: Sweep, plan: Plan, problems: Problems, early_table: pd.DataFrame, early: Loaders
) -> Any:
    """Draw the first seed of each initial scale at the largest width next to the ridge path of its data."""
    from implicit_bias.figures.page import drawn_for
    from implicit_bias.figures.registry import STUDY_FIGURES

    fingerprints = _fingerprints(data, sweep, plan, problems)
    fingerprints.check(RIDGE, early_table)
    table = early_table[early_table["ridge_gap"].notna()]
    widest = table[table["width"] == table["width"].max()]
    label = "alpha" if "alpha" in widest else "case"
    first = widest.drop_duplicates(label)
    name = first["problem"].iloc[0]
    problem, (X_test, Y_test) = Problem(**problems[name]()), _test_rows(data)[name]().values()
    penalties = path_penalties(problem)
    paths: dict[str, Array] = {"penalty": penalties}
    flow = regression_flow(problem, 1 / penalties)
    paths["flow_penalty"], paths["flow_gap"] = nearest_ridge(problem, flow)
    if len(X_test):
        paths["risk"] = seen_risk(problem, X_test, Y_test, ridge_path(problem, penalties))
        paths["ridgeless"] = seen_risk(problem, X_test, Y_test, ridge_path(problem, 0.0))[0]
        paths["flow_risk"] = seen_risk(problem, X_test, Y_test, flow)
    names = {"alpha": "α = {}", "case": "case {}"}
    runs = {
        names[label].format(row[label]): fingerprints.load(RIDGE, early, row["point"]) for _, row in first.iterrows()
    }
    with drawn_for(sweep.figure_style):
        return STUDY_FIGURES["early"]["early"].draw(runs, paths)


def describe_early(
    data: Data,
    sweep: Sweep,
    plan: Plan,
    problems: Problems,
    early_table: pd.DataFrame,
    tracked: Whereabouts,
    *images: bytes,
) -> SectionJson:
    """What the report says of the comparison; see `describe_study`."""
    _fingerprints(data, sweep, plan, problems).check(RIDGE, early_table)
    return describe_study("early", plan, early_table, tracked, *images)


def create_pipeline(**_: Any) -> Pipeline:
    """Data, trajectories and table -> the comparison with ridge regression, its table, figure and section."""
    known = ["data", "params:sweep", "plan", "problems"]
    return Pipeline(
        [
            node(
                compare_with_ridge,
                ["data", "problems", "params:sweep", "plan", "stored", "initial_states", "trajectories"],
                "early",
            ),
            node(tabulate_early, [*known, "table", "early"], "early_table"),
            node(draw_early, [*known, "early_table", "early"], "early_figure"),
            node(describe_early, [*known, "early_table", "tracked", "early_figure"], "early_section"),
            typesetting("early_section", "early_results"),
        ],
        tags=OF_TWO_LAYERS,
    )
