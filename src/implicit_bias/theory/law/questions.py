"""Three questions to the law, answered from the SVD of the data without training (ours, docs/law.md sections 4 and 5).

How far are predictions from those of the min-norm solution? What does this cost in test risk? What width keeps
distance, predictions or risk within epsilon? All answers come from the law before training (`prediction`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.checks import check, probability
from implicit_bias.theory.law.distance import PAPER, Scaling
from implicit_bias.theory.law.finite_width import mean_spectrum
from implicit_bias.theory.law.outputs import unseen_part, unseen_spectrum
from implicit_bias.theory.law.prediction import (
    law_before,
    predict_outputs,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from implicit_bias.theory.problem import Array, Problem

QUESTIONS = ("distance", "prediction", "risk")
NO_ROWS = "no test rows are given"


@dataclass(frozen=True)
class Needed:
    """Width needed for each question, or why there is none.

    Attributes:
        widths: question -> smallest width that will do, None where there is none.
        reasons: question -> why its width is None.
    """

    widths: dict[str, int | None]
    reasons: dict[str, str]


def needed_widths(
    problem: Problem, epsilon: float, delta: float, scaling: Scaling = PAPER, X_test: ArrayLike | None = None
) -> Needed:
    """Widths from which on each deviation from the min-norm solution is <= epsilon with probability >= 1 - delta.

    Deviations: the distance, the predictions at all rows of X_test (N, D) jointly, the mean square difference there.

    Raises:
        ValueError: epsilon or delta is out of range, or X_test is not a finite (N, D) matrix.
    """
    check("epsilon", epsilon, epsilon > 0, "finite and > 0")
    probability("delta", delta)
    unseen = None if X_test is None else unseen_spectrum(problem, X_test)
    widths: dict[str, int | None] = {}
    reasons: dict[str, str] = {}
    for question in QUESTIONS:
        widths[question] = None
        try:
            if question == "distance":
                widths[question] = width_for_distance(problem, epsilon, delta, scaling)
            elif X_test is None or unseen is None:
                reasons[question] = NO_ROWS
            elif question == "prediction":
                widths[question] = width_for_prediction(problem, X_test, epsilon, delta, scaling)
            else:
                widths[question] = width_for_risk(problem, unseen, epsilon, delta, scaling)
        except ValueError as error:
            reasons[question] = str(error)
    return Needed(widths, reasons)


def attained_tolerances(
    problem: Problem, widths: ArrayLike, delta: float, scaling: Scaling = PAPER, X_test: ArrayLike | None = None
) -> dict[str, Array]:
    """Smallest epsilon that each width (H,) attains with probability 1 - delta, question by question, (H,).

    From 16 (r + m) on it falls with the width for alpha >= 1/4, and is the inverse of `width_for_distance`,
    `width_for_prediction` (a union bound over the rows of X_test) and `width_for_risk`.

    Raises:
        ValueError: a width or delta is out of range, or X_test is not a finite (N, D) matrix.
    """
    asked: dict[str, tuple[Array | None, float, int]] = {"distance": (None, delta, 1)}
    if X_test is not None:
        energy = np.sum(unseen_part(problem, X_test) ** 2, axis=1)
        asked["prediction"] = energy.max(keepdims=True), delta / len(energy), 1
        asked["risk"] = unseen_spectrum(problem, X_test), delta, 2
    given = [float(h) for h in np.ravel(np.asarray(widths, float))]
    return {
        question: np.array([law_before(problem, *scaling.gram(h), h, seen).upper(part) ** power for h in given])
        for question, (seen, part, power) in asked.items()
    }


def prediction_bands(
    problem: Problem, x: ArrayLike, widths: ArrayLike, delta: float, scaling: Scaling = PAPER
) -> tuple[Array, Array, Array]:
    """Ridgeless predictions (N, m) at the rows of x (N, D), and the 1 - delta band around them, (H, N, m) each.

    Exact given V V^T(inf), for which its mean at that width is taken.

    Raises:
        ValueError: an argument is out of range.
    """
    bands = [predict_outputs(problem, x, float(h), scaling, delta) for h in np.ravel(np.asarray(widths, float))]
    return bands[0].center, np.array([band.lower for band in bands]), np.array([band.upper for band in bands])


def expected_excess_risk(problem: Problem, X_test: ArrayLike, widths: ArrayLike, scaling: Scaling = PAPER) -> Array:
    """(H,) expected excess test risk over the min-norm solution, sigma_U^2 tr(V V^T(inf)) tr(Phi2^T Sigma_test Phi2).

    The test risk is the mean over rows of the squared error summed over outputs, Sigma_test = X_test^T X_test / N.

    Raises:
        ValueError: a width is below 1, or X_test is not a finite (N, D) matrix.
    """
    unseen = float(np.sum(unseen_spectrum(problem, X_test)))
    traces = [
        scaling.sigma_U(h) ** 2 * np.sum(mean_spectrum(problem, *scaling.gram(h), h))
        for h in np.ravel(np.asarray(widths, float))
    ]
    return np.array(traces) * unseen


def ridgeless_risk(problem: Problem, X_test: Array, Y_test: Array) -> float:
    """Test risk of the min-norm solution: mean over rows (N, D), (N, m) of ||y - Theta^^T x||^2."""
    return float(np.mean(np.sum((Y_test - X_test @ problem.min_norm_solution) ** 2, axis=1)))
