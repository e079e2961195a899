"""What the points of a sweep say together."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from implicit_bias.pipelines.kinds.linear import of_linear
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.networks.deep import LevelBudgetError, limit_const
from implicit_bias.theory.networks.deep.law import LAW_LEAK
from implicit_bias.theory.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def summary(sweep: Sweep, problems: list[Problem], table: "pd.DataFrame") -> Record:
    """Aggregate metrics of the sweep, its means against width, and limit_const/<depth> where it can be had."""
    made: Record = {"metric/bound_ratio": float(table["bound_worst"].max())}
    for depth in sweep.depths:
        if depth > 2 and sweep.inner_layers == "orthogonal":
            continue
        try:
            leak_tol = max(sweep.leak_tol, LAW_LEAK)
            each = [limit_const(problem, depth, sweep.inner_gain, leak_tol) for problem in problems]
        except LevelBudgetError as error:
            logger.warning("limit_const/%d is left out: %s", depth, error)
        else:
            made[f"metric/limit_const/{depth}"] = float(np.mean(each))
    return made | of_linear(sweep, table)
