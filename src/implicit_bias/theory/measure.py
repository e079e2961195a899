"""What is measured of a trained point, beside what the paper and the law say about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicit_bias.theory.bounds import before as bounds
from implicit_bias.theory.bounds import descent as of_descent
from implicit_bias.theory.bounds import flow as of_flow
from implicit_bias.theory.bounds.base import Bound
from implicit_bias.theory.bounds.registry import Run, loss_bounds
from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.law.limit import asymptotic_rate, large_width_limit
from implicit_bias.theory.law.prediction import law_before
from implicit_bias.theory.networks.two_layer import State, imbalance
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Kind, Path, Trajectory


@dataclass(frozen=True)
class Evaluation:
    """Scalars of a point, curves along its trajectory, and which hypotheses failed.

    Attributes:
        metrics: name -> value; a metric whose premise fails is left out. `<bound>_worst` and `<bound>_final` are the
            largest and the last ratio of what is bounded to its bound, `met/<bound>` whether its hypotheses are met.
        curves: name -> (T,) values at the times of the trajectory.
        unmet: bound -> names of its hypotheses that fail, for bounds of which any does.
    """

    metrics: dict[str, float]
    curves: dict[str, Array]
    unmet: dict[str, list[str]]


def evaluate(
    problem: Problem,
    state: State,
    trajectory: Trajectory,
    sigma_u: float,
    sigma_v: float,
    alpha: float | None,
    delta: float,
    gaussian: bool = True,
    step: float | None = None,
    kind: Kind | None = None,
) -> Evaluation:
    """Measure a run: distance to the min-norm solution, tightness of every bound, agreement with the law.

    Args:
        problem: the reparametrised problem.
        state: the initial state.
        trajectory: the run that started there.
        sigma_u: standard deviation of the entries of U(0).
        sigma_v: standard deviation of the entries of V(0).
        alpha: the scales are h^-alpha; None leaves out Lemma 1 and Theorem 2.
        delta: failure probability of the probabilistic bounds; the law's bound is its 1 - delta quantile.
        gaussian: the law is asked. It and Lemma 1 assume independent Gaussian entries.
        step: of gradient descent, on L: 2 eta / n for step eta on the averaged loss; None for the flow.
        kind: of the solver; by default a flow without `step`, a descent with it. Of another run nothing is certified.
    """
    distances, u2v = distance_curves(problem, state, trajectory)
    kind = kind or ("flow" if step is None else "descent")
    run = Run(problem, imbalance(state), trajectory, kind, step or 0.0)
    losses, paths = loss_bounds(run), orthogonality_certificate(run, state)
    random = random_bounds(problem, state, alpha if gaussian else None, delta)
    measured: dict[str, Any] = {
        "distance": distances[-1],
        "distance_init": u2v[0],
        "u2v": u2v[-1],
        **{name: metric(problem, state, trajectory) for name, metric in METRICS.items()},
    }
    metrics = measured | imbalance_metrics(problem, state)
    if paths:
        metrics["certificate"] = paths["path"].stated[-1]
    for name, bound in losses.items():
        metrics |= tightness(name, trajectory.excess, bound)
    for name, bound in paths.items():
        metrics |= tightness(name, u2v, bound)
    metrics |= paper_metrics(problem, state, random, measured)
    floor = problem.loss_floor
    curves = {
        "loss": problem.averaged(trajectory.excess + floor),
        "excess": problem.averaged(trajectory.excess),
        **{name: problem.averaged(bound.stated) for name, bound in losses.items()},
        "distance": distances,
        "u2v": u2v,
        **{name: bound.stated for name, bound in paths.items()},
        "kernel_move": trajectory.kernel_change,
    }
    if gaussian:
        sharp = law_curve(problem, trajectory, sigma_u, delta)
        metrics |= law_metrics(problem, state, trajectory, sigma_u, sigma_v, delta) | tightness("law", u2v, sharp)
        curves["law"] = sharp.stated
    named = losses | paths | random
    named["thm2"] = random["thm2"].assuming("gradient flow", kind == "flow")
    metrics |= {"met/law": gaussian} | {f"met/{name}": bound.applies for name, bound in named.items()}
    return Evaluation(
        metrics={name: float(value) for name, value in metrics.items()},
        curves=curves,
        unmet={name: bound.unmet for name, bound in named.items() if not bound.applies},
    )


def distance(problem: Problem, state: State, run: Path) -> float:
    """||U V^T - Theta^||_F at the end of a run: the distance to the min-norm solution.

    Args:
        problem: the reparametrised problem.
        state: the initial state.
        run: the run that started there.
    """
    return float(distance_curves(problem, state, run)[0][-1])


def distance_curves(problem: Problem, state: State, path: Path) -> tuple[Array, Array]:
    """(T,) ||U V^T - Theta^||_F and ||U2 V^T||_F along a run, or along what stands for one.

    The two parts of U V^T - Theta^ lie in span(Phi1) and span(Phi2), so their squares add up (paper, eq. 12).
    """
    u2v = np.linalg.norm(path.V @ state.U2.T, axis=(1, 2))
    along = np.linalg.norm(path.product - problem.min_norm_coordinates, axis=(1, 2))
    return np.hypot(u2v, along), u2v


def final_rate(trajectory: Trajectory) -> float:
    """-d/dt log(L - L*) over the last samples that resolve it: the measured asymptotic rate, per unit of flow time."""
    resolved = np.isfinite(trajectory.t) & (trajectory.excess > 1e-20 * trajectory.excess[0])
    t, log_excess = trajectory.t[resolved], np.log(trajectory.excess[resolved])
    if t.size < 2:
        return 0.0
    start = min(int(np.searchsorted(t, 0.8 * t[-1])), t.size - 2)
    return float((log_excess[start] - log_excess[-1]) / (t[-1] - t[start]))


def _distance_op(problem: Problem, state: State, trajectory: Trajectory) -> float:
    along = trajectory.product[-1] - problem.min_norm_coordinates
    return float(np.linalg.norm(np.vstack([along, state.U2 @ trajectory.V[-1].T]), 2))


def orthogonality_certificate(run: Run, state: State) -> dict[str, Bound]:
    """Bound (T,) on ||[V U2^T; U1 U2^T]||_F, hence on ||U2 V^T||_F, from the path of the run (ours), as `path`.

    Empty for a run that is neither a flow nor a gradient descent.
    """
    initial = float(np.linalg.norm(state.R @ state.U2.T))
    if run.kind == "flow":
        return {"path": of_flow.certificate(run.problem, run.imbalance, run.trajectory, initial)}
    if run.kind == "descent":
        return {"path": of_descent.descent_certificate(run.problem, run.trajectory, run.step, initial)}
    return {}


METRICS: dict[str, Callable[[Problem, State, Trajectory], float]] = {
    "distance_op": _distance_op,
    "loss": lambda problem, state, run: float(problem.averaged(run.excess[-1] + problem.loss_floor)),
    "imbalance_drift": lambda problem, state, run: float(np.max(run.drift)),
    "loss_error": lambda problem, state, run: run.loss_error,
    "kernel_move": lambda problem, state, run: float(run.kernel_change[-1]),
    "rate": lambda problem, state, run: final_rate(run),
}
"""Name -> metric of a run, from the problem, the initial state and the trajectory."""


def random_bounds(problem: Problem, state: State, alpha: float | None, delta: float) -> dict[str, Bound]:
    """(17)-(20) by the name of their metrics, under the hypothesis that the entries are N(0, h^(-2 alpha))."""
    h, scale = state.h, 0.5 if alpha is None else alpha
    each = {
        "lemma_17": bounds.lemma_17(problem, h, scale),
        "lemma_18": bounds.lemma_18(problem, h, scale, delta),
        "lemma_19": bounds.lemma_19(problem, h, scale, delta),
        "thm2": bounds.theorem_2(problem, h, scale, delta),
    }
    return {name: bound.assuming("entries N(0, h^-2 alpha)", alpha is not None) for name, bound in each.items()}


def law_curve(problem: Problem, trajectory: Trajectory, sigma_u: float, delta: float) -> Bound:
    """Bound (T,) on ||U2 V(t)^T||_F by Gaussian concentration given V(t), at each time with probability 1 - delta."""
    laws = [distance_law(problem, V @ V.T, sigma_u) for V in trajectory.V]
    return Bound(np.array([law.bound(delta) for law in laws]), {})


def tightness(name: str, measured: Array, bound: Bound) -> dict[str, float]:
    """Worst (largest) and final ratio of what is measured to its bound as stated; at most 1 where the bound holds."""
    stated = bound.stated
    ratio = np.divide(measured, stated, out=np.zeros_like(measured), where=stated > 0)
    return {f"{name}_worst": float(np.max(ratio[1:], initial=0.0)), f"{name}_final": float(ratio[-1])}


def imbalance_metrics(problem: Problem, state: State) -> dict[str, float]:
    """Imbalance of the initial state and the rate it guarantees (paper, Theorem 1)."""
    start = imbalance(state)
    return {
        "imbalance_c": start.c,
        "lambda_r": start.lambda_r,
        "lambda_m": start.lambda_m,
        "rate_bound": 2 * float(problem.sigma[-1]) ** 2 * start.c,
    }


def paper_metrics(problem: Problem, state: State, random: dict[str, Bound], measured: dict[str, Any]) -> dict[str, Any]:
    """Left-hand sides of (17)-(19); of bounds that apply, the right-hand sides of (17)-(20) and their ratios.

    Theorem 2 bounds the spectral norm as stated and the Frobenius norm by its footnote 1.
    """
    start = imbalance(state)
    left = {
        "17": start.lambda_r + start.lambda_m,
        "18": float(np.linalg.norm(state.R @ state.U2.T)),
        "19": float(np.linalg.norm(state.U1 @ state.V.T)),
    }
    metrics: dict[str, Any] = {f"lhs_{equation}": value for equation, value in left.items()}
    for equation, value in left.items():
        bound = random[f"lemma_{equation}"]
        if bound.applies:
            right = float(bound.stated)
            small, large = (right, value) if equation == "17" else (value, right)
            tight = small / large if large > 0 else np.inf
            metrics |= {f"lemma_{equation}": right, f"tight_{equation}": tight}
    if random["thm2"].applies:
        right = float(random["thm2"].stated)
        metrics |= {"thm2": right, "tight_thm2": measured["distance_op"] / right}
        metrics["tight_thm2F"] = measured["distance"] / right
    return metrics


def law_metrics(
    problem: Problem, state: State, trajectory: Trajectory, sigma_u: float, sigma_v: float, delta: float
) -> dict[str, float]:
    """The law of the distance, before training and given the run's own V; the final rate at large width (ours)."""
    a, b, V = sigma_u**2 * state.h, sigma_v**2 * state.h, trajectory.V[-1]
    before = law_before(problem, a, b, state.h)
    after = distance_law(problem, V @ V.T, sigma_u)
    return {
        "law_rms": before.rms,
        "law_bound": before.upper(delta),
        "law_rms_run": after.rms,
        "law_bound_run": after.upper(delta),
        "limit_rate": asymptotic_rate(problem, large_width_limit(problem, a, b)),
    }
