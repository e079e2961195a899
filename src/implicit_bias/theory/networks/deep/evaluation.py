"""What is measured of a trained deep point, by the names of the metrics of the two-layer one."""

import numpy as np

from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.measure import Evaluation, final_rate, grams, law_curve, tightness
from implicit_bias.theory.networks.deep import bounds
from implicit_bias.theory.networks.deep.dynamics import imbalances
from implicit_bias.theory.networks.deep.record import DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState
from implicit_bias.theory.problem import Array, Problem


def evaluate_deep(
    problem: Problem,
    state: DeepState,
    run: DeepTrajectory,
    sigma_1: float,
    delta: float,
    end_gram: Array | None = None,
    gaussian: bool = True,
    flow: bool = True,
) -> Evaluation:
    """Measure a run: distance to the min-norm solution, the law, bounds, imbalances, leak.

    `met/reach` says whether the product of the layers can have the rank of Theta^; if not, the loss cannot vanish.
    `tail_rank` is the effective rank of M^T M, over how many outputs the part outside the data is spread;
    `imbalance/<l>` is ||Lambda_l||_F in the kept directions of hidden layer l.

    Args:
        problem: the reparametrised problem.
        state: the initial network.
        run: the run that started there.
        sigma_1: standard deviation of the entries of the first layer.
        delta: failure probability; the law's bound is its 1 - delta quantile.
        end_gram: (m, m) M^T M of the infinitely wide network (`law.end_gram`), for the law before training; None leaves
            that out.
        gaussian: the first layer has independent N(0, sigma_1^2) entries, the law is asked.
        flow: the run is a gradient flow; the bounds are statements about it.
    """
    distance, u2v = distance_curves(problem, state, run)
    last = run.V[-1]
    along = run.product[-1] - problem.min_norm_coordinates
    metrics: dict[str, float] = {
        "distance": distance[-1],
        "distance_op": float(np.linalg.norm(np.vstack([along, state.B @ last.T]), 2)),
        "distance_init": u2v[0],
        "u2v": u2v[-1],
        "loss": float(problem.averaged(run.excess[-1] + problem.loss_floor)),
        "imbalance_drift": run.drift,
        "kernel_move": run.kernel_change[-1],
        "tail_rank": participation(last @ last.T),
        "rate": final_rate(run),
        "depth": state.depth,
        "levels": state.levels,
        "leak": run.leak,
    }
    for layer, (Lambda, drift) in enumerate(zip(imbalances(state.layers), run.drifts, strict=True), start=1):
        metrics |= {f"imbalance/{layer}": float(np.linalg.norm(Lambda)), f"imbalance_drift/{layer}": float(drift)}
    curves: dict[str, Array] = {
        "loss": problem.averaged(run.excess + problem.loss_floor),
        "excess": problem.averaged(run.excess),
        "distance": distance,
        "u2v": u2v,
        "kernel_move": run.kernel_change,
    }
    named = {
        name: bound.assuming("gradient flow", flow)
        for name, bound in {
            "bound": bounds.imbalance_bound(problem, state, run),
            "certified": bounds.certified_curve(problem, run),
            "local": bounds.local_bound(problem, run),
            "path": bounds.path_certificate(
                problem, run, float(u2v[0]), float(np.linalg.norm(state.B, 2)) if state.B.size else 0.0
            ),
        }.items()
    }
    for name in ("bound", "certified", "local"):
        curves[name] = problem.averaged(named[name].stated)
        metrics |= tightness(name, run.excess, named[name])
    curves["path"] = named["path"].stated
    metrics |= tightness("path", u2v, named["path"]) | {"rate_bound": bounds.imbalance_rate(problem, state)}
    metrics |= {f"met/{name}": bound.applies for name, bound in named.items()} | {"met/law": gaussian}
    unmet = {name: bound.unmet for name, bound in named.items() if not bound.applies}
    narrow, rank = min(state.widths, default=problem.m), int(np.linalg.matrix_rank(problem.min_norm_coordinates))
    metrics["met/reach"] = narrow >= rank
    if narrow < rank:
        unmet["reach"] = [f"widths >= {rank}, the rank of Theta^ (the narrowest layer has {narrow})"]
    if gaussian:
        sharp, end = law_curve(problem, grams(run), sigma_1, delta), distance_law(problem, last @ last.T, sigma_1)
        curves["law"] = sharp.stated
        metrics |= {"law_rms_run": end.rms, "law_bound_run": end.upper(delta)}
        metrics |= tightness("law", u2v, sharp)
        if end_gram is not None:
            before = distance_law(problem, end_gram, sigma_1)
            metrics |= {"law_rms": before.rms, "law_bound": before.upper(delta)}
    return Evaluation(
        metrics={name: float(value) for name, value in metrics.items()},
        curves=curves,
        unmet=unmet,
    )


def participation(gram: Array) -> float:
    """(sum v)^2 / sum v^2 of the eigenvalues v of a Gram matrix: over how many directions it is spread; 0 of 0."""
    size = float(np.sum(gram * gram))
    return float(np.trace(gram)) ** 2 / size if size else 0.0


def distance_curves(problem: Problem, state: DeepState, run: DeepTrajectory) -> tuple[Array, Array]:
    """(T,) ||W_1 ... W_L - Theta^||_F and ||B M||_F along a run: its parts in and outside span(Phi1) are orthogonal."""
    u2v = np.linalg.norm(run.V @ state.B.T, axis=(1, 2))
    along = np.linalg.norm(run.product - problem.min_norm_coordinates, axis=(1, 2))
    return np.hypot(u2v, along), u2v
