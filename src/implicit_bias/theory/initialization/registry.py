"""The initialisations, each in one row: how it is drawn, and what the law of the distance says about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from implicit_bias.theory.initialization import gaussian
from implicit_bias.theory.initialization.entries import check_entries, independent_entries, orthogonal_entries
from implicit_bias.theory.named import named
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem

Draw = Callable[[Problem, int, np.random.Generator, float, str], State]
"""(problem, width h, source of randomness, density, sampler) -> state of a network with entries of variance 1."""
Law = Literal["exact", "asymptotic", "silent"]


@dataclass(frozen=True)
class Initialization:
    """One initialisation.

    Attributes:
        description: one line.
        draw: draws the network before it is scaled by sigma_U and sigma_V.
        law: what the law of the distance is for it: exact; asymptotic, up to the excess kurtosis, as the width grows;
            or silent.
        project: what is done to the scaled network.
        kurtosis: density -> excess kurtosis E x^4 - 3 of independent entries of variance 1; None for others.
        orthogonal: the rows or columns of U0 are orthogonal, those of V0 too.
        entrywise: entries are drawn one by one, so that there is a largest width.
        dense: `density` is a parameter of it.
        balances: a balanced network may be made of it.
    """

    description: str
    draw: Draw
    law: Law = "silent"
    project: Callable[[State], State] = lambda state: state
    kurtosis: Callable[[float], float] | None = None
    orthogonal: bool = False
    entrywise: bool = False
    dense: bool = False
    balances: bool = True


def _gaussian(problem: Problem, h: int, rng: np.random.Generator, density: float, sampler: str) -> State:
    return gaussian.standard_normal(problem, h, rng, sampler)


def _independent(name: str) -> Draw:
    return lambda problem, h, rng, density, sampler: independent_entries(problem, h, rng, name, density)


GAUSSIAN = "gaussian"
"""The initialisation of the paper."""

INITIALIZATIONS = {
    GAUSSIAN: Initialization("independent entries N(0, 1)", _gaussian, law="exact", kurtosis=lambda density: 0.0),
    "uniform": Initialization(
        "independent entries, uniform on [-3^(1/2), 3^(1/2)]",
        _independent("uniform"),
        law="asymptotic",
        kurtosis=lambda density: -1.2,
        entrywise=True,
    ),
    "rademacher": Initialization(
        "independent entries +1 or -1",
        _independent("rademacher"),
        law="asymptotic",
        kurtosis=lambda density: -2.0,
        entrywise=True,
    ),
    "sparse": Initialization(
        "independent entries, N(0, 1/density) with probability density, else 0",
        _independent("sparse"),
        law="asymptotic",
        kurtosis=lambda density: 3 / density - 3,
        entrywise=True,
        dense=True,
    ),
    "orthogonal": Initialization(
        "two Haar matrices with orthonormal rows or columns, rescaled (Saxe et al. 2014)",
        lambda problem, h, rng, density, sampler: orthogonal_entries(problem, h, rng),
        law="asymptotic",
        orthogonal=True,
    ),
    "invariant_set": Initialization(
        "Gaussian, U2 projected so that the run ends at the min-norm solution (paper, eq. 15)",
        _gaussian,
        project=gaussian.in_invariant_set,
    ),
    "orthogonal_layers": Initialization(
        "Gaussian, V projected so that U1 V^T = 0 (paper, after Theorem 1)",
        _gaussian,
        project=gaussian.orthogonal_layers,
        balances=False,
    ),
}
"""Name -> initialisation."""


def initialization(name: str) -> Initialization:
    """The initialisation of a name, or of an import path `package.module:object`.

    Raises:
        ValueError: there is none.
    """
    return named("initialization", name, INITIALIZATIONS, Initialization)


def with_law(law: Law) -> list[str]:
    """Names of the initialisations for which the law is this."""
    return [name for name, row in INITIALIZATIONS.items() if row.law == law]


def check_width(problem: Problem, h: int, name: str) -> None:
    """Refuse a width at which entries that are drawn one by one are too many.

    Raises:
        ValueError: (D + m) h is above MOST_ENTRIES.
    """
    if initialization(name).entrywise:
        check_entries(problem, h, name)


def initial_state(
    problem: Problem,
    h: int,
    rng: np.random.Generator,
    name: str = GAUSSIAN,
    sigma_u: float | None = None,
    sigma_v: float | None = None,
    balanced: bool = False,
    density: float = 0.1,
    sampler: str = "auto",
) -> State:
    """Draw a network by the name of its initialisation.

    Args:
        problem: the reparametrised problem.
        h: hidden width.
        rng: source of all randomness.
        name: of the initialisation, or its import path.
        sigma_u: scale of U(0); by default h^(-1/2), as in the paper.
        sigma_v: scale of V(0), likewise.
        balanced: turn the scaled network into the balanced one with the same end-to-end matrix.
        density: of sparse entries.
        sampler: of Gaussian entries, see `standard_normal`.

    Raises:
        ValueError: there is no such initialisation, or it cannot be drawn at this width.
    """
    row, default = initialization(name), float(h) ** -0.5
    scales = (default if sigma is None else sigma for sigma in (sigma_u, sigma_v))
    state = gaussian.scaled(row.draw(problem, h, rng, density, sampler), *scales)
    if balanced:
        state = gaussian.balanced(problem, state)
    return row.project(state)
