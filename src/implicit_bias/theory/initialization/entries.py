"""Initial networks whose entries are not Gaussian: other laws of unit variance, and orthogonal matrices."""

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import numpy as np
from scipy.linalg import solve_triangular

from implicit_bias.theory.initialization.gaussian import bartlett_factor
from implicit_bias.theory.networks.two_layer import State, reduce_network, unseen_factor
from implicit_bias.theory.problem import Array, Problem

AT_ONCE = 2**22
"""Entries (D + m) h that are drawn at once: 34 MB."""
MOST_ENTRIES = 2**33
"""Entries (D + m) h above which drawing them one by one is refused: minutes a network."""

DEPENDENT = 1e-8
"""Smallest eigenvalue of a Gram matrix of unit rows below which rounding decides their rank."""

Draw = Callable[[int, int, np.random.Generator, float], Array]


def _uniform(rows: int, columns: int, rng: np.random.Generator, _: float) -> Array:
    return rng.uniform(-sqrt(3), sqrt(3), (rows, columns))


def _rademacher(rows: int, columns: int, rng: np.random.Generator, _: float) -> Array:
    return 2.0 * rng.integers(0, 2, (rows, columns), dtype=np.int8) - 1


def _sparse(rows: int, columns: int, rng: np.random.Generator, density: float) -> Array:
    return rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < density) / sqrt(density)


INDEPENDENT: dict[str, Draw] = {"uniform": _uniform, "rademacher": _rademacher, "sparse": _sparse}
"""Laws of independent entries of mean 0 and variance 1, by name."""


def check_entries(problem: Problem, h: int, entries: str) -> None:
    """Refuse a width at which entries that are drawn one by one are too many.

    Raises:
        ValueError: (D + m) h is above MOST_ENTRIES.
    """
    count = (problem.D + problem.m) * h
    if count > MOST_ENTRIES:
        widest = MOST_ENTRIES // (problem.D + problem.m)
        raise ValueError(
            f"initialization {entries} is drawn entry by entry, at D + m = {problem.D + problem.m} "
            f"up to width {widest:,}, got h = {h:,}; gaussian and orthogonal have no such limit"
        )


def independent_entries(
    problem: Problem, h: int, rng: np.random.Generator, entries: str, density: float = 0.1
) -> State:
    """Reduced state of a network whose entries U0 (D, h), V0 (m, h) are independent, of mean 0 and variance 1.

    Up to AT_ONCE entries the network is drawn and reduced. Beyond it is drawn in blocks of hidden units, and R and U2
    come from the Gram matrices P P^T and U P^T that they add up to, which are well conditioned there.

    Args:
        problem: the reparametrised problem.
        h: hidden width.
        rng: source of all randomness.
        entries: "uniform" on [-3^(1/2), 3^(1/2)]; "rademacher", +-1; "sparse", N(0, 1/density) with probability
            `density`, else 0.
        density: of "sparse", in (0, 1].

    Raises:
        ValueError: the width is too large for drawing entry by entry, or so few entries differ from 0 that the network
            has hidden directions without weights.
    """
    check_entries(problem, h, entries)
    draw = INDEPENDENT[entries]
    block = max(AT_ONCE // (problem.D + problem.m), 4 * problem.k)
    if h <= block:
        return reduce_network(problem, draw(problem.D, h, rng, density), draw(problem.m, h, rng, density))
    gram, cross = np.zeros((problem.k, problem.k)), np.zeros((problem.D, problem.k))
    for start in range(0, h, block):
        units = min(block, h - start)
        U, V = draw(problem.D, units, rng, density), draw(problem.m, units, rng, density)
        P = np.vstack([problem.Phi1.T @ U, V])
        gram += P @ P.T
        cross += U @ P.T
    lengths = np.sqrt(np.diag(gram))
    rows = np.flatnonzero(lengths)  # others have no weights
    unit = gram[np.ix_(rows, rows)] / np.outer(lengths[rows], lengths[rows])
    if not rows.size or np.linalg.eigvalsh(unit)[0] < DEPENDENT:
        raise ValueError(f"density {density} leaves rows of [U1; V] of width {h} dependent: raise it")
    factor = lengths[rows, None] * np.linalg.cholesky(unit)
    R = np.zeros((problem.k, rows.size))
    R[rows] = factor
    unseen = cross[:, rows] - problem.Phi1 @ (problem.Phi1.T @ cross[:, rows])
    U2 = solve_triangular(factor, unseen.T, lower=True).T
    return State(R=R, U2=unseen_factor(problem, U2), r=problem.r, h=h)


def orthogonal_entries(problem: Problem, h: int, rng: np.random.Generator) -> State:
    """Reduced state of U0 (D, h), V0 (m, h) independent, Haar distributed with orthonormal rows or columns, rescaled.

    U0 U0^T = h I where h >= D, else U0^T U0 = D I, and V0 alike (Saxe et al. 2014): entries of variance 1. Exact in law
    at a cost that does not know h (ours): a Haar matrix is the polar factor of a Gaussian one, and multiplying the
    stack [G_U; G_V] from the left commutes with its Bartlett factorisation.
    """
    F = bartlett_factor(problem.D + problem.m, h, rng)
    U, V = (sqrt(max(len(G), h)) * _polar(G) for G in (F[: problem.D], F[problem.D :]))
    return replace(reduce_network(problem, U, V), h=h)


def _polar(G: Array) -> Array:
    left, _, right = np.linalg.svd(G, full_matrices=False)
    return left @ right
