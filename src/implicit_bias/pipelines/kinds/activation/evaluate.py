"""Measures a point."""

from dataclasses import fields

from implicit_bias.pipelines.kinds.activation.network import model_of, points_of
from implicit_bias.sweeps.handover import DataFields, ProblemFields, Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.networks.activation import measure
from implicit_bias.theory.networks.activation.experiment import Network
from implicit_bias.theory.networks.activation.run import Run


def evaluate_point(
    point: Point,
    sweep: Sweep,
    problem_fields: ProblemFields,
    state: Record,
    trained: Record,
    rows: DataFields,
) -> Record:
    """Measure one point.

    Returns:
        its metrics and curves; at the N test rows `predictions`, and `mean` and `std` of the frozen law, (N, m) each.
    """
    model = model_of(point, problem_fields, rows)
    problem = model.samples.problem
    network = Network(R=state["R"], frozen=state["frozen"])
    run = Run(**{field.name: trained[field.name] for field in fields(Run)})
    points = points_of(model, rows)
    measured = measure(model, network, run, points, point.sigma_u, point.sigma_v, sweep.step_size, sweep.delta)
    metrics = {name: value for name, value in measured.metrics.items() if name != "iterations"}  # of training
    record: Record = {f"metric/{name}": value for name, value in metrics.items()}
    record |= {"metric/t_stop": run.t[-1], "curve/iteration": problem.iterations(run.t, sweep.step_size)}
    record["curve/excess"] = problem.averaged(run.excess)
    if model.phi.degree is not None:
        record["curve/neuron_drift"] = run.drift
    return record | {"predictions": measured.predictions, "mean": measured.mean, "std": measured.std}
