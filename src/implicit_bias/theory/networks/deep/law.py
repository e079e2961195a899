"""The law of the min-norm distance of deep networks (ours, docs/depth.md section 4).

W_1's part outside the data does not move and nothing that is trained depends on it, so that `distance_law`,
`prediction_band` and `excess_risk_law` of theory.law hold unchanged with M^T M, M = W_2 ... W_L, instead of
V V^T. Here is what is known about M^T M before training.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, log, sqrt

import numpy as np
from scipy.optimize import brentq

from implicit_bias.theory.checks import check, probability
from implicit_bias.theory.law import limit as law
from implicit_bias.theory.law.chi_square import NormLaw, norm_law
from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.law.prediction import MAX_WIDTH, width_for_distance
from implicit_bias.theory.networks.deep.experiment import MOST_WEIGHTS, train_deep
from implicit_bias.theory.networks.deep.starts import DeepScaling, checked_widths, gaussian_deep, infinite_deep
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.stopping import Stop

LAW_LEAK = 1e-4
"""Default leak: M^T M is then right to about its square (docs/depth.md section 3)."""
END = Stop(excess=0.0, stationary=1e-11)
"""Runs to the end of training."""


def end_gram(
    problem: Problem,
    depth: int,
    a: float = 1.0,
    b: float = 1.0,
    inner: float | tuple[float, ...] = 1.0,
    tol: float = 1e-9,
    leak_tol: float = LAW_LEAK,
    most_weights: int = MOST_WEIGHTS,
) -> Array:
    """(m, m) M^T M at the end of the flow of infinitely wide Gaussian layers, a = sigma_1^2 h, b = sigma_L^2 h (ours).

    One solve of a deterministic network. Two layers have the closed form of `large_width_limit`; of one, M = I.

    Raises:
        ValueError: an argument is outside its range.
        LevelBudgetError: more than most_weights would be needed.
    """
    checked_widths(depth, 1)
    if depth == 1:
        return np.eye(problem.m)
    if depth == 2:
        return law.large_width_limit(problem, a, b).VVt
    network = infinite_deep(problem, depth, a, b, inner)
    _, run, _ = train_deep(problem, network, "gradient_flow", 1.0, END, 30, tol, leak_tol, most_weights)
    M = run.V[-1].T
    return M.T @ M


def limit_const(
    problem: Problem, depth: int = 2, inner: float | tuple[float, ...] = 1.0, leak_tol: float = LAW_LEAK
) -> float:
    """lim h^(1/2) rms distance at alpha = 1/2: ((D - r) tr M^T M(inf))^(1/2), any data and depth, by one solve."""
    if depth == 2:
        return law.limit_const(problem)
    return distance_law(problem, end_gram(problem, depth, inner=inner, leak_tol=leak_tol), 1.0).rms


@dataclass(frozen=True)
class SimulatedDistance:
    """The distance at a width and depth, over Gaussian starts, from draws of the reduced network.

    Given each draw's M the distance has an exact law, so that only the spread of M is sampled.

    Attributes:
        rms: root mean square distance.
        standard_error: of `rms`, over the draws.
        laws: the law of each draw.
    """

    rms: float
    standard_error: float
    laws: tuple[NormLaw, ...]

    def sf(self, distance: float) -> float:
        """P(distance is larger), the mean of the draws' own."""
        return float(np.mean([one.sf(distance) for one in self.laws]))

    def upper(self, delta: float) -> float:
        """The value that the distance exceeds with probability delta in (0, 1)."""
        ends = [one.upper(probability("delta", delta)) for one in self.laws]
        low, high = min(ends), max(ends)
        if high <= low * (1 + 1e-14):
            return high
        return float(brentq(lambda x: self.sf(x) - delta, low, high, xtol=1e-12 * high))


def simulate_distance(
    problem: Problem,
    depth: int,
    widths: int | tuple[int, ...],
    draws: int,
    rng: np.random.Generator,
    scaling: DeepScaling | None = None,
    tol: float = 1e-8,
    leak_tol: float = LAW_LEAK,
) -> SimulatedDistance:
    """Predict the distance at finite width, where no closed form exists, by `draws` reduced networks (ours).

    Raises:
        ValueError: draws is below 2, or another argument is outside its range.
        LevelBudgetError: a draw needs more weights than it may have.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, for a standard error, got {draws}")
    scaling, each = scaling or DeepScaling(), checked_widths(depth, widths)
    first = each[0] if each else widths if isinstance(widths, int) else 1
    laws = []
    for generator in rng.spawn(draws):
        network = gaussian_deep(problem, depth, widths, generator, scaling, sampler="bartlett")
        _, run, _ = train_deep(problem, network, "gradient_flow", 1.0, END, 10, tol, leak_tol)
        V = run.V[-1]
        laws.append(distance_law(problem, V @ V.T, scaling.ends.sigma_U(first)))
    squares = np.array([one.rms**2 for one in laws])
    rms = sqrt(float(np.mean(squares)))
    error = float(np.std(squares, ddof=1)) / sqrt(draws)
    return SimulatedDistance(rms, error / (2 * rms) if rms > 0 else 0.0, tuple(laws))


def deep_width_for_distance(
    problem: Problem, epsilon: float, depth: int, delta: float = 0.05, scaling: DeepScaling | None = None
) -> int:
    """Smallest width from which on the distance stays <= epsilon with probability >= 1 - delta at large width.

    Two layers as `width_for_distance`. At alpha = 1/2 M^T M has a limit, of one solve; at another alpha the solve is
    made anew at each width tried, and the answer is right to a relative 1e-3.

    Raises:
        ValueError: an argument is outside its range, or no width up to 10^18 will do.
    """
    epsilon, scaling = check("epsilon", epsilon, epsilon > 0, "finite and > 0"), scaling or DeepScaling()
    delta, ends = probability("delta", delta), scaling.ends
    if depth == 2:
        return width_for_distance(problem, epsilon, delta, ends)

    @lru_cache
    def gram(a: float, b: float) -> Array:
        return np.linalg.eigvalsh(end_gram(problem, depth, a, b, scaling.inner, tol=1e-8))

    def gap(log_h: float) -> float:
        h = float(np.exp(log_h))
        end = norm_law(ends.sigma_U(h) ** 2 * gram(*ends.gram(h)).clip(min=0.0), problem.D - problem.r).upper(delta)
        return log(end / epsilon) if end > 0 else -inf

    if gap(0.0) <= 0:
        return 1
    if ends.alpha == 0 or gap(log(MAX_WIDTH)) > 0:
        raise ValueError(
            f"epsilon must be what a width up to {MAX_WIDTH:.0e} attains at alpha = {ends.alpha}, got {epsilon}"
        )
    precision = 1e-15 if ends.alpha == 0.5 or depth == 1 else 1e-4
    root = float(brentq(gap, 0.0, log(MAX_WIDTH), xtol=precision, rtol=1e-15))
    h = max(int(np.exp(root)) - 2, 1)
    if precision > 1e-10:
        return int(np.ceil(np.exp(root + precision)))
    while gap(log(h)) > 0:
        h += 1
    return h
