"""Trains a point."""

from dataclasses import fields

from implicit_bias.pipelines.kinds.deep.initialize import network_of, stored
from implicit_bias.pipelines.kinds.steps import Trained, stop_rule
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.deep.dynamics import excess_loss
from implicit_bias.theory.networks.deep.experiment import train_deep
from implicit_bias.theory.networks.deep.record import DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.problem import Problem


def train(point: Point, sweep: Sweep, problem: Problem, initial: Record) -> Trained:
    """Train one point, from its first level on with as many levels as the run needs."""
    network = network_of(point, sweep, problem)
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
    kept: Record = {
        **{name: value for name, value in vars(run).items() if name != "state"},
        **stored(state),
        **{f"final/{number}": layer for number, layer in enumerate(run.state.layers, start=1)},
    }
    sizes = {"levels": state.levels, "directions": sum(state.sizes)}
    return Trained(kept, run.t, run.excess, run.stop_reason, run.steps, method, problem.loss_floor, sizes)


def run_of(record: Record, state: DeepState) -> DeepTrajectory:
    """The run that a record holds, from its initial state."""
    layers: Layers = tuple(record[f"final/{number}"] for number in range(1, state.depth + 1))
    kept = {field.name: record[field.name] for field in fields(DeepTrajectory) if field.name != "state"}
    return DeepTrajectory(**kept, state=state.moved(layers))
