"""How far the law of the distance holds for entries that are not Gaussian, at large width (ours, docs/lazy.md)."""

import numpy as np

from implicit_bias.theory.comparisons.infinite_width import infinite_width_flow
from implicit_bias.theory.initialization.registry import initialization
from implicit_bias.theory.law.chi_square import NormLaw, norm_law
from implicit_bias.theory.law.limit import large_width_limit
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
    if initialization(entries).orthogonal:
        return float(np.sqrt(1 - a * (problem.D - problem.r) * np.sum(weights**2) / law))
    unseen = 1 - np.sum(problem.Phi1**2, axis=1)
    excess = _kurtosis(entries, density) * a * float(unseen @ np.sum(weights**2, axis=1))
    return float(np.sqrt(1 + excess / law))


def has_limit(entries: str) -> bool:
    """Whether the limit of the distance is known for an initialisation."""
    row = initialization(entries)
    return row.orthogonal or row.kurtosis is not None


def _kurtosis(entries: str, density: float) -> float:
    kurtosis = initialization(entries).kurtosis
    if kurtosis is None:
        raise ValueError(f"the limit of the distance needs the excess kurtosis of the entries, {entries} states none")
    return kurtosis(density)


def limit_law(problem: Problem, entries: str, density: float, a: float, b: float, h: float, weights: Array) -> NormLaw:
    """Law of the distance as h grows with a = sigma_U^2 h, b = sigma_V^2 h fixed (ours, docs/lazy.md section 5).

    The entries of U2 V(inf)^T become Gaussian of covariance a / h times I (x) V V^T + kappa a sum_d (Phi2^T e_d e_d^T
    Phi2) (x) (z_d z_d^T), z_d the rows of Z: other than for Gaussian entries no multiple of I. For orthogonal rows it
    is I (x) (V V^T - a Z^T Z), of weights b + (b / T) e_j. Needs the eigenvalues of a (D m, D m) matrix.

    Args:
        problem: the reparametrised problem, D > r.
        entries: name of their law.
        density: of "sparse".
        a: sigma_U^2 h.
        b: sigma_V^2 h.
        h: width.
        weights: (D, m) Z of `seen_weights`.
    """
    limit, free = large_width_limit(problem, a, b), problem.D - problem.r
    if initialization(entries).orthogonal:
        grown = np.pad(limit.e, (0, problem.m - limit.e.size))
        return norm_law(a / h * (b + b / (a + b) * grown), free)
    excess = _kurtosis(entries, density)
    if excess == 0:
        return norm_law(a / h * limit.v, free)
    unseen = np.eye(problem.D) - problem.Phi1 @ problem.Phi1.T
    shape = np.einsum("id,ld,dj,dk->ijlk", unseen, unseen, weights, weights, optimize=True)
    covariance = np.einsum("il,jk->ijlk", unseen, limit.VVt) + excess * a * shape
    size = problem.D * problem.m
    spectrum = np.linalg.eigvalsh(covariance.reshape(size, size))[-free * problem.m :]
    return norm_law(a / h * spectrum.clip(min=0.0), 1)
