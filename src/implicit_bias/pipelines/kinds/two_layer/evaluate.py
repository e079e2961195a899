"""Measures a point."""

from implicit_bias.pipelines.kinds.steps import Measured, restored
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.measure import evaluate
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.registry import solver
from implicit_bias.theory.solvers.trajectory import Trajectory


def measure(point: Point, sweep: Sweep, problem: Problem, initial: Record, trained: Record) -> Measured:
    state, run = State(**initial), restored(Trajectory, trained)
    law, alpha = point.law != "silent", point.alpha if point.law == "exact" else None
    kind, step = solver(point.solver).kind, float(problem.flow_time(1, sweep.step_size))
    found = evaluate(problem, state, run, point.sigma_u, point.sigma_v, alpha, sweep.delta, law, step, kind)
    return Measured(run.t, found.metrics | {"met/law": float(point.law == "exact")}, found.curves, found.unmet)
