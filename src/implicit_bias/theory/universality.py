"""How far the law of the distance holds for entries that are not Gaussian, at large width (ours, docs/lazy.md)."""

import numpy as np

from implicit_bias.theory.entries import excess_kurtosis
from implicit_bias.theory.infinite_width import infinite_width_flow
from implicit_bias.theory.law import large_width_limit
from implicit_bias.theory.problem import Array, Problem


def seen_weights(problem: Problem, a: float, b: float) -> Array:
    """(D, m) Z = Phi1 C^T, where wide networks end with V = C U1(0) + G V(0); of the infinite-width flow at t = inf."""
    R = infinite_width_flow(problem, a, b, np.array([np.inf])).R
    return problem.Phi1 @ (R[problem.r :, : problem.r] / np.sqrt(a)).T


def limit_ratio(problem: Problem, entries: str, density: float, a: float, b: float, weights: Array) -> float:
    """Root mean square distance over that of the law, as h grows with a = sigma_U^2 h, b = sigma_V^2 h fixed.

    The part of U2 V(inf)^T that comes from U1(0) is Phi2^T U U^T Z. Its mean square is that of Gaussian entries but for
    the variance of the diagonal of U U^T, which their excess kurtosis adds to; for orthogonal rows it is 0.

    Args:
        problem: the reparametrised problem, D > r.
        entries: name of their law.
        density: of "sparse".
        a: sigma_U^2 h.
        b: sigma_V^2 h.
        weights: (D, m) Z of `seen_weights`.
    """
    law = (problem.D - problem.r) * float(np.sum(large_width_limit(problem, a, b).v))
    if entries == "orthogonal":
        return float(np.sqrt(1 - a * (problem.D - problem.r) * np.sum(weights**2) / law))
    unseen = 1 - np.sum(problem.Phi1**2, axis=1)
    excess = excess_kurtosis(entries, density) * a * float(unseen @ np.sum(weights**2, axis=1))
    return float(np.sqrt(1 + excess / law))
