"""An additional stage: every trained point compared with its linearised and its infinite-width flow."""

from collections.abc import Iterator
from typing import Any

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
from implicit_bias.sweeps.figure import columns_of
from implicit_bias.sweeps.handover import Loaders, Plan, ProblemFields, Problems, Record, Whereabouts
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.sweeps.records import Fingerprints, compute_points
from implicit_bias.theory.comparisons.companions import Companion, gaps, infinite_width_companion, linearized_companion
from implicit_bias.theory.comparisons.infinite_width import infinite_width_flow
from implicit_bias.theory.law.limit import kernel_change, large_width_limit
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.trajectory import Trajectory


def compare_points(
    problems: Problems,
    sweep: Sweep,
    plan: Plan,
    stored: dict[str, ReadStored],
    initial_states: Loaders,
    trajectories: Loaders,
) -> Iterator[dict[str, Record]]:
    """Compare every trained point with its linearised flow and its infinite-width flow, but those that are done.

    Yields:
        point -> the losses, distances and gaps of its two companions.
    """
    inputs = {INITIALIZATION: initial_states, TRAINING: trajectories}
    for key, record in compute_points(COMPARISON, sweep, plan, problems, stored, inputs):
        yield {key: record}


def compare_point(
    point: Point, sweep: Sweep, problem_fields: ProblemFields, state_fields: Record, trajectory_fields: Record
) -> Record:
    """Losses and distances of a point's companions, and their largest gaps to the point."""
    problem, state = Problem(**problem_fields), restored(State, state_fields)
    trajectory = restored(Trajectory, trajectory_fields)
    companions: dict[str, Companion] = {"lin": linearized_companion(problem, state, trajectory.t)}
    record: Record = {"curve/iteration": problem.iterations(trajectory.t, sweep.step_size)}
    if point.law != "silent" and point.width >= problem.k and trajectory.t.size > 1:
        flow = infinite_width_flow(problem, *point.gram, trajectory.t[1:], sweep.flow_tolerance)
        companions["inf"] = infinite_width_companion(problem, state, flow, *point.gram, trajectory.t)
        record["metric/limit_kernel"] = kernel_change(problem, large_width_limit(problem, *point.gram))
    for name, companion in companions.items():
        gap = gaps(problem, state, trajectory, companion)
        record |= {
            f"metric/{name}_loss": gap.loss_gap,
            f"metric/{name}_dist": gap.distance_gap,
            f"curve/{name}_excess": problem.averaged(gap.excess),
            f"curve/{name}_dist": gap.distance,
        }
    return record


COMPARISON = Stage("compare", "comparisons", "lazy", compare_point, TRAINING.ignores)


def tabulate_companions(
    sweep: Sweep, plan: Plan, problems: Problems, table: pd.DataFrame, comparisons: Loaders
) -> pd.DataFrame:
    """The table of the sweep with the metrics of the comparison; see `join_metrics`."""
    return join_metrics(COMPARISON, Fingerprints(sweep, plan, problems), table, comparisons)


def draw_companions(sweep: Sweep, plan: Plan, problems: Problems, companions: pd.DataFrame) -> tuple[Any, Any]:
    """The gaps to both companions, and kernel movement and final rate compared with their closed forms."""
    from implicit_bias.figures.page import drawn_for
    from implicit_bias.figures.registry import STUDY_FIGURES

    Fingerprints(sweep, plan, problems).check(COMPARISON, companions)
    if "case" in companions:  # a balanced start has no sigma_U / sigma_V to be drawn against
        companions = companions[companions["case"] != "balanced"]
    with drawn_for(sweep.figure_style):
        gaps, kernel = (figure.draw(columns_of(companions)) for figure in STUDY_FIGURES["lazy"].values())
    return gaps, kernel


def describe_lazy(
    sweep: Sweep, plan: Plan, problems: Problems, companions: pd.DataFrame, tracked: Whereabouts, *images: bytes
) -> SectionJson:
    """What the report says of the comparison; see `describe_study`."""
    Fingerprints(sweep, plan, problems).check(COMPARISON, companions)
    return describe_study("lazy", plan, companions, tracked, *images)


def create_pipeline(**_: Any) -> Pipeline:
    """Trajectories and table -> comparisons, their table and figures, section of the report."""
    figures, known = ["gaps_figure", "kernel_figure"], ["params:sweep", "plan", "problems"]
    return Pipeline(
        [
            node(
                compare_points,
                ["problems", "params:sweep", "plan", "stored", "initial_states", "trajectories"],
                "comparisons",
            ),
            node(tabulate_companions, [*known, "table", "comparisons"], "companions"),
            node(draw_companions, [*known, "companions"], figures),
            node(describe_lazy, [*known, "companions", "tracked", *figures], "lazy_section"),
            typesetting("lazy_section", "lazy_results"),
        ],
        tags=OF_TWO_LAYERS,
    )
