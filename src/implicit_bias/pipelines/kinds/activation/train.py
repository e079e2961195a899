"""Trains a point."""

from implicit_bias.pipelines.kinds.activation.network import model_of
from implicit_bias.pipelines.kinds.steps import Trained, stop_rule
from implicit_bias.sweeps.handover import DataFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks import activation
from implicit_bias.theory.problem import Problem


def train(point: Point, sweep: Sweep, problem: Problem, initial: Record, rows: DataFields) -> Trained:
    model, R = model_of(point, problem, rows), initial["R"]
    tolerance = sweep.kink_tolerance if model.phi.kinks else sweep.flow_tolerance
    stop = stop_rule(problem, model.excess(R), sweep)
    run, method = activation.train(model, R, point.solver, sweep.step_size, stop, sweep.curve_points, tolerance)
    return Trained(vars(run), run.t, run.excess, run.stop_reason, run.steps, method, model.floor)
