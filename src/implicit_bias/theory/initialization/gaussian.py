"""Initial networks, drawn or built directly as reduced states."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from implicit_bias.theory.networks.two_layer import State, in_own_directions, reduce_network, triangular_factor
from implicit_bias.theory.problem import Array, Problem

Sampler = Literal["auto", "dense", "bartlett"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)
DENSE_ENTRIES = 2**18
"""Entries (D + m) h up to which the sampler "auto" draws them one by one: a few milliseconds, and 2 MB."""
MAX_WIDTH = 2**53
"""Largest width whose chi-square degrees of freedom h - i are exact in float64."""


def standard_normal(problem: Problem, h: int, rng: np.random.Generator, sampler: str = "auto") -> State:
    """Reduced state of a network with i.i.d. N(0, 1) entries U0 (D, h), V0 (m, h).

    "dense" draws the entries and reduces them; "bartlett" draws the reduced state itself, the same in distribution for
    every h, at a cost that knows neither h nor D (ours, docs/theory.md "Sampling without materialising").

    Args:
        problem: the reparametrised problem.
        h: hidden width, 1 <= h <= 2**53.
        rng: source of all randomness.
        sampler: "dense", "bartlett", or "auto" (dense up to (D + m) h = DENSE_ENTRIES).

    Raises:
        ValueError: h or sampler is outside its range.
    """
    if not 1 <= h <= MAX_WIDTH or h != int(h):
        raise ValueError(f"width h must be an integer in [1, 2**53], where chi-square sampling is exact, got {h}")
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    if sampler == "dense" or (sampler == "auto" and (problem.D + problem.m) * h <= DENSE_ENTRIES):
        U = rng.standard_normal((problem.D, h))
        V = rng.standard_normal((problem.m, h))
        return reduce_network(problem, U, V)
    R = bartlett_factor(problem.k, h, rng)
    q, width = problem.D - problem.r, R.shape[1]
    U2 = bartlett_factor(width, q, rng).T if q > width else rng.standard_normal((q, width))
    return State(R=R, U2=U2, r=problem.r, h=h)


def bartlett_factor(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Lower-trapezoidal factor (rows, min(rows, columns)) of a (rows, columns) standard normal matrix (Bartlett 1933).

    Entries below the diagonal are N(0, 1), the diagonal is sqrt(chi^2_{columns - i}), i = 0, 1, ..., all independent.
    """
    width = min(rows, columns)
    R = np.tril(rng.standard_normal((rows, width)), -1)
    degrees = columns - np.arange(width, dtype=float)
    R[np.arange(width), np.arange(width)] = np.sqrt(rng.chisquare(degrees))
    return R


def scaled(state: State, sigma_u: float, sigma_v: float) -> State:
    """State of the network (sigma_u U, sigma_v V) (paper, section 4)."""
    rows = np.where(np.arange(state.R.shape[0]) < state.r, sigma_u, sigma_v)
    network = replace(state, R=state.R * rows[:, None], U2=state.U2 * sigma_u)
    return network if sigma_u and sigma_v else in_own_directions(network)


def balanced(problem: Problem, state: State) -> State:
    """Balanced state with the same end-to-end matrix Theta(0) = U V^T (paper, section 4, with Q^T for its Q in V).

    With M = Theta(0)^T Phi1 Phi1^T Theta(0): U = Theta(0) M^{-1/4} Q^T, V = M^{1/4} Q^T, for any Q^T Q = I_m.

    Raises:
        ValueError: h < m, or M is numerically singular.
    """
    if state.h < problem.m:
        raise ValueError(f"the balanced initialisation needs width h >= m = {problem.m}, got h = {state.h}")
    product = state.U1 @ state.V.T
    left, s, right = np.linalg.svd(product, full_matrices=False)
    rounding = np.finfo(float).eps * problem.k * np.linalg.norm(np.abs(state.U1) @ np.abs(state.V).T)
    if min(s.size, state.R.shape[1]) < problem.m or s[-1] <= rounding:
        raise ValueError(
            "the balanced initialisation needs Phi1^T U V^T of full column rank m = "
            f"{problem.m}, got singular values from {s[0]:.3g} to {s[-1]:.3g} (rank of the data r = {problem.r})"
        )
    root = np.sqrt(s)
    R = np.vstack([left * root, right.T * root])
    U2 = triangular_factor((state.U2 @ state.V.T) @ (right.T / root))
    return State(R=R, U2=U2, r=state.r, h=state.h)


def in_invariant_set(state: State) -> State:
    """Project U2 so that V U2^T = 0 and U1 U2^T = 0, which makes the min-norm solution the limit (paper, eq. 15)."""
    return replace(state, U2=np.zeros_like(state.U2))


def end_to_end_orthogonal(state: State) -> State:
    """Project U2 so that V U2^T = 0 alone; U1 U2^T is left as it is (paper, remark after Proposition 1)."""
    V = state.V
    return replace(state, U2=state.U2 - (state.U2 @ np.linalg.pinv(V)) @ V)


def orthogonal_layers(state: State) -> State:
    """Project V so that U1 V^T = 0, hence c = lambda_r(U1 U1^T) + lambda_m(V V^T) (paper, after Theorem 1).

    Raises:
        ValueError: the width leaves no direction for V (h <= r).
    """
    if state.h <= state.r:
        raise ValueError(f"U1 V^T = 0 with V != 0 needs width h > r = {state.r}, got h = {state.h}")
    U1 = state.U1
    coefficients = state.V @ np.linalg.pinv(U1)
    V = state.V - coefficients @ U1
    size = np.vstack([np.abs(U1), np.abs(state.V) + np.abs(coefficients) @ np.abs(U1)])
    return in_own_directions(replace(state, R=np.vstack([U1, V])), size)
