"""Trains a point."""

import time

from implicit_bias.pipelines.kinds.activation.network import model_of
from implicit_bias.sweeps.handover import DataFields, ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.activation import Model, train
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.stopping import Stop


def train_point(point: Point, sweep: Sweep, problem_fields: ProblemFields, state: Record, rows: DataFields) -> Record:
    """Train one point.

    Returns:
        the fields of its Run, the loss on its way, and how it ended.
    """
    started = time.perf_counter()
    model = model_of(point, problem_fields, rows)
    tolerance = sweep.kink_tolerance if model.phi.kinks else sweep.flow_tolerance
    stop = stop_rule(model, state["R"], sweep)
    run, method = train(model, state["R"], point.solver, sweep.step_size, stop, sweep.curve_points, tolerance)
    problem = model.samples.problem
    iteration = problem.iterations(run.t, sweep.step_size)
    return {
        **vars(run),
        "curve/iteration": iteration,
        "curve/loss": problem.averaged(run.excess + model.floor),
        "param/stop_reason": run.stop_reason,
        "param/method": method,
        "metric/iterations": round(float(iteration[-1]), 6),
        "metric/steps": run.steps,
        "metric/seconds": time.perf_counter() - started,
    }


def stop_rule(model: Model, R: Array, sweep: Sweep) -> Stop:
    """The sweep's stopping rule in flow time and in the units of L; R (r + m, h) is the start."""
    rule, problem = sweep.stop, model.samples.problem
    unit = model.excess(R) if rule.relative else problem.n / 2
    t_max = float(problem.flow_time(rule.max_iterations, sweep.step_size))
    return Stop(excess=(rule.tolerance or 0.0) * unit, stationary=rule.stationary, t_max=t_max)
