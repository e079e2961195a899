"""Gradient flow of the reduced layers: W_l' = (A W_2 ... W_{l-1})^T F (W_{l+1} ... W_L)^T, F = diag(sigma) E."""

from itertools import pairwise

import numpy as np

from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.problem import Array, Problem


def tails(layers: Layers, m: int) -> list[Array]:
    """S_1, ..., S_L: what follows each layer, W_{l+1} ... W_L (d_l, m); S_1 = M, S_L = I_m."""
    S: list[Array] = [np.eye(m)]
    for W in reversed(layers[1:]):
        S.append(W @ S[-1])
    return S[::-1]


def heads(layers: Layers, r: int) -> list[Array]:
    """P_1, ..., P_L: what precedes each layer, A W_2 ... W_{l-1} (r, d_{l-1}); P_1 = I_r."""
    P: list[Array] = [np.eye(r)]
    for W in layers[:-1]:
        P.append(P[-1] @ W if len(P) > 1 else W)
    return P


def product(layers: Layers, m: int) -> Array:
    """(r, m) Phi1^T W_1 ... W_L."""
    value: Array = layers[0] @ tails(layers, m)[0]
    return value


def residual(problem: Problem, layers: Layers) -> Array:
    """E = Y~ - diag(sigma) A M, shape (r, m)."""
    return problem.Y_tilde - problem.sigma[:, None] * product(layers, problem.m)


def excess_loss(problem: Problem, layers: Layers) -> float:
    """L - L* = 1/2 ||E||_F^2."""
    return 0.5 * float(np.sum(residual(problem, layers) ** 2))


def pulls(layers: Layers, F: Array) -> list[Array]:
    """P_1^T F, ..., P_L^T F (d_{l-1}, m), no P formed."""
    G = [F]
    for W in layers[:-1]:
        G.append(W.T @ G[-1])
    return G


def velocity(problem: Problem, layers: Layers) -> Layers:
    """d(layers)/dt of the gradient flow on L = 1/2 ||Y - X W_1 ... W_L||_F^2."""
    S = tails(layers, problem.m)
    F = problem.sigma[:, None] * (problem.Y_tilde - problem.sigma[:, None] * (layers[0] @ S[0]))
    return tuple(g @ s.T for g, s in zip(pulls(layers, F), S, strict=True))


def kernel_times(problem: Problem, layers: Layers, E: Array) -> Array:
    """K(E) (r, m), the tangent kernel: E' = -K(E); sum over layers of diag(sigma) P P^T diag(sigma) E S^T S."""
    S = tails(layers, problem.m)
    G = pulls(layers, problem.sigma[:, None] * E)
    total = G[-1]
    for W, g, s in zip(reversed(layers[:-1]), reversed(G[:-1]), reversed(S[:-1]), strict=True):
        total = W @ total + g @ (s.T @ s)
    return problem.sigma[:, None] * total


def kernel_matrix(problem: Problem, layers: Layers) -> Array:
    """(r m, r m) matrix of the tangent kernel acting on E.ravel()."""
    size = problem.r * problem.m
    K = np.zeros((size, size))
    for P, S in zip(heads(layers, problem.r), tails(layers, problem.m), strict=True):
        sP = problem.sigma[:, None] * P
        K += np.kron(sP @ sP.T, S.T @ S)
    return K


def kernel_largest(problem: Problem, layers: Layers, guess: Array, rounds: int = 4) -> tuple[float, Array]:
    """Largest eigenvalue of the tangent kernel by power iteration from `guess` (r, m), and the better guess."""
    size = 0.0
    for _ in range(rounds):
        image = kernel_times(problem, layers, guess)
        size = float(np.linalg.norm(image))
        if size == 0:
            return 0.0, guess
        guess = image / size
    return size, guess


def imbalances(layers: Layers) -> list[Array]:
    """Lambda_l = W_l^T W_l - W_{l+1} W_{l+1}^T (d_l, d_l), l = 1 ... L - 1, conserved by the flow."""
    return [V.T @ V - W @ W.T for V, W in pairwise(layers)]


def beyond(state: DeepState, P: list[Array], S: list[Array]) -> list[tuple[Array, Array]]:
    """What meets each inner layer where its images are cut off, relative to all that meets it; nothing if closed.

    Of the heads P and tails S of layers in the bases of `state`: A W_2 ... W_{l-1} (r, p) on open rows and
    W_{l+1} ... W_L (p', m) on open columns, divided by their Frobenius norms.
    """
    return [
        (P[l] @ rows / (np.linalg.norm(P[l]) or 1.0), columns.T @ S[l] / (np.linalg.norm(S[l]) or 1.0))
        for l, (rows, columns) in enumerate(state.open, start=1)
    ]


def leak(cut: list[tuple[Array, Array]]) -> float:
    """The largest norm of what `beyond` gives; 0 of a closed state."""
    return max((float(np.linalg.norm(part)) for ends in cut for part in ends), default=0.0)
