"""Measures a point."""

from dataclasses import fields
from typing import TypeVar

from implicit_bias.sweeps.handover import ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.measure import evaluate
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.registry import solver
from implicit_bias.theory.solvers.trajectory import Trajectory

Kept = TypeVar("Kept", State, Trajectory)


def evaluate_point(
    point: Point,
    sweep: Sweep,
    problem_fields: ProblemFields,
    state_fields: Record,
    trajectory_fields: Record,
) -> Record:
    """Measure one point."""
    problem, state = Problem(**problem_fields), State(**state_fields)
    trajectory = restored(Trajectory, trajectory_fields)
    law, alpha = point.law != "silent", point.alpha if point.law == "exact" else None
    kind, step = solver(point.solver).kind, float(problem.flow_time(1, sweep.step_size))
    evaluation = evaluate(problem, state, trajectory, point.sigma_u, point.sigma_v, alpha, sweep.delta, law, step, kind)
    iteration = problem.iterations(trajectory.t, sweep.step_size)
    record: Record = {f"metric/{name}": value for name, value in evaluation.metrics.items()}
    record |= {f"curve/{name}": curve for name, curve in evaluation.curves.items()}
    record |= {"curve/iteration": iteration, "metric/t_stop": trajectory.t[-1]}
    record["metric/met/law"] = float(point.law == "exact")
    unmet = (f"{name}: {', '.join(failed)}" for name, failed in evaluation.unmet.items())
    record["param/unmet"] = "; ".join(unmet) or "none"
    return record


def restored(kind: type[Kept], record: Record) -> Kept:
    """The State or Trajectory among all that a record holds."""
    return kind(**{field.name: record[field.name] for field in fields(kind)})
