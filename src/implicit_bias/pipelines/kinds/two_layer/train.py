"""Trains a point."""

from implicit_bias.pipelines.kinds.steps import Trained, stop_rule
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory import experiment
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.trajectory import excess_loss


def train(point: Point, sweep: Sweep, problem: Problem, initial: Record) -> Trained:
    state = State(**initial)
    stop = stop_rule(problem, excess_loss(problem, state.R), sweep)
    run, method = experiment.train(
        problem, state, point.solver, sweep.step_size, stop, sweep.curve_points, sweep.flow_tolerance, sweep.momentum
    )
    return Trained(vars(run), run.t, run.excess, run.stop_reason, run.steps, method, problem.loss_floor)
