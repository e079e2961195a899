"""What is measured of a linear network of any kind, by the names of the metrics of the paper's."""

import numpy as np

from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.measure import Evaluation, final_rate, law_curve, tightness
from implicit_bias.theory.networks.general.linear import LinearNetwork
from implicit_bias.theory.networks.general.training import GeneralRun
from implicit_bias.theory.networks.vectors import Shapes, Weights
from implicit_bias.theory.problem import Problem


def measure_run(
    kind: LinearNetwork, problem: Problem, weights: Weights, run: GeneralRun, sigma_u: float, delta: float
) -> Evaluation:
    """Measure a run: distance to the min-norm solution, drift of what the flow conserves, movement of the kernel.

    Args:
        kind: of the network.
        problem: the reparametrised problem.
        weights: initial weights.
        run: the run that started there.
        sigma_u: standard deviation of the entries of U(0), for the law where the kind has one.
        delta: failure probability; the law's bound is its 1 - delta quantile.
    """
    shapes = Shapes(weights)
    way = [shapes.weights(y) for y in run.y]
    Theta = np.array([kind.matrix(each) for each in way])
    away = Theta - problem.min_norm_solution
    beside = Theta - problem.Phi1 @ (problem.Phi1.T @ Theta)
    kernels = np.array([kind.kernel(problem, each) for each in way])
    levels = np.array([kind.imbalance(problem, each).ravel() for each in way])
    distance, u2v = (np.linalg.norm(each, axis=(1, 2)) for each in (away, beside))
    moved = np.linalg.norm(kernels - kernels[0], axis=(1, 2)) / (np.linalg.norm(kernels[0]) or 1.0)
    size = float(np.max(np.sum(run.y**2, axis=1))) or 1.0
    floor = problem.loss_floor
    metrics = {
        "distance": distance[-1],
        "distance_op": np.linalg.norm(away[-1], 2),
        "distance_init": u2v[0],
        "u2v": u2v[-1],
        "loss": problem.averaged(run.excess[-1] + floor),
        "imbalance_drift": np.max(np.linalg.norm(levels - levels[0], axis=1)) / size,
        "kernel_move": moved[-1],
        "rate": final_rate(run),
        "met/law": kind.gram is not None,
    }
    curves = {
        "loss": problem.averaged(run.excess + floor),
        "excess": problem.averaged(run.excess),
        "distance": distance,
        "u2v": u2v,
        "kernel_move": moved,
    }
    if kind.gram is not None:
        VVt = np.array([kind.gram(problem, each) for each in way])
        sharp, end = law_curve(problem, VVt, sigma_u, delta), distance_law(problem, VVt[-1], sigma_u)
        metrics |= {"law_rms_run": end.rms, "law_bound_run": end.upper(delta)}
        metrics |= tightness("law", u2v, sharp)
        curves["law"] = sharp.stated
    return Evaluation({name: float(value) for name, value in metrics.items()}, curves, {})
