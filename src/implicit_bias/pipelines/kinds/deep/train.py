"""Trains a point."""

import time
from dataclasses import fields

from implicit_bias.pipelines.kinds.deep.initialize import drawn, stored
from implicit_bias.pipelines.kinds.stopping import stop_rule
from implicit_bias.sweeps.handover import ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.deep.dynamics import excess_loss
from implicit_bias.theory.networks.deep.experiment import train_deep
from implicit_bias.theory.networks.deep.record import DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.problem import Problem


def train_point(point: Point, sweep: Sweep, problem_fields: ProblemFields, state_fields: Record) -> Record:
    """Train one point, from its first level on with as many levels as the run needs."""
    started = time.perf_counter()
    problem = Problem(**problem_fields)
    network = drawn(point, sweep, problem)
    stop = stop_rule(problem, excess_loss(problem, network.state().layers), sweep)
    state, run, method = train_deep(
        problem,
        network,
        point.solver,
        sweep.step_size,
        stop,
        sweep.curve_points,
        sweep.flow_tolerance,
        sweep.leak_tol,
        sweep.most_weights,
    )
    iteration = problem.iterations(run.t, sweep.step_size)
    return {
        **{name: value for name, value in vars(run).items() if name != "state"},
        **stored(state),
        **{f"final/{number}": layer for number, layer in enumerate(run.state.layers, start=1)},
        "curve/iteration": iteration,
        "curve/loss": problem.averaged(run.excess + problem.loss_floor),
        "param/stop_reason": run.stop_reason,
        "param/method": method,
        "metric/iterations": round(float(iteration[-1]), 6),  # first: MLflow's tables keep the order
        "metric/steps": run.steps,
        "metric/levels": state.levels,
        "metric/directions": sum(state.sizes),
        "metric/seconds": time.perf_counter() - started,
    }


def trained(record: Record, state: DeepState) -> DeepTrajectory:
    """The run that a record holds, from its initial state."""
    layers: Layers = tuple(record[f"final/{number}"] for number in range(1, state.depth + 1))
    kept = {field.name: record[field.name] for field in fields(DeepTrajectory) if field.name != "state"}
    return DeepTrajectory(**kept, state=state.moved(layers))
