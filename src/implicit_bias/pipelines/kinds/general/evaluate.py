"""Measures a point."""

from implicit_bias.pipelines.kinds.general.initialize import network_of, weights_of
from implicit_bias.pipelines.kinds.steps import Measured, restored
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.general import GeneralRun, measure_run
from implicit_bias.theory.problem import Problem


def measure(point: Point, sweep: Sweep, problem: Problem, initial: Record, trained: Record) -> Measured:
    run = restored(GeneralRun, trained)
    found = measure_run(network_of(sweep), problem, weights_of(initial), run, point.sigma_u, sweep.delta)
    return Measured(run.t, found.metrics, found.curves, found.unmet)
