"""What is measured of a trained point, beside what the paper and the law say about it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from implicit_bias.theory import bounds
from implicit_bias.theory.law import asymptotic_rate, distance_law, large_width_limit
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.state import State, imbalance
from implicit_bias.theory.trajectory import Trajectory


@dataclass(frozen=True)
class Evaluation:
    """Scalars of a point and curves along its trajectory.

    Attributes:
        metrics: name -> value; a metric whose premise fails is left out.
        curves: name -> (T,) values at the times of the trajectory.
    """

    metrics: dict[str, float]
    curves: dict[str, Array]


def evaluate(
    problem: Problem,
    state: State,
    trajectory: Trajectory,
    sigma_u: float,
    sigma_v: float,
    alpha: float | None,
    delta: float,
    gaussian: bool = True,
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
    """
    distance, u2v = distance_curves(problem, state, trajectory)
    guaranteed, certified = loss_bounds(problem, state, trajectory)
    certificate = orthogonality_certificate(state, trajectory)
    metrics: dict[str, Any] = {
        "distance": distance[-1],
        "distance_op": _distance_op(problem, state, trajectory),
        "distance_init": u2v[0],
        "u2v": u2v[-1],
        "loss": problem.averaged(trajectory.excess[-1] + problem.loss_floor),
        "imbalance_drift": np.max(trajectory.drift),
        "kernel_move": trajectory.kernel_change[-1],
        "rate": final_rate(trajectory),
        "certificate": certificate,
        **imbalance_metrics(problem, state),
        **_tightness("bound", trajectory.excess, guaranteed),
        **_tightness("certified", trajectory.excess, certified),
    }
    if gaussian:
        metrics |= law_metrics(problem, state, trajectory, sigma_u, sigma_v, delta)
        if alpha is not None:
            metrics |= paper_metrics(problem, state, alpha, delta)
    floor = problem.loss_floor
    curves = {
        "loss": problem.averaged(trajectory.excess + floor),
        "excess": problem.averaged(trajectory.excess),
        "bound": problem.averaged(guaranteed),
        "certified": problem.averaged(certified),
        "distance": distance,
        "u2v": u2v,
        "kernel_move": trajectory.kernel_change,
    }
    return Evaluation({name: float(value) for name, value in metrics.items()}, curves)


def distance_curves(problem: Problem, state: State, trajectory: Trajectory) -> tuple[Array, Array]:
    """(T,) ||U V^T - Theta^||_F and ||U2 V^T||_F along a run.

    The two parts of U V^T - Theta^ lie in span(Phi1) and span(Phi2), so their squares add up (paper, eq. 12).
    """
    u2v = np.linalg.norm(trajectory.V @ state.U2.T, axis=(1, 2))
    along = np.linalg.norm(trajectory.product - problem.min_norm_coordinates, axis=(1, 2))
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


def loss_bounds(problem: Problem, state: State, trajectory: Trajectory) -> tuple[Array, Array]:
    """(T,) bounds on L - L*: Theorem 1, known before training, and the instantaneous rate integrated along the run."""
    start, t, level = imbalance(state), trajectory.t, float(trajectory.excess[0])
    guaranteed = bounds.theorem_1(problem, start, t, level).value
    certified = bounds.certified_curve(problem, start, t, trajectory.product, level).value
    return guaranteed, certified


def orthogonality_certificate(state: State, trajectory: Trajectory) -> float:
    """Bound on the final ||[V U2^T; U1 U2^T]||_F from the path of the run (ours)."""
    initial = float(np.linalg.norm(state.R @ state.U2.T))
    return float(bounds.certificate(trajectory.t, trajectory.force, initial).value[-1])


def _tightness(name: str, measured: Array, bound: Array) -> dict[str, float]:
    """Worst (largest) and final ratio of a measured loss to its bound; at most 1 where the bound holds."""
    ratio = np.divide(measured, bound, out=np.zeros_like(measured), where=bound > 0)
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


def paper_metrics(problem: Problem, state: State, alpha: float, delta: float) -> dict[str, Any]:
    """Right-hand sides of (17)-(20) and the left-hand sides of (17)-(19) at initialisation."""
    h, start = state.h, imbalance(state)
    return {
        "lemma_17": bounds.lemma_17(problem, h, alpha).value,
        "lemma_18": bounds.lemma_18(problem, h, alpha, delta).value,
        "lemma_19": bounds.lemma_19(problem, h, alpha, delta).value,
        "thm2": bounds.theorem_2(problem, h, alpha, delta).value,
        "lhs_17": start.lambda_r + start.lambda_m,
        "lhs_18": np.linalg.norm(state.R @ state.U2.T),
        "lhs_19": np.linalg.norm(state.U1 @ state.V.T),
    }


def law_metrics(
    problem: Problem, state: State, trajectory: Trajectory, sigma_u: float, sigma_v: float, delta: float
) -> dict[str, float]:
    """The law of the distance: before training, from the large-width limit, and given the run's own V (ours)."""
    limit = large_width_limit(problem, sigma_u**2 * state.h, sigma_v**2 * state.h)
    V = trajectory.V[-1]
    before = distance_law(problem, limit.VVt, sigma_u)
    after = distance_law(problem, V @ V.T, sigma_u)
    return {
        "law_rms": before.rms,
        "law_bound": before.upper(delta),
        "law_rms_run": after.rms,
        "law_bound_run": after.upper(delta),
        "law_rate": asymptotic_rate(problem, limit),
    }
