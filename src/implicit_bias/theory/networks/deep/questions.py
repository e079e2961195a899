"""What the law of deep networks answers before training, at large width (ours, docs/depth.md section 4)."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from implicit_bias.theory.checks import probability
from implicit_bias.theory.law.chi_square import norm_law
from implicit_bias.theory.law.distance import PAPER, Scaling
from implicit_bias.theory.law.prediction import DistancePrediction
from implicit_bias.theory.law.questions import Needed
from implicit_bias.theory.networks.deep.law import deep_width_for_distance, end_gram
from implicit_bias.theory.networks.deep.starts import DeepScaling
from implicit_bias.theory.problem import Array, Problem

NOT_ASKED = "asked of two layers only"


def deep_needed_widths(problem: Problem, epsilon: float, depth: int, delta: float, scaling: Scaling = PAPER) -> Needed:
    """The width from which on the distance of networks of this depth is <= epsilon with probability >= 1 - delta.

    Raises:
        LevelBudgetError: the infinitely wide network cannot be solved.
    """
    reasons = dict.fromkeys(("prediction", "risk"), NOT_ASKED)
    width: int | None = None
    try:
        width = deep_width_for_distance(problem, epsilon, depth, delta, DeepScaling(scaling))
    except ValueError as error:
        reasons["distance"] = str(error)
    return Needed({"distance": width, "prediction": None, "risk": None}, reasons)


def predict_deep_distance(
    problem: Problem, widths: Sequence[float], depth: int, scaling: Scaling = PAPER, delta: float = 0.05
) -> DistancePrediction:
    """The distance of networks of these (H,) widths by the end of the infinitely wide one.

    Raises:
        ValueError: an argument is outside its range.
        LevelBudgetError: the infinitely wide network cannot be solved.
    """
    probability("delta", delta)

    @lru_cache
    def spectrum(a: float, b: float) -> Array:
        return np.linalg.eigvalsh(end_gram(problem, depth, a, b)).clip(min=0.0)

    laws = [norm_law(scaling.sigma_U(h) ** 2 * spectrum(*scaling.gram(h)), problem.D - problem.r) for h in widths]
    return DistancePrediction(
        h=np.asarray(widths, float),
        rms=np.array([law.rms for law in laws]),
        lower=np.array([law.quantile(delta / 2) for law in laws]),
        upper=np.array([law.upper(delta / 2) for law in laws]),
        bound=np.array([law.upper(delta) for law in laws]),
    )
