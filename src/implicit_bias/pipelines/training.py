"""Stage 4: train every point."""

import time
from collections.abc import Iterator
from typing import Any

from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.sweeps.compute import Reader, Stage
from implicit_bias.sweeps.parameters import Point, Stopping, Sweep
from implicit_bias.sweeps.points import Loaders
from implicit_bias.sweeps.records import compute_points
from implicit_bias.theory.experiment import train
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import excess_loss


def train_points(
    problems: Loaders, sweep: Sweep, plan: dict[str, Any], stored: dict[str, Reader], initial_states: Loaders
) -> Iterator[dict[str, dict[str, Any]]]:
    """Train every point by its solver, but those that are done; each is saved at once.

    Args:
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points to train.
        stored: what earlier runs have left.
        initial_states: point -> loader of a State's fields.

    Yields:
        point -> the fields of its Trajectory, its loss curve and what else is tracked; {"error": ...} if it failed.
    """
    inputs = {INITIALIZATION: initial_states}
    for key, record in compute_points(TRAINING, sweep, plan, problems, stored, inputs):
        yield {key: record}


def train_point(
    point: Point, sweep: Sweep, problem_fields: dict[str, Any], state_fields: dict[str, Any]
) -> dict[str, Any]:
    """Train one point."""
    started = time.perf_counter()
    if "error" in state_fields:
        return state_fields
    problem, state = Problem(**problem_fields), State(**state_fields)
    stop = stop_rule(problem, state, sweep)
    trajectory, method = train(
        problem, state, point.solver, sweep.step_size, stop, sweep.curve_points, sweep.flow_tolerance, sweep.momentum
    )
    iteration = problem.iterations(trajectory.t, sweep.step_size)
    return {
        **vars(trajectory),
        "curve/iteration": iteration,
        "curve/loss": problem.averaged(trajectory.excess + problem.loss_floor),
        "param/stop_reason": trajectory.stop_reason,
        "param/method": method,
        "metric/iterations": round(float(iteration[-1]), 6),  # first: MLflow's tables keep the order
        "metric/steps": trajectory.steps,
        "metric/seconds": time.perf_counter() - started,
    }


def stop_rule(problem: Problem, state: State, sweep: Sweep) -> Stop:
    """The sweep's stopping rule in flow time and in the units of L."""
    rule: Stopping = sweep.stop
    excess = (rule.tolerance or 0.0) * problem.n / 2
    if rule.relative:
        excess = (rule.tolerance or 0.0) * excess_loss(problem, state.R)
    t_max = float(problem.flow_time(rule.max_iterations, sweep.step_size))
    return Stop(excess=excess, stationary=rule.stationary, t_max=t_max)


TRAINING = Stage("train", "trajectories", "training", train_point, frozenset({"delta", "point_figures"}))


def create_pipeline(**_: Any) -> Pipeline:
    """Initial states -> trajectories."""
    return Pipeline(
        [
            Node(
                train_points,
                inputs=["problems", "params:sweep", "plan", "stored", "initial_states"],
                outputs="trajectories",
                name="train_points",
            )
        ]
    )
