"""Trains a point."""

from implicit_bias.pipelines.kinds.general.initialize import network_of, weights_of
from implicit_bias.pipelines.kinds.steps import Trained, stop_rule
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.general import train_weights
from implicit_bias.theory.networks.general.training import weights_flow
from implicit_bias.theory.networks.vectors import flat
from implicit_bias.theory.problem import Problem


def train(point: Point, sweep: Sweep, problem: Problem, initial: Record) -> Trained:
    kind, weights = network_of(sweep), weights_of(initial)
    stop = stop_rule(problem, weights_flow(kind, problem, weights).excess(flat(weights)), sweep)
    run, method = train_weights(
        kind, problem, weights, point.solver, sweep.step_size, stop, sweep.curve_points, sweep.flow_tolerance
    )
    return Trained(vars(run), run.t, run.excess, run.stop_reason, run.steps, method, problem.loss_floor)
