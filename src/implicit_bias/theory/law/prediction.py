"""The law of the distance before training, at any width: what is predicted, and the width that is needed (ours).

The one law that everything shown before training comes from: exact given V(inf) (`law`), its mean V V^T at finite width
(`finite_width`), its spread over networks (`correction`). See docs/law.md, sections 5 and 6.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.checks import check, probability
from implicit_bias.theory.law.chi_square import TINY, MixedLaw, norm_law
from implicit_bias.theory.law.correction import trace_variance
from implicit_bias.theory.law.distance import PAPER, Scaling
from implicit_bias.theory.law.finite_width import mean_gram, mean_spectrum
from implicit_bias.theory.law.outputs import PredictionBand, prediction_band, unseen_part
from implicit_bias.theory.problem import Array, Problem

MAX_WIDTH = 10**18
UNEVEN, LOOKED_AT = 16, 9
"""Where sigma_U > sigma_V deviations may rise with the width below UNEVEN (r + m): they are looked at there."""


def law_before(problem: Problem, a: float, b: float, h: float, unseen: ArrayLike | None = None) -> MixedLaw:
    """Law of the distance to the min-norm solution over Gaussian networks of width h, before training.

    Args:
        problem: the reparametrised problem.
        a: sigma_U^2 h.
        b: sigma_V^2 h.
        h: width.
        unseen: eigenvalues of Phi2^T Sigma_test Phi2, for the root mean square difference to the predictions
            of the min-norm solution instead of the distance.

    Raises:
        ValueError: a or b is not positive and finite, or h is below 1 or not finite.
    """
    v = mean_spectrum(problem, a, b, h)
    if unseen is None:
        given = norm_law(v * (a / h), problem.D - problem.r)
    else:
        given = norm_law(np.outer(np.asarray(unseen, float), v * (a / h)), 1)
    return MixedLaw(given, trace_variance(problem, a, b, h, float(np.sum(v))))


@dataclass(frozen=True)
class DistancePrediction:
    """The distance to the min-norm solution before training.

    Attributes:
        h: (H,) widths.
        rms: (H,) root mean square distance.
        lower, upper: (H,) two-sided 1 - delta band.
        bound: (H,) what the distance stays below with probability 1 - delta.
    """

    h: Array
    rms: Array
    lower: Array
    upper: Array
    bound: Array


def predict_distance(
    problem: Problem, h: ArrayLike, scaling: Scaling = PAPER, delta: float = 0.05
) -> DistancePrediction:
    """Predict the distance at widths h (H,) from one SVD; default the paper's scaling.

    Raises:
        ValueError: a width is below 1 or not finite, or delta is outside (0, 1).
    """
    delta, widths = probability("delta", delta), np.atleast_1d(np.asarray(h, float))
    laws = [law_before(problem, *scaling.gram(width), float(width)) for width in widths.flat]
    rows = [(law.rms, law.quantile(delta / 2), law.upper(delta / 2), law.upper(delta)) for law in laws]
    rms, lower, upper, bound = np.array(rows).reshape(-1, 4).T
    return DistancePrediction(h=widths, rms=rms, lower=lower, upper=upper, bound=bound)


def predict_band(problem: Problem, a: float, b: float, h: float, delta: float) -> tuple[float, float, float]:
    """Root mean square of the distance and its two-sided 1 - delta band at width h, before training.

    Raises:
        ValueError: a, b, h or delta is out of range.
    """
    law, delta = law_before(problem, a, b, h), probability("delta", delta)
    return law.rms, law.quantile(delta / 2), law.upper(delta / 2)


def distance_band(problem: Problem, h: float, scaling: Scaling = PAPER, delta: float = 0.05) -> tuple[float, float]:
    """Two ends between which the distance of one network of width h is with probability 1 - delta, before training.

    Raises:
        ValueError: h is below 1 or not finite, or delta is outside (0, 1).
    """
    return predict_band(problem, *scaling.gram(h), h, delta)[1:]


def predict_outputs(
    problem: Problem, x: ArrayLike, h: float, scaling: Scaling = PAPER, delta: float = 0.05
) -> PredictionBand:
    """Pointwise band of trained networks of width h around the min-norm solution, before training: at the mean V V^T.

    Raises:
        ValueError: an argument is out of range.
    """
    return prediction_band(problem, x, mean_gram(problem, *scaling.gram(h), h), scaling.sigma_U(h), delta)


def width_for_distance(problem: Problem, epsilon: float, delta: float = 0.05, scaling: Scaling = PAPER) -> int:
    """Smallest width h >= r + m from which on the distance stays <= epsilon with probability >= 1 - delta.

    Raises:
        ValueError: epsilon or delta is out of range, or no width up to 10^18 will do: alpha < 1/4, or epsilon is below
            what the distance tends to at alpha = 1/4, or too small.
    """
    return _width(problem, None, epsilon, delta, scaling)


def width_for_prediction(
    problem: Problem, x: ArrayLike, epsilon: float, delta: float = 0.05, scaling: Scaling = PAPER
) -> int:
    """Smallest width from which on ||x^T U V^T - x^T Theta^|| <= epsilon at every row of x, jointly (union bound).

    Raises:
        ValueError: as `width_for_distance`, or x is not (N, D) and finite.
    """
    energy = np.sum(unseen_part(problem, x) ** 2, axis=1)
    return _width(problem, energy.max(keepdims=True), epsilon, probability("delta", delta) / energy.size, scaling)


def width_for_risk(
    problem: Problem, unseen: ArrayLike, epsilon: float, delta: float = 0.05, scaling: Scaling = PAPER
) -> int:
    """Smallest width from which on the mean square difference to min-norm predictions is <= epsilon.

    With probability >= 1 - delta; `unseen` as in `excess_risk_law`. Raises ValueError as `width_for_distance`.
    """
    epsilon = check("epsilon", epsilon, epsilon > 0, "finite and > 0")
    return _width(problem, np.asarray(unseen, float), sqrt(epsilon), delta, scaling)


def _width(problem: Problem, unseen: Array | None, epsilon: float, delta: float, scaling: Scaling) -> int:
    """Bisection: every weight sigma_U^2 v_j falls with h as soon as alpha >= 1/4 (docs/law.md section 5)."""
    epsilon, delta = check("epsilon", epsilon, epsilon > 0, "finite and > 0"), probability("delta", delta)

    @cache
    def law(h: int) -> MixedLaw:
        return law_before(problem, *scaling.gram(h), h, unseen)

    def enough(h: int) -> bool:
        return law(h).sf(epsilon) <= delta

    narrowest = problem.k
    if not law(narrowest).given.weights.size:
        return 1
    if scaling.alpha < 0.25:
        raise ValueError(f"alpha must be at least 1/4 for the deviation to fall with the width, got {scaling.alpha}")
    if not enough(MAX_WIDTH):
        raise ValueError(
            f"epsilon must be at least {law(MAX_WIDTH).upper(delta)}, what width {MAX_WIDTH:.0e} attains "
            f"at alpha = {scaling.alpha}, got {epsilon}"
        )
    looked_at = LOOKED_AT if scaling.gain_U > scaling.gain_V else 2
    seen = np.geomspace(narrowest, UNEVEN * narrowest, looked_at).round().astype(int).tolist()
    failing = [i for i, h in enumerate(seen) if not enough(h)]
    if not failing:
        return narrowest
    low, high = seen[failing[-1]], seen[min(failing[-1] + 1, looked_at - 1)]
    while high == low or not enough(high):
        low, high = high, min(4 * high, MAX_WIDTH)
    return _last(low, high, lambda h: np.log(max(law(h).sf(epsilon), TINY) / delta))


def _last(low: int, high: int, excess: Callable[[int], float]) -> int:
    """Smallest integer in (low, high] with excess <= 0, where it falls: regula falsi in log h, each point with a
    neighbour that closes the bracket from the other side, or else bisection."""
    above, below = excess(low), excess(high)
    while high - low > 1:
        share = min(max(above / (above - below), 0.1), 0.9)
        probe = round(low * (high / low) ** share)
        for offset in (0, max((high - low) // 1000, 1)):
            if high - low > 1:
                probe += offset if probe == low else -offset
                probe = min(max(probe, low + 1), high - 1)
                value = excess(probe)
                low, above = (probe, value) if value > 0 else (low, above)
                high, below = (high, below) if value > 0 else (probe, value)
    return high
