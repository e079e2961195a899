"""A stage beside the others: every trained point next to its linearised and its infinite-width flow."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline

from implicit_bias.parameters import Point, Sweep
from implicit_bias.pipelines.evaluation import restored
from implicit_bias.pipelines.reporting import join_metrics
from implicit_bias.pipelines.sections import describe_study
from implicit_bias.points import Loaders, Record, run_points
from implicit_bias.theory.entries import ENTRIES
from implicit_bias.theory.infinite_width import infinite_width_flow
from implicit_bias.theory.law import kernel_change, large_width_limit
from implicit_bias.theory.lazy import Companion, gaps, infinite_width_companion, linearized_companion
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.state import State
from implicit_bias.theory.trajectory import Trajectory

Trained = tuple[Point, Record, Record]
"""A point with the fields of its initial state and of its trajectory."""


def compare_points(
    problems: Loaders, sweep: Sweep, plan: dict[str, Any], initial_states: Loaders, trajectories: Loaders
) -> Iterator[dict[str, dict[str, Any]]]:
    """Compare every trained point with its linearised flow and its infinite-width flow.

    Points of the same data set and the same sigma_U^2 h, sigma_V^2 h share one infinite-width flow, and are one task.

    Args:
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points to compare.
        initial_states: point -> loader of a State's fields.
        trajectories: point -> loader of a Trajectory's fields.

    Yields:
        point -> the losses, distances and gaps of its two companions.
    """
    groups: dict[tuple[str, float, float], list[Point]] = {}
    for point in sweep.points():
        if point.key in plan["points"]:
            groups.setdefault((point.problem, *_gram(point)), []).append(point)
    tasks = (
        (str(key), ([(p, initial_states[p.key](), trajectories[p.key]()) for p in points], sweep, problems[key[0]]()))
        for key, points in groups.items()
    )
    for _, records in run_points(compare_group, tasks, len(groups), sweep, "compare"):
        if "error" not in records:
            yield records


def _gram(point: Point) -> tuple[float, float]:
    """(a, b) = (sigma_U^2 h, sigma_V^2 h), to 12 digits, so that rounding does not tell equal ones apart."""
    a, b = (float(f"{scale**2 * point.width:.12g}") for scale in (point.sigma_u, point.sigma_v))
    return a, b


def compare_group(trained: list[Trained], sweep: Sweep, problem_fields: Record) -> dict[str, Record]:
    """Compare the points that share an infinite-width flow."""
    problem, finished = Problem(**problem_fields), [each for each in trained if "error" not in each[2]]
    if not finished:
        return {}
    a, b = _gram(finished[0][0])
    wide = [trajectory["t"] for point, _, trajectory in finished if _has_infinite_width(point, problem)]
    times = np.unique(np.concatenate([*wide, [0.0]]))[1:]
    flow = infinite_width_flow(problem, a, b, times, sweep.flow_tolerance) if times.size else None
    return {
        point.key: compare_point(
            problem, point, restored(State, state), restored(Trajectory, trajectory), flow, sweep.step_size
        )
        for point, state, trajectory in finished
    }


def _has_infinite_width(point: Point, problem: Problem) -> bool:
    return point.initialization in ENTRIES and point.case != "balanced" and point.width >= problem.k


def compare_point(
    problem: Problem, point: Point, state: State, trajectory: Trajectory, flow: Trajectory | None, step_size: float
) -> dict[str, Any]:
    """Losses and distances of a point's companions, and their largest gaps to the point."""
    a, b = _gram(point)
    companions: dict[str, Companion] = {"lin": linearized_companion(problem, state, trajectory.t)}
    record: dict[str, Any] = {"curve/iteration": problem.iterations(trajectory.t, step_size)}
    if flow is not None and _has_infinite_width(point, problem):
        companions["inf"] = infinite_width_companion(problem, state, flow, a, b, trajectory.t)
        record["metric/limit_kernel"] = kernel_change(problem, large_width_limit(problem, a, b))
    for name, companion in companions.items():
        gap = gaps(problem, state, trajectory, companion)
        record |= {
            f"metric/{name}_loss": gap.loss_gap,
            f"metric/{name}_dist": gap.distance_gap,
            f"curve/{name}_excess": problem.averaged(gap.excess),
            f"curve/{name}_dist": gap.distance,
        }
    return record


def draw_companions(companions: pd.DataFrame) -> tuple[Any, Any]:
    """The gaps to both companions, and kernel movement and final rate beside their closed forms."""
    from implicit_bias.figures.lazy import gaps_figure, kernel_figure

    if "case" in companions:  # a balanced start has no sigma_U / sigma_V to be drawn against
        companions = companions[companions["case"] != "balanced"]
    columns = {str(name): column.to_numpy() for name, column in companions.items()}
    return gaps_figure(columns), kernel_figure(columns)


def describe_lazy(
    plan: dict[str, Any], companions: pd.DataFrame, tracked: dict[str, Any], *images: bytes
) -> dict[str, Any]:
    """What the report says of the comparison; see `describe_study`."""
    return describe_study("lazy", plan, companions, tracked, *images)


def create_pipeline(**_: Any) -> Pipeline:
    """Trajectories and table -> comparisons, their table and figures, section of the report."""
    figures = ["gaps_figure", "kernel_figure"]
    return Pipeline(
        [
            Node(
                compare_points,
                inputs=["problems", "params:sweep", "plan", "initial_states", "trajectories"],
                outputs="comparisons",
                name="compare_points",
            ),
            Node(
                join_metrics,
                inputs=["table", "comparisons"],
                outputs="companions",
                name="tabulate_companions",
            ),
            Node(draw_companions, inputs="companions", outputs=figures, name="draw_companions"),
            Node(
                describe_lazy,
                inputs=["plan", "companions", "tracked", *figures],
                outputs="lazy_section",
                name="describe_lazy",
            ),
        ]
    )
