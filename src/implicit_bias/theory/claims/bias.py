"""Claims on what a trained network has learnt: the min-norm solution and the distance to it."""

import numpy as np
from scipy.linalg import expm

from implicit_bias.theory.bounds import flow as of_flow
from implicit_bias.theory.claims.check import INTEGRATED, SLACK, Check, at_most, equal, relative, seen, worst
from implicit_bias.theory.claims.network import Network
from implicit_bias.theory.networks.two_layer import State, imbalance
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory, excess_loss, residual


def pseudoinverse_solution(network: Network) -> Array:
    """(D, m) Theta^ = X^T (X X^T)^+ Y (eq. 11), with no SVD of X in sight."""
    X = network.X
    return X.T @ np.linalg.pinv(X @ X.T, rcond=1e-10, hermitian=True) @ network.Y


def _size(network: Network) -> float:
    """||U||_F ||V||_F, the size of the terms that U V^T is summed of."""
    return float(np.linalg.norm(network.U) * np.linalg.norm(network.V))


def loss_split(network: Network) -> Check:
    """(8): L = 1/2 ||E||_F^2 + L*, the left side from X, Y, U and V alone."""
    loss = 0.5 * np.linalg.norm(network.Y - network.X @ network.theta) ** 2
    split = excess_loss(network.problem, network.state.R) + network.problem.loss_floor
    return equal(loss, split, scale=float(np.linalg.norm(network.Y) ** 2))


def dynamics(network: Network) -> Check:
    """(7): V' = E^T diag(sigma) U1, U1' = diag(sigma) E V, U2' = 0, against the gradient in all weights."""
    problem = network.problem
    dU, dV = network.velocity()
    F = problem.sigma[:, None] * (problem.Y_tilde - problem.sigma[:, None] * (network.U1 @ network.V.T))
    return equal(np.vstack([dU, dV]), np.vstack([problem.Phi1 @ F @ network.V, F.T @ network.U1]))


def unseen_constant(start: Network, end: Network) -> Check:
    """U2(t) = U2(0) along the flow of all weights."""
    return equal(end.unseen, start.unseen, limit=INTEGRATED, scale=float(np.linalg.norm(start.U)))


def decomposition(network: Network) -> Check:
    """(12): U V^T = Phi1 U1 V^T + Phi2 U2 V^T, the two parts taken from the reduced state."""
    state, theta = network.state, network.theta
    unseen = theta - network.problem.Phi1 @ (state.U1 @ state.V.T)
    whole = equal(unseen, network.unseen @ network.V.T, scale=float(np.linalg.norm(theta)))
    norms = equal(np.linalg.norm(state.U2 @ state.V.T), np.linalg.norm(unseen), scale=float(np.linalg.norm(theta)))
    return worst(whole, norms)


def visible_limit(end: Network, met: bool) -> Check:
    """(13): Phi1 U1(inf) V(inf)^T = Theta^ = X^T (X X^T)^+ Y."""
    visible = end.problem.Phi1 @ (end.U1 @ end.V.T)
    return equal(visible, pseudoinverse_solution(end), met=met, limit=INTEGRATED, scale=_size(end))


def limit(start: Network, end: Network, met: bool) -> Check:
    """(14): U(inf) V(inf)^T = Theta^ + Phi2 U2(0) V(inf)^T."""
    claimed = pseudoinverse_solution(start) + start.unseen @ end.V.T
    return equal(end.theta, claimed, met=met, limit=INTEGRATED, scale=_size(end))


def invariant_set(start: Network, end: Network) -> Check:
    """(15): V U2^T = 0 and U1 U2^T = 0 stay so along the flow of all weights."""
    return Check(_orthogonality(start) < 1e-12, _orthogonality(end), INTEGRATED)


def _orthogonality(network: Network) -> float:
    P = np.vstack([network.U1, network.V])
    return relative(P @ network.unseen.T, P, network.U)


def orthogonality_dynamics(network: Network) -> Check:
    """(16): d/dt [V U2^T; U1 U2^T] = [[0, E^T diag(sigma)], [diag(sigma) E, 0]] [V U2^T; U1 U2^T]."""
    problem, U2, U1 = network.problem, network.unseen.T, network.U1
    dU, dV = network.velocity()
    F = problem.sigma[:, None] * residual(problem, np.vstack([U1, network.V]))
    left = np.vstack([dV @ U2, problem.Phi1.T @ dU @ U2])
    right = np.vstack([F.T @ (U1 @ U2), F @ (network.V @ U2)])
    size = float(np.linalg.norm(F) * np.linalg.norm(network.state.R) * np.linalg.norm(network.U))
    return equal(left, right, scale=size)


def min_norm(start: Network, end: Network, met: bool) -> Check:
    """Proposition 1: from the invariant set, a run that ends at E = 0 ends at U V^T = Theta^ exactly."""
    inside = _orthogonality(start) < 1e-12
    solution = pseudoinverse_solution(start)
    return equal(end.theta, solution, met=met and inside, limit=INTEGRATED, scale=_size(end))


def not_enough(start: Network, end: Network, met: bool) -> Check:
    """V(0) U2(0)^T = 0 alone is not sufficient: U(inf) V(inf)^T is not Theta^ (remark after Proposition 1)."""
    inside = relative(start.V @ start.unseen.T, start.V, start.U) < 1e-12
    coupled = relative(start.U1 @ start.unseen.T, start.U1, start.U) > 1e-3
    solution = pseudoinverse_solution(start)
    size = float(np.linalg.norm(end.theta - solution))
    return seen(size, float(np.linalg.norm(solution)), met=met and inside and coupled)


def regression_flow(network: Network, theta: Array) -> Array:
    """(D, m) limit of Theta' = X^T (Y - X Theta) from theta (D, m): a linear flow, by one matrix exponential."""
    X, D, m = network.X, network.problem.D, network.problem.m
    generator = np.zeros((D + m, D + m))
    generator[:D] = np.hstack([-X.T @ X, X.T @ network.Y])
    t = 40 / network.problem.sigma[-1] ** 2
    return expm(generator * t)[:D] @ np.vstack([theta, np.eye(m)])


def regression(network: Network, theta: Array, end: Array) -> Check:
    """Regression without hidden layer: Theta(0) in span(Phi1) suffices for Theta(inf) = Theta^ (section 3.1)."""
    Phi1 = network.problem.Phi1
    inside = relative(theta - Phi1 @ (Phi1.T @ theta), theta) < 1e-12
    return equal(end, pseudoinverse_solution(network), met=inside, limit=INTEGRATED, scale=float(np.linalg.norm(theta)))


def zero_is_equilibrium(network: Network) -> Check:
    """U = 0, V = 0 does not move although E != 0 (section 3.1)."""
    dU, dV = network.velocity()
    zero = not (np.any(network.U) or np.any(network.V))
    size = relative(dU, network.X.T @ network.Y) + relative(dV, network.X.T @ network.Y)
    return Check(zero, size, SLACK)


def certificate(problem: Problem, state: State, trajectory: Trajectory) -> Check:
    """||[V U2^T; U1 U2^T]||_F at the end is at most exp(int ||diag(sigma) E||_2) times its start (ours, from 16)."""
    initial = float(np.linalg.norm(state.R @ state.U2.T))
    bound = of_flow.certificate(problem, imbalance(state), trajectory, initial)
    if not np.isfinite(bound.value[-1]):  # E did not vanish, and the bound says nothing
        return Check(False, 0.0, 1 + SLACK)
    error = 1e-12 * float(np.linalg.norm(state.R) * np.linalg.norm(state.U2))
    return at_most(np.linalg.norm(trajectory.R @ state.U2.T), bound.value[-1], error=error)


def same_trajectory(first: Network, second: Network) -> Check:
    """The balanced trajectory does not depend on Q: two networks, each after the same time, with one U V^T."""
    is_balanced = all(relative(net.imbalance, net.V, net.V) < INTEGRATED for net in (first, second))
    return equal(first.theta, second.theta, met=is_balanced, limit=INTEGRATED)


def ntk_gain(h: int, m: int, alpha: float) -> float:
    """kappa / sqrt(m h) with kappa = sqrt(m) / h^(2 alpha - 1/2): the network is x -> gain V~ U~^T x (appendix)."""
    kappa = np.sqrt(m) / h ** (2 * alpha - 0.5)
    return float(kappa / np.sqrt(m * h))


def ntk_scaling(end: Network, tilde_end: Network, alpha: float) -> Check:
    """U~ = h^alpha U, V~ = h^alpha V trained in the NTK parametrisation for h^(2 alpha) t is the paper's flow at t."""
    scale = end.V.shape[1] ** alpha
    first = np.vstack([end.U, end.V]) * scale
    return equal(first, np.vstack([tilde_end.U, tilde_end.V]), limit=INTEGRATED)
