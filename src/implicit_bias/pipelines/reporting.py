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
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import Loaders, require
from implicit_bias.sweeps.records import Fingerprints
from implicit_bias.theory.comparisons.universality import has_limit, limit_ratio, seen_weights
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.limit import lazy_distance, rich_distance
from implicit_bias.theory.law.prediction import predict_band
from implicit_bias.theory.networks.deep import LevelBudgetError, limit_const
from implicit_bias.theory.networks.deep.law import LAW_LEAK
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.registry import solver

logger = logging.getLogger(__name__)

BAND = 0.1
"""The law is drawn with the band that holds a run's distance with probability 1 - BAND."""


def tabulate_points(
    sweep: Sweep, plan: dict[str, Any], problems: Loaders, trajectories: Loaders, evaluations: Loaders
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
        if "error" in measured:
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


def summarize_sweep(sweep: Sweep, plan: dict[str, Any], problems: Loaders, table: pd.DataFrame) -> dict[str, Any]:
    """Aggregate metrics of the whole sweep, and its means against width as curves.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        table: one row a point.

    Raises:
        StaleRecords: the plan or the table is of other parameters, data or numerics.
    """
    Fingerprints(sweep, plan, problems).check(EVALUATION, table)
    if sweep.kind == "activation":
        return activation.summary(len(plan["points"]), table)
    summary: dict[str, Any] = {
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
    if len(sweep.alpha) == 1 and len(sweep.widths) > 1 and len(sweep.depths) == 1:
        columns = [name for name in ("distance", "distance_init", "iterations", "law_rms") if name in table]
        means = table.groupby("width")[columns].mean()
        summary["curve/iteration"] = means.index.tolist()
        summary |= {f"curve/{name}": means[name].tolist() for name in columns}
        if len(table) > 2 and np.all(table["distance"] > 0):
            slope, slope_se = log_slope(table["width"].to_numpy(float), table["distance"].to_numpy(float))
            summary |= {"metric/slope": slope, "metric/slope_se": slope_se}
    return summary


def _limits_of_depths(sweep: Sweep, drawn: list[Problem]) -> dict[str, float]:
    """limit_const/<depth> of the depths at which it can be had."""
    summary = {}
    for depth in sweep.depths:
        if depth > 2 and sweep.inner_layers == "orthogonal":
            continue
        try:
            leak_tol = max(sweep.leak_tol, LAW_LEAK)
            each = [limit_const(problem, depth, sweep.inner_gain, leak_tol) for problem in drawn]
        except LevelBudgetError as error:
            logger.warning("limit_const/%d is left out: %s", depth, error)
        else:
            summary[f"metric/limit_const/{depth}"] = float(np.mean(each))
    return summary


def log_slope(width: Array, distance: Array) -> tuple[float, float]:
    """Least-squares slope of log distance against log width, and its standard error."""
    x, y = np.log(width), np.log(distance)
    x = x - x.mean()
    slope = (x @ y) / (x @ x)
    rest = y - y.mean() - slope * x
    return float(slope), float(np.sqrt(rest @ rest / (x.size - 2) / (x @ x)))


def draw_sweep(
    sweep: Sweep, plan: dict[str, Any], problems: Loaders, table: pd.DataFrame, evaluations: Loaders
) -> tuple[Any, Any, Any]:
    """Draw the sweep as the paper's Figure 1 or 2 (once for PNG, once for PDF), and its companion.

    The companion of a sweep over widths is the distance below all that bounds it, at the alpha nearest to 1/2; that of
    networks with activations shows how far the frozen law is right, and how far kernels move; that of
    a sweep over laws of the entries compares them with the law given each run; that of a sweep over initial scales is
    the rate-bias plane, the rate of convergence against the distance; that of a sweep over depths is the companion of
    its deepest networks; that of scales at several depths shows what they cost.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        table: one row per point.
        evaluations: point -> loader of metrics and curves.
    """
    from implicit_bias import figures

    fingerprints = Fingerprints(sweep, plan, problems)
    fingerprints.check(EVALUATION, table)
    if sweep.kind == "activation":
        spreads = activation.spreads(table, partial(fingerprints.load, EVALUATION, evaluations))
        main = figures.activations_figure(spreads, _columns(table))
        return main, main, figures.frozen_figure(_columns(table), sweep.delta)
    drawn = _problems(problems, table)
    if sweep.figure == "imbalance":
        cases = _cases(fingerprints, table, evaluations)
        main = figures.imbalance_figure(cases, step_size=sweep.step_size, n=drawn[0].n)
        compared = table[(table["width"] == table["width"].iloc[0]) & (table["solver"] == table["solver"].iloc[0])]
        return main, main, figures.rate_bias_figure(_columns(compared[compared["case"] != "balanced"]))
    points = _columns(table)
    if sweep.figure == "universality":
        before = figures.universality_figure(points, _limits(sweep, drawn[0]), "law_rms", "law before training")
        return before, before, figures.universality_figure(points, {}, "law_rms_run", "law given the run")
    if sweep.figure == "depth":
        main, deepest = figures.depth_figure(points, sweep.alpha[0]), int(table["depth"].max())
        return main, main, figures.companion_figure(_columns(table[table["depth"] == deepest]), depth=deepest)
    if sweep.figure == "scales":
        main = figures.scales_figure(points)
        return main, main, figures.scales_cost_figure(points)
    law = _law(sweep, drawn)
    if sweep.figure == "alpha":
        main, paper = figures.alpha_figure(points, law), min(sweep.alpha, key=lambda alpha: abs(alpha - 0.5))
        return main, main, figures.companion_figure(_columns(table[table["alpha"] == paper]), paper)
    if sweep.figure == "wide":
        main = figures.wide_figure(points, law, alpha=sweep.alpha[0])
    else:
        main = figures.width_figure(points, law if law["width"].size else None, alpha=sweep.alpha[0])
    return main, main, figures.companion_figure(points)


def draw_interactive(
    sweep: Sweep, plan: dict[str, Any], problems: Loaders, table: pd.DataFrame, evaluations: Loaders
) -> Any:
    """Draw the sweep as a figure to zoom into; see `draw_sweep` for the arguments."""
    from implicit_bias import figures
    from implicit_bias.figures import interactive

    fingerprints = Fingerprints(sweep, plan, problems)
    fingerprints.check(EVALUATION, table)
    points = _columns(table)
    if sweep.kind == "activation":
        return interactive.interactive_activations(points)
    if sweep.figure == "imbalance":
        return interactive.interactive_cases(_cases(fingerprints, table, evaluations), points)
    if sweep.kind == "deep":
        return interactive.interactive_widths(points, figures.laws_of_depths(points), by="depth")
    return interactive.interactive_widths(points, _law(sweep, _problems(problems, table)))


def _problems(problems: Loaders, table: pd.DataFrame) -> list[Problem]:
    require(table["problem"].unique(), problems, "problems", "reparametrization")
    return [Problem(**problems[name]()) for name in table["problem"].unique()]


def _columns(table: pd.DataFrame) -> dict[str, Array]:
    return {str(name): column.to_numpy() for name, column in table.items()}


def _law(sweep: Sweep, drawn: list[Problem]) -> dict[str, Array]:
    """The predicted distance at every alpha of the sweep against width, nothing fitted; empty where no law holds.

    Of several data sets the mean of their laws is shown.
    """
    laws = [_law_of(sweep, problem) for problem in drawn]
    return {name: np.mean([law[name] for law in laws], axis=0) for name in laws[0]}


def _law_of(sweep: Sweep, problem: Problem) -> dict[str, Array]:
    columns: dict[str, list[float]] = {name: [] for name in ("alpha", "width", "rms", "lower", "upper", "lazy", "rich")}
    if sweep.law_is_exact and problem.D > problem.r:
        for alpha in sweep.alpha:
            for h in np.unique(np.geomspace(min(sweep.widths), max(sweep.widths), 16)):
                sigma = float(h) ** -alpha
                band = predict_band(problem, sigma**2 * h, sigma**2 * h, float(h), BAND)
                limits = lazy_distance(problem, sigma, sigma**2 * h), rich_distance(problem, sigma)
                for name, value in zip(columns, (alpha, h, *band, *limits), strict=True):
                    columns[name].append(value)
    return {name: np.array(values) for name, values in columns.items()}


def _limits(sweep: Sweep, problem: Problem) -> dict[str, float]:
    """Initialisation -> the ratio of its distance to the law at the sweep's largest width, of its first data set."""
    if problem.D == problem.r or sweep.alpha[0] < 0:
        return {}
    scaling, h = Scaling(sweep.alpha[0]), float(max(sweep.widths))
    weights = seen_weights(problem, *scaling.gram(h))
    return {
        name: limit_ratio(problem, name, sweep.density, *scaling.gram(h), weights)
        for name in sweep.initialization
        if has_limit(name)
    }


def _cases(fingerprints: Fingerprints, table: pd.DataFrame, evaluations: Loaders) -> list[dict[str, Any]]:
    """Curves of each case's first finished width and seed; descent beside the flow where both were run."""
    require(table["point"], evaluations, "evaluations", "evaluation")
    cases = []
    for case, points in table.groupby("case", sort=False):
        first = points.iloc[0]
        rows = points[(points["width"] == first["width"]) & (points["seed"] == first["seed"])]
        solved = {row.solver: fingerprints.load(EVALUATION, evaluations, row.point) for row in rows.itertuples()}
        of_kind = {solver(name).kind: record for name, record in reversed(solved.items())}
        descent = of_kind.get("descent")
        curves = of_kind.get("flow") or descent or of_kind["other"]
        row = rows.iloc[0]
        drawn: dict[str, Any] = {
            "label": "balanced, $c=0$",
            "iteration": curves["curve/iteration"],
            "loss": curves["curve/excess"],
        }
        if (certified := "curve/stepwise" if curves is descent else "curve/certified") in curves:
            drawn["certified"] = curves[certified]
        if case != "balanced":
            drawn["bound"] = curves["curve/bound"]
            drawn["label"] = (
                rf"case {case}: $\sigma_U={row.sigma_u:.3g}$, $\sigma_V={row.sigma_v:.3g}$, $c={row.imbalance_c:.3g}$"
            )
        if descent is not None and curves is not descent:
            drawn["descent"] = {
                "iteration": descent["curve/iteration"],
                "loss": descent["curve/excess"],
                "certified": descent["curve/stepwise"],
            }
        cases.append(drawn)
    return cases


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
