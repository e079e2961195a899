"""Claims on random initialisations: how often they hold, and how fast the distance falls with the width."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from implicit_bias.theory.bounds import before as bounds
from implicit_bias.theory.claims.problems import train
from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law import distance as law
from implicit_bias.theory.networks.two_layer import imbalance
from implicit_bias.theory.problem import Array, Problem, reparametrize
from implicit_bias.theory.synthetic import draw_data

SIGNIFICANCE = 1e-6
"""A claim on a probability counts as violated where a test of it rejects at this level."""


@dataclass(frozen=True)
class Frequency:
    """How often an event happened that is claimed to have probability >= p, or = p.

    Attributes:
        frequency: share of the trials in which it happened.
        p_value: of the binomial test of the claim.
    """

    frequency: float
    p_value: float

    @property
    def rejected(self) -> bool:
        """Whether the claim is violated."""
        return self.p_value < SIGNIFICANCE


def frequency(happened: NDArray[np.bool_], p: float, exactly: bool = False) -> Frequency:
    """Test that an event has probability at least p, or exactly p, from independent trials (T,)."""
    from scipy.stats import binomtest  # which takes long to import

    count, trials = int(np.count_nonzero(happened)), len(happened)
    test = binomtest(count, trials, p, "two-sided" if exactly else "less")
    return Frequency(count / trials, float(test.pvalue))


@dataclass(frozen=True)
class Trend:
    """Power of the width that the distance follows.

    Attributes:
        slope: mean over the seeds of the least-squares slope of log distance against log width.
        error: its standard error.
        p_value: of Student's test that the slope is at most the claimed one, or equal to it.
    """

    slope: float
    error: float
    p_value: float

    @property
    def rejected(self) -> bool:
        """Whether the claim is violated."""
        return self.p_value < SIGNIFICANCE


def trend(widths: Array, distances: Array, exponent: float, exactly: bool = False) -> Trend:
    """Test that distances (seeds, widths) are O(h^exponent), or of that very order; every seed gives one slope."""
    x = np.log(widths) - np.mean(np.log(widths))
    slopes = np.log(distances) @ x / (x @ x)
    slope, error = float(np.mean(slopes)), float(np.std(slopes, ddof=1) / np.sqrt(len(slopes)))
    z, dof = (slope - exponent) / error, len(slopes) - 1
    return Trend(slope, error, float(2 * stdtr(dof, -abs(z)) if exactly else stdtr(dof, -z)))


def first_width(widths: Array, frequencies: list[Frequency], p: float) -> float:
    """h0 in practice: the smallest width from which on the event is at least as frequent as p; infinity if none is."""
    failing = [i for i, each in enumerate(frequencies) if each.frequency < p]
    index = failing[-1] + 1 if failing else 0
    return float(widths[index]) if index < len(widths) else float("inf")


def uniform(values: Array) -> float:
    """p-value of the Kolmogorov-Smirnov test that values (T,) are uniform on [0, 1]."""
    from scipy.stats import kstest

    return float(kstest(values, "uniform").pvalue)


def draw_problem(rng: np.random.Generator) -> Problem:
    """Data of a middling size: n = 8, D = 24, m = 2, entries of X from N(0, 1/D), as in the paper's Figure 1."""
    X, Y, _ = draw_data(8, 24, 2, rng)
    return reparametrize(X, Y)


def check_initialization(problem: Problem, h: int, alpha: float, delta: float, rng: np.random.Generator) -> Array:
    """(3,) left over right side of Lemma 1's (17), inverted, (18) and (19) for one random network."""
    state = standard_normal(problem, h, rng, "bartlett")
    state = scaled(state, float(h) ** -alpha, float(h) ** -alpha)
    start = imbalance(state)
    level = start.lambda_r + start.lambda_m
    return np.array(
        [
            bounds.lemma_17(problem, h, alpha).stated / level if level > 0 else np.inf,
            np.linalg.norm(state.R @ state.U2.T) / bounds.lemma_18(problem, h, alpha, delta).stated,
            np.linalg.norm(state.U1 @ state.V.T) / bounds.lemma_19(problem, h, alpha, delta).stated,
        ]
    )


def check_trained(problem: Problem, h: int, alpha: float, delta: float, rng: np.random.Generator) -> Array:
    """(5,) distance, its ratio to Theorem 2 in either norm, its ratio to the law's 1 - delta quantile, its rank there.

    The norms are the spectral and the Frobenius norm; the rank is uniform on [0, 1] if the law is exact.
    """
    sigma = float(h) ** -alpha
    state = scaled(standard_normal(problem, h, rng, "bartlett"), sigma, sigma)
    trajectory = train(problem, state)
    V = trajectory.V[-1]
    missing = trajectory.product[-1] - problem.min_norm_coordinates
    error = np.vstack([missing, state.U2 @ V.T])
    sharp = law.distance_law(problem, V @ V.T, sigma)
    distance = float(np.linalg.norm(error))
    bound = float(bounds.theorem_2(problem, h, alpha, delta).stated)
    spectral = np.linalg.norm(error, 2)
    return np.array([distance, spectral / bound, distance / bound, distance / sharp.upper(delta), sharp.cdf(distance)])


def check_seed(
    seed: int, index: int, widths: list[int], alphas: list[float], delta: float, draws: int
) -> dict[str, Array]:
    """One data set: Lemma 1 on `draws` networks and one trained network for every alpha and width.

    Returns:
        "initial" (alphas, widths, draws, 3) and "trained" (alphas, widths, 5), as the functions above give them.
    """
    problem = draw_problem(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, index))))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, index)))
    initial = [
        [[check_initialization(problem, h, alpha, delta, rng) for _ in range(draws)] for h in widths]
        for alpha in alphas
    ]
    trained = [[check_trained(problem, h, alpha, delta, rng) for h in widths] for alpha in alphas]
    return {"initial": np.array(initial), "trained": np.array(trained)}
