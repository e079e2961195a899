"""Measures a point."""

from implicit_bias.pipelines.kinds.activation.network import model_of, points_of
from implicit_bias.pipelines.kinds.steps import Measured, restored
from implicit_bias.sweeps.handover import DataFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks import activation
from implicit_bias.theory.networks.activation.experiment import Network
from implicit_bias.theory.networks.activation.run import Run
from implicit_bias.theory.problem import Problem


def measure(
    point: Point, sweep: Sweep, problem: Problem, initial: Record, trained: Record, rows: DataFields
) -> Measured:
    """Measure one point.

    Returns:
        its metrics and curves; at the N test rows `predictions`, and `mean` and `std` of the frozen law, (N, m) each.
    """
    model = model_of(point, problem, rows)
    network, run, points = restored(Network, initial), restored(Run, trained), points_of(model, rows)
    found = activation.measure(model, network, run, points, point.sigma_u, point.sigma_v, sweep.step_size, sweep.delta)
    metrics = {name: value for name, value in found.metrics.items() if name != "iterations"}  # of training
    curves = {"excess": problem.averaged(run.excess)}
    if model.phi.degree is not None:
        curves["neuron_drift"] = run.drift
    arrays: Record = {"predictions": found.predictions, "mean": found.mean, "std": found.std}
    return Measured(run.t, metrics, curves, arrays=arrays)
