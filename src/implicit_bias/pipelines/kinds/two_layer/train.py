"""Trains a point."""

import time

from implicit_bias.pipelines.kinds.stopping import stop_rule
from implicit_bias.sweeps.handover import ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.experiment import train
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.trajectory import excess_loss


def train_point(point: Point, sweep: Sweep, problem_fields: ProblemFields, state_fields: Record) -> Record:
    """Train one point."""
    started = time.perf_counter()
    problem, state = Problem(**problem_fields), State(**state_fields)
    stop = stop_rule(problem, excess_loss(problem, state.R), sweep)
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
