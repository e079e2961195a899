"""Claims on the imbalance: its conservation and rank, what makes it large, and the rate it guarantees."""

from dataclasses import replace

import numpy as np

from implicit_bias.theory.bounds import before as bounds
from implicit_bias.theory.bounds import registry
from implicit_bias.theory.bounds.registry import RUN_BOUNDS
from implicit_bias.theory.claims.check import INTEGRATED, SLACK, Check, at_most, decays, equal, relative, worst
from implicit_bias.theory.claims.network import Network
from implicit_bias.theory.networks.two_layer import Imbalance, State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory, excess_loss, velocity

RESOLUTION = 1e-8
"""Error of E along an integrated run, relative to the products it is made of."""


def conserved(start: Network, end: Network, drift: Array) -> Check:
    """Lambda(t) = Lambda(0): on whole networks along the flow, and by the drift (T,) of a reduced run to its end."""
    scale = float(np.linalg.norm(start.U1) ** 2 + np.linalg.norm(start.V) ** 2)
    whole = equal(end.imbalance, start.imbalance, limit=INTEGRATED, scale=scale)
    return worst(whole, Check(True, float(np.max(drift)), INTEGRATED))


def rank(network: Network) -> Check:
    """rank Lambda <= m + r (paper, after eq. 9)."""
    s = np.linalg.svd(network.imbalance, compute_uv=False)
    count = np.count_nonzero(s > 1e-12 * s[0])
    return at_most(float(count), float(network.problem.k))


def no_brackets(network: Network, imbalance: Imbalance) -> Check:
    """h >= m + r makes c = lambda_r(Lambda) + lambda_m(-Lambda), without brackets (Theorem 1)."""
    r, m, h = network.problem.r, network.problem.m, network.V.shape[1]
    if h < r + m:
        return Check(False, 0.0, SLACK)
    spectrum = np.linalg.eigvalsh(network.imbalance)
    return equal(imbalance.c, spectrum[-r] - spectrum[m - 1], scale=float(np.abs(spectrum).max()))


def orthogonal_layers(state: State, imbalance: Imbalance) -> Check:
    """U1(0) V(0)^T = 0 gives c = lambda_r(U1 U1^T) + lambda_m(V V^T) (after Theorem 1)."""
    s_U, s_V = _singular_values(state.U1), _singular_values(state.V)
    orthogonal = float(np.linalg.norm(state.U1 @ state.V.T)) <= 1e-12 * s_U[0] * max(s_V[0], s_U[0])
    return equal(imbalance.c, s_U[-1] ** 2 + s_V[-1] ** 2, met=orthogonal, scale=float(s_U[0] ** 2))


def unequal_scales(state: State, imbalance: Imbalance) -> Check:
    """Aligned row spaces and singular values of one layer above those of the other give c > 0 (after Theorem 1).

    Made quantitative by Weyl's inequality: c >= s_r(U1)^2 - s_1(V)^2, and the same with the layers exchanged.
    """
    s_U, s_V = _singular_values(state.U1), _singular_values(state.V)
    gap = max(s_U[-1] ** 2 - s_V[0] ** 2, s_V[-1] ** 2 - s_U[0] ** 2)
    aligned = min(_misalignment(state.V, state.U1), _misalignment(state.U1, state.V)) < 1e-9
    return at_most(max(gap, 0.0), imbalance.c, met=bool(aligned and gap > 1e-9 * (s_U[0] + s_V[0]) ** 2))


def _singular_values(A: Array) -> Array:
    """(rows,) singular values, zero beyond the width."""
    s = np.linalg.svd(A, compute_uv=False)
    return np.pad(s, (0, A.shape[0] - s.size))


def _misalignment(A: Array, B: Array) -> float:
    """Relative size of the part of the rows of A outside the row space of B."""
    return relative(A - A @ np.linalg.pinv(B) @ B, A)


def align(state: State, ratio: float, mix: Array) -> State:
    """Replace the layer with fewer rows by mix (m, r) times the other, its largest singular value times `ratio`.

    The row spaces are then aligned; `ratio` < 1 is relative to the smallest singular value of the other layer.
    """
    U1, V, r = state.U1, state.V, state.r
    target, kept = mix @ U1, U1
    if r < len(V):
        target, kept = mix.T @ V, V
    target = target * (ratio * _singular_values(kept)[-1] / np.linalg.norm(target, 2))
    R = np.vstack([target, V] if r < len(V) else [U1, target])
    return replace(state, R=R)


def resolution(problem: Problem, trajectory: Trajectory) -> float:
    """Error of ||E||_F along an integrated run: small compared with the products that make up E."""
    size = problem.sigma[0] * np.sum(trajectory.R**2) + np.sqrt(2 * trajectory.excess[0])
    return RESOLUTION * float(size)


def loss_bounds(problem: Problem, imbalance: Imbalance, trajectory: Trajectory) -> dict[str, Check]:
    """Claim -> the loss of a flow is at most each bound of the registry, at every recorded time."""
    error = resolution(problem, trajectory)
    return {
        RUN_BOUNDS[name].claim: decays(trajectory.excess, bound.value, error, bound.applies)
        for name, bound in registry.loss_bounds(registry.Run(problem, imbalance, trajectory)).items()
        if RUN_BOUNDS[name].claim
    }


def converges(problem: Problem, imbalance: Imbalance, trajectory: Trajectory, complete: bool = True) -> Check:
    """c > 0 makes (V, U1) converge to an equilibrium with E = 0 (Theorem 1): the final ||E||, to its resolution.

    `complete` says that the run was given the time Theorem 1 asks for.
    """
    final, error = float(np.sqrt(2 * trajectory.excess[-1])), resolution(problem, trajectory)
    return Check(complete and imbalance.c > 0, RESOLUTION * final / error, RESOLUTION)


def path(problem: Problem, state: State, imbalance: Imbalance, trajectory: Trajectory) -> Check:
    """c > 0: P = [U1; V] has no more than (e^l - 1) ||P(t)||_F to go, l = sigma_1 ||E(t)||_F / (lambda_r(Sigma_x) c).

    So (V, U1) converges as E does (ours, theory.md "Bounds on the loss"); seen on P at the start, on V at every sample.
    """
    if imbalance.c == 0:
        return Check(False, 0.0, SLACK)
    length = problem.sigma[0] * np.sqrt(2 * trajectory.excess) / (problem.sigma[-1] ** 2 * imbalance.c)
    trace = np.sum(state.U1**2) - np.sum(state.V**2)
    size = np.sqrt(trace + 2 * np.sum(trajectory.V**2, axis=(1, 2)))
    moved = np.linalg.norm(trajectory.V[-1] - trajectory.V, axis=(1, 2))
    moved[0] = np.linalg.norm(trajectory.R - state.R)
    with np.errstate(over="ignore"):
        return at_most(moved, np.expm1(length) * size, error=RESOLUTION * float(np.max(size)))


def instantaneous_rate(problem: Problem, imbalance: Imbalance, R: Array) -> Check:
    """-d/dt log(L - L*) is at least the instantaneous rate of any state R (k, k') (Min et al. 2022, Proposition 1)."""
    product = R[: problem.r] @ R[problem.r :].T
    claimed = bounds.instantaneous_rate(problem, imbalance, product)
    excess, speed = excess_loss(problem, R), float(np.sum(velocity(problem, R) ** 2))
    return at_most(claimed * excess, speed, met=excess > 0)


def margin_bound(problem: Problem, imbalance: Imbalance, trajectory: Trajectory, start: int) -> Check:
    """The bound with margin, restarted at sample `start`, holds from there on (Min et al. 2022, Theorem 3)."""
    t, excess, error = trajectory.t[start:], trajectory.excess[start:], resolution(problem, trajectory)
    level = 0.5 * (np.sqrt(2 * excess[0]) + error) ** 2
    bound = bounds.margin_bound(problem, imbalance, t, level, np.sqrt(2 * level), float(t[0]))
    return decays(excess, bound.value, error, bound.applies)
