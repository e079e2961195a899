"""Stage 6: one table, one summary and the paper's figure for each sweep."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline

from implicit_bias.parameters import Sweep
from implicit_bias.theory.law import Scaling, limit_const, predict_distance
from implicit_bias.theory.problem import Problem

Loaders = dict[str, Callable[[], dict[str, Any]]]


def tabulate_points(plan: dict[str, Any], trajectories: Loaders, evaluations: Loaders) -> pd.DataFrame:
    """One row a finished point: its parameters, how it ended, and its metrics.

    Args:
        plan: the points of the sweep.
        trajectories: point -> loader of what training recorded.
        evaluations: point -> loader of metrics and curves.
    """
    rows = []
    for key, point in plan["points"].items():
        if key not in evaluations:
            continue
        record = trajectories[key]() | evaluations[key]()
        tracked = {
            name.split("/", 1)[1]: value for name, value in record.items() if name.startswith(("param/", "metric/"))
        }
        rows.append({"point": key, **point["params"], **tracked})
    return pd.DataFrame(rows)


def summarize_sweep(sweep: Sweep, plan: dict[str, Any], problems: Loaders, table: pd.DataFrame) -> dict[str, Any]:
    """Aggregate metrics of the whole sweep, and its means against width as curves.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        table: one row a point.
    """
    summary: dict[str, Any] = {
        "metric/points": len(table),
        "metric/failed": len(plan["points"]) - len(table),
        "metric/bound_ratio": float(table["bound_worst"].max()),
        "metric/drift": float(table["imbalance_drift"].max()),
        "metric/seconds": float(table["seconds"].sum()),
        "metric/distance": float(table["distance"].mean()),
    }
    problem = Problem(**problems[table["problem"].iloc[0]]())
    if sweep.alpha:
        summary["metric/limit_const"] = limit_const(problem)
        means = table.groupby("width")[["distance", "distance_init", "iterations", "law_rms"]].mean()
        summary["curve/iteration"] = means.index.tolist()
        summary |= {f"curve/{name}": means[name].tolist() for name in means.columns}
    if table["width"].nunique() > 2 and len(sweep.alpha) == 1:
        slope, slope_se = log_slope(table["width"].to_numpy(float), table["distance"].to_numpy(float))
        summary |= {"metric/slope": slope, "metric/slope_se": slope_se}
    return summary


def log_slope(width: np.ndarray, distance: np.ndarray) -> tuple[float, float]:
    """Least-squares slope of log distance against log width, and its standard error."""
    x, y = np.log(width), np.log(distance)
    x = x - x.mean()
    slope = (x @ y) / (x @ x)
    rest = y - y.mean() - slope * x
    return float(slope), float(np.sqrt(rest @ rest / (x.size - 2) / (x @ x)))


def draw_sweep(
    sweep: Sweep, plan: dict[str, Any], problems: Loaders, table: pd.DataFrame, evaluations: Loaders
) -> tuple[Any, Any]:
    """Draw the sweep as the paper's Figure 1 or 2, once for PNG and once for PDF.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep.
        problems: name -> loader of a Problem's fields.
        table: one row a point.
        evaluations: point -> loader of metrics and curves.
    """
    draw = {"width": _draw_width, "imbalance": _draw_imbalance}[sweep.figure]
    figure = draw(sweep, problems, table, evaluations)
    return figure, figure


def _draw_width(sweep: Sweep, problems: Loaders, table: pd.DataFrame, _: Loaders) -> Any:
    from implicit_bias.figures import width_figure

    problem = Problem(**problems[table["problem"].iloc[0]]())
    columns = ["width", "distance", "distance_init", "iterations"]
    points = {name: table[name].to_numpy(float) for name in columns}
    alpha = sweep.alpha[0] if sweep.alpha else 0.0
    law = None
    if sweep.alpha and sweep.initialization == "gaussian" and problem.D > problem.r:
        widths = np.geomspace(min(sweep.widths), max(sweep.widths), 100)
        prediction = predict_distance(problem, widths, Scaling(alpha=alpha), delta=0.1)
        law = {"width": widths, "rms": prediction.rms, "lower": prediction.lower, "upper": prediction.upper}
    return width_figure(points, law, alpha=alpha)


def _draw_imbalance(sweep: Sweep, problems: Loaders, table: pd.DataFrame, evaluations: Loaders) -> Any:
    from implicit_bias.figures import imbalance_figure

    problem = Problem(**problems[table["problem"].iloc[0]]())
    first = table[(table["seed"] == sweep.seeds[0]) & (table["width"] == sweep.widths[0])]
    cases = []
    for case, rows in first.groupby("case", sort=False):
        by_solver = {row.solver: evaluations[row.point]() for row in rows.itertuples()}
        descent = by_solver.pop("gradient_descent", None)
        curves = next(iter(by_solver.values()), descent)
        row = rows.iloc[0]
        scales = "balanced" if case == "balanced" else f"case {case}: $\\sigma_U$={row.sigma_u:.3g}, $\\sigma_V$={row.sigma_v:.3g}"
        drawn = {
            "label": f"{scales}, c={abs(row.imbalance_c):.3g}",
            "iteration": curves["curve/iteration"],
            "loss": curves["curve/excess"],
            "certified": curves["curve/certified"],
        }
        if case != "balanced":
            drawn["bound"] = curves["curve/bound"]
        if descent is not None and by_solver:
            drawn["descent"] = {"iteration": descent["curve/iteration"], "loss": descent["curve/excess"]}
        cases.append(drawn)
    return imbalance_figure(cases, step_size=sweep.step_size, n=problem.n)


def create_pipeline(**_: Any) -> Pipeline:
    """Evaluations -> table, summary, figures."""
    return Pipeline(
        [
            Node(tabulate_points, inputs=["plan", "trajectories", "evaluations"], outputs="table", name="tabulate_points"),
            Node(
                summarize_sweep,
                inputs=["params:sweep", "plan", "problems", "table"],
                outputs="summary",
                name="summarize_sweep",
            ),
            Node(
                draw_sweep,
                inputs=["params:sweep", "plan", "problems", "table", "evaluations"],
                outputs=["figure", "figure_pdf"],
                name="draw_sweep",
            ),
        ]
    )
