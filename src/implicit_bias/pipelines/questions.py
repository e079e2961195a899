"""Part of stage 6: what the law answers about held-out rows and the width that is needed, without training."""

from typing import Any

import numpy as np
from kedro.pipeline import Node, Pipeline

from implicit_bias.sweeps.calls import one_thread
from implicit_bias.sweeps.handover import Data, Plan, Problems
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import require
from implicit_bias.sweeps.records import Fingerprints
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.questions import (
    attained_tolerances,
    expected_excess_risk,
    prediction_bands,
    ridgeless_risk,
)
from implicit_bias.theory.problem import Array, Problem

WIDTHS = 25
"""Widths at which the law is asked, evenly spaced in logarithm over those of the sweep."""


def answer_questions(data: Data, problems: Problems, sweep: Sweep, plan: Plan) -> Any:
    """Draw prediction bands, expected excess test risk and the width needed, at the sweep's scales and first data set.

    A sweep over several alpha is asked at alpha = 1/2, the paper's, or at its first where 1/2 is not among them.

    Args:
        data: name -> loader of X, Y and the held-out X_test, Y_test.
        problems: name -> loader of a Problem's fields.
        sweep: parameters of the sweep.
        plan: the points of the sweep.

    Returns:
        the figure, or why the law has no answers.
    """
    from implicit_bias.figures.page import drawn_for
    from implicit_bias.figures.questions import spread_rows
    from implicit_bias.figures.registry import STUDY_FIGURES

    Fingerprints(sweep, plan, problems)  # refuses a plan of other parameters or data
    name = str(next(iter(plan["points"].values()))["params"]["problem"])
    require([name], data, "data", "data_generation")
    problem, arrays = Problem(**problems[name]()), data[name]()
    X_test, Y_test = (np.asarray(arrays.get(key, ())) for key in ("X_test", "Y_test"))
    if reason := unanswered(sweep, problem, len(X_test)):
        return reason
    scaling = Scaling(0.5 if 0.5 in sweep.alpha else sweep.alpha[0])
    widths = law_widths(sweep)
    with one_thread():
        center, lower, upper = prediction_bands(problem, X_test, widths, sweep.delta, scaling)
        excess = expected_excess_risk(problem, X_test, widths, scaling)
        needed = _needed(problem, widths[::2], sweep.delta, scaling, X_test)
    bands = [
        {"width": widths, "center": center[i, 0], "lower": lower[:, i, 0], "upper": upper[:, i, 0]}
        for i in spread_rows(center[:, 0].tolist())
    ]
    risk: dict[str, Any] = {
        "width": widths,
        "excess": excess,
        "ridgeless": ridgeless_risk(problem, X_test, Y_test),
    }
    with drawn_for(sweep.figure_style):
        return STUDY_FIGURES["questions"]["questions"].draw(bands, risk, needed, sweep.delta, scaling.alpha)


def unanswered(sweep: Sweep, problem: Problem, rows: int) -> str:
    """Why the law has no answers for a sweep; "" where it has."""
    if sweep.kind.silent:
        return sweep.kind.silent
    if not sweep.alpha:
        return "the initial scales of this sweep do not depend on the width"
    if not sweep.law_is_exact or min(sweep.alpha) < 0:
        return "the initial weights are not those of the law"
    if problem.D == problem.r:
        return "D = r, every solution is the min-norm solution"
    return "" if rows else "its data set has no held-out rows (parameter held_out)"


def law_widths(sweep: Sweep) -> Array:
    """Widths from the smallest to the largest of the sweep, at least a decade."""
    low, high = min(sweep.widths), max(sweep.widths)
    return np.unique(np.geomspace(low, max(high, 10 * low), WIDTHS).round())


def _needed(
    problem: Problem, widths: Array, delta: float, scaling: Scaling, X_test: Array
) -> dict[str, dict[str, Array]]:
    """Question -> tolerance attained at each width; empty where tolerances do not fall to 0 with the width."""
    if scaling.alpha <= 0.25:
        return {}
    attained = attained_tolerances(problem, widths, delta, scaling, X_test)
    return {name: {"epsilon": epsilon, "width": widths} for name, epsilon in attained.items()}


def create_pipeline(**_: Any) -> Pipeline:
    """Data, problems, plan -> the figure of the three questions."""
    return Pipeline(
        [
            Node(
                answer_questions,
                inputs=["data", "problems", "params:sweep", "plan"],
                outputs="questions",
                name="answer_questions",
            )
        ]
    )
