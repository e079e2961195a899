"""Gradient descent against the flow over a grid of imbalances: the gap, the largest step, the fastest rate."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Pipeline
from scipy.linalg import block_diag, sqrtm

from implicit_bias.pipelines import report
from implicit_bias.pipelines.nodes import node
from implicit_bias.pipelines.sections import described, origin, profiles, reasons, typesetting
from implicit_bias.report.facts import Facts
from implicit_bias.report.registry import section_kind
from implicit_bias.report.section import SectionJson
from implicit_bias.sweeps.compute import STAMP, ReadStored, Stage, StageTask, check_table, compute_tasks, load, stamp
from implicit_bias.sweeps.figure import columns_of
from implicit_bias.sweeps.fingerprint import digest, numerics
from implicit_bias.sweeps.handover import (
    Loaders,
    Plan,
    ProblemFields,
    Problems,
    Record,
    Whereabouts,
    entries,
    failure_of,
)
from implicit_bias.sweeps.manifest import check_plan, data_sets, sweep_params
from implicit_bias.sweeps.parameters import BALANCED, HANDLING
from implicit_bias.sweeps.points import require
from implicit_bias.sweeps.studies import DescentStudy
from implicit_bias.sweeps.workers import check_engine
from implicit_bias.theory.bounds.descent import largest_certified_step
from implicit_bias.theory.comparisons import step_size as steps
from implicit_bias.theory.initialization.gaussian import balanced, scaled, standard_normal
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.law.limit import large_width_limit
from implicit_bias.theory.networks.two_layer import State, imbalance
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import excess_loss


def plan_descents(study: DescentStudy, problems: Problems) -> Plan:
    """What is tracked of the study before it: its parameters, its points, its data and the version of its code.

    Raises:
        EngineError: the engine it asks for cannot be used.
        ValueError: the data set it names does not exist.
    """
    check_engine(study)
    name = _problem(study)
    if name not in problems:
        raise ValueError(f"problem {study.problem!r} is not among the data sets drawn: {', '.join(sorted(problems))}")
    return {
        "name": study.title,
        "description": f"Gradient descent compared with the flow from {len(study.points())} initialisations: how far "
        "apart they are, the largest step that arrives, and the fastest rate.",
        "params": sweep_params(study),
        "points": {
            key: {"name": key, "params": {"case": key, "sigma_u": u, "sigma_v": v, "problem": name}}
            for key, (u, v) in study.points().items()
        },
        "report": "descent",
        "numerics": numerics(__name__),
        "fresh": study.fresh,
        "datasets": data_sets({name: Problem(**problems[name]())}),
    }


def study_descents(
    study: DescentStudy, problems: Problems, plan: Plan, stored: dict[str, ReadStored]
) -> Iterator[dict[str, Record]]:
    """Study every initialisation of the grid, but those that are done; each is saved at once.

    Yields:
        point -> what `study_descent` measures; a `Failure` if it failed.
    """
    expected = fingerprints(study, plan, problems)
    problem = problems[_problem(study)]()
    tasks = [StageTask(key, mark, partial(tuple, (study, problem, key))) for key, mark in expected.items()]
    for key, record in compute_tasks(DESCENT, tasks, stored, study):
        yield {key: record}


def _problem(study: DescentStudy) -> str:
    return f"{study.problem}-draw=0"


def fingerprints(study: DescentStudy, plan: Plan, problems: Problems) -> dict[str, str]:
    """Point -> what its record must carry.

    Raises:
        StaleRecords: the plan is of other parameters or data.
    """
    name = _problem(study)
    require([name], problems, "problems", "reparametrization")
    data = digest(problems[name]())
    check_plan(plan, sweep_params(study), {name: data}, "descent_study")
    settings = study.model_dump(exclude=set(NOT_RESULTS))
    return {
        key: DESCENT.fingerprint([data, key == BALANCED, scales, settings]) for key, scales in study.points().items()
    }


def study_descent(study: DescentStudy, problem_fields: ProblemFields, key: str) -> Record:
    """Measure one initialisation: metrics, and arrays of the gap (halved steps) and of the scan (up to the largest).

    `step_law` is n / lambda_max of the end kernel in closed form at large width (docs/law.md), of a Gaussian start.
    Steps are on the averaged loss. Of the curves, iteration j stands for the j-th halving of the step.
    """
    problem = Problem(**problem_fields)
    state = start_of_point(study, problem, key)
    depth, limit = study.depth, study.max_iterations
    flow = gradient_flow(problem, state, [], Stop())
    start, end = steps.forecast(problem, state.R), steps.forecast(problem, flow.R)
    distance = float(np.linalg.norm(state.U2 @ flow.V[-1].T))
    first = study.first_step * min(start.largest, end.largest)
    t_max = gradient_flow(problem, state, [], Stop(excess=steps.TAIL * excess_loss(problem, state.R))).t[-1]
    gaps = steps.step_gaps(problem, state, first, float(t_max), study.halvings)
    halved = [steps.descend_to(problem, state, float(step), depth, limit) for step in gaps.step_sizes]
    away = np.array([each.distance - distance for each in halved])
    largest = steps.largest_stable_step(problem, state, depth, limit)
    grid = largest * np.geomspace(study.smallest, 1, study.scan)
    scan = [steps.descend_to(problem, state, float(step), depth, limit) for step in grid]
    iterations, rates = np.array([each.iterations for each in scan]), np.array([each.rate for each in scan])
    fastest = int(np.argmax(np.nan_to_num(rates, nan=-1.0)))
    low = kernel_range(problem, flow.R)[0]
    level = imbalance(state)
    metrics = {
        "imbalance_c": level.c,
        "distance": distance,
        "distance_max": scan[-1].distance,
        "step_max": largest,
        "step_start": start.largest,
        "step_end": end.largest,
        "step_xu": largest_certified_step(problem, state),
        "step_best": grid[fastest],
        "rate_best": rates[fastest],
        "rate_end": end.rate,
        "kappa_end": end.kappa,
        "iterations": np.min(iterations),
        "rate_flow": 2 * low,
        "rate_bound": 2 * float(problem.sigma[-1]) ** 2 * level.c,
        "gap_order": steps.observed_order(gaps.apart),
        "away_order": steps.observed_order(away),
    }
    if key != BALANCED:
        wide = large_width_limit(problem, *(study.width * scale**2 for scale in study.points()[key]))
        R = np.real(block_diag(sqrtm(wide.U1U1t), sqrtm(wide.VVt)))
        metrics["step_law"] = steps.forecast(problem, R).largest
    record: Record = {f"metric/{name}": float(value) for name, value in metrics.items()}
    record |= {"curve/iteration": np.arange(away.size), "curve/gap": gaps.apart, "curve/away": away}
    record |= {"gap_steps": gaps.step_sizes, "t": gaps.t, "flow": problem.averaged(gaps.flow)}
    record |= {"descents": problem.averaged(gaps.descents), "scan_steps": grid, "scan_iterations": iterations}
    return record | {"scan_rates": rates, "scan_distances": np.array([each.distance for each in scan])}


DESCENT = Stage("descend", "studies", "descent_study", study_descent)

NOT_RESULTS = frozenset({"title", "problem", "product", "ratios", "balanced", *HANDLING})
"""Parameters that no record depends on, or that are known from its data and its scales."""


def start_of_point(study: DescentStudy, problem: Problem, key: str) -> State:
    """The network of a point; all share one draw of U0 and V0, that of the imbalance sweep."""
    rng = np.random.default_rng(np.random.SeedSequence(study.seed, spawn_key=(0, study.width)))
    state = scaled(standard_normal(problem, study.width, rng), *study.points()[key])
    return balanced(problem, state) if key == BALANCED else state


def tabulate_descents(study: DescentStudy, plan: Plan, problems: Problems, studies: Loaders) -> pd.DataFrame:
    """One row per finished point: its parameters, its metrics, and the stamp of its record."""
    expected = fingerprints(study, plan, problems)
    require(plan["points"], studies, "studies", "descent_study")
    rows = []
    for key, point in plan["points"].items():
        record = load(DESCENT, studies, key, expected[key])
        if failure_of(record) is None:
            rows.append({"point": key, **point["params"], **entries(record, "metric/"), STAMP: stamp(expected[key])})
    if not rows:
        raise RuntimeError("no initialisation could be studied; the reasons are above")
    return pd.DataFrame(rows)


def summarize_descents(study: DescentStudy, plan: Plan, problems: Problems, table: pd.DataFrame) -> Record:
    """Metrics of the study as a whole."""
    check_table(DESCENT, table, fingerprints(study, plan, problems))
    return {
        "metric/points": len(table),
        "metric/failed": len(plan["points"]) - len(table),
        "metric/gap_order": float(table["gap_order"].median()),
        "metric/step_ratio": float((table["step_max"] / table["step_end"]).median()),
        "metric/rate_best": float(table["rate_best"].max()),
    }


def draw_descents(
    study: DescentStudy, plan: Plan, problems: Problems, table: pd.DataFrame, studies: Loaders
) -> tuple[Any, Any]:
    """The gap of the point nearest to equal scales, beside those of all; steps and rates against the imbalance."""
    from implicit_bias.figures.page import drawn_for
    from implicit_bias.figures.registry import STUDY_FIGURES

    expected = fingerprints(study, plan, problems)
    check_table(DESCENT, table, expected)
    records = {key: load(DESCENT, studies, key, expected[key]) for key in table["point"]}
    scaled_points = table[table["point"] != BALANCED]
    ratio = np.abs(np.log(scaled_points["sigma_u"] / scaled_points["sigma_v"]))
    shown = scaled_points["point"].iloc[int(np.argmin(ratio))] if len(scaled_points) else BALANCED
    n = Problem(**problems[_problem(study)]()).n
    figures = STUDY_FIGURES["descent"]
    with drawn_for(study.figure_style):
        return figures["gaps"].draw(records, shown, n), figures["steps"].draw(columns_of(table))


def describe_descents(
    study: DescentStudy,
    plan: Plan,
    problems: Problems,
    table: pd.DataFrame,
    studies: Loaders,
    tracked: Whereabouts,
    *images: bytes,
) -> SectionJson:
    """What the report says of the study, as JSON takes it; `images` are its pictures, as PNG."""
    expected = fingerprints(study, plan, problems)
    check_table(DESCENT, table, expected)
    facts = Facts(
        origin(plan, tracked, section_kind("descent").pictures, images),
        table,
        planned=len(plan["points"]),
        datasets=profiles(plan),
        failures=reasons(plan, table, lambda key: load(DESCENT, studies, key, expected[key])),
    )
    return described("descent", facts)


def create_pipeline(**_: Any) -> Pipeline:
    """Problems -> the points, table, summary and figures of the study, and the report."""
    params, figures = "params:descent_study", ["descent.gap_figure", "descent.step_figure"]
    known = [params, "descent.plan", "problems"]
    study = Pipeline(
        [
            node(plan_descents, [params, "problems"], "descent.plan"),
            node(study_descents, [params, "problems", "descent.plan", "descent.stored"], "descent.studies"),
            node(tabulate_descents, [*known, "descent.studies"], "descent.table"),
            node(summarize_descents, [*known, "descent.table"], "descent.summary"),
            node(draw_descents, [*known, "descent.table", "descent.studies"], figures),
            node(
                describe_descents,
                [*known, "descent.table", "descent.studies", "descent.tracked", *figures],
                "descent.section",
            ),
            typesetting("descent.section", "descent.results"),
        ]
    )
    return study + report.create_pipeline(["descent.section"], "descent")
