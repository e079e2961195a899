"""What the points of a sweep say together."""

import logging

import numpy as np
import pandas as pd

from implicit_bias.pipelines.kinds import linear
from implicit_bias.sweeps.fields import numeral
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.networks.deep import LevelBudgetError, limit_const
from implicit_bias.theory.networks.deep.law import LAW_LEAK
from implicit_bias.theory.problem import Problem

logger = logging.getLogger(__name__)


def summary(sweep: Sweep, problems: list[Problem], table: pd.DataFrame) -> Record:
    """Aggregate metrics of the sweep, its means against width, and limit_const/<depth> where it can be had.

    Of several gains it is limit_const/<depth>/<gain>.
    """
    made: Record = {"metric/bound_ratio": float(table["bound_worst"].max())}
    leak_tol = max(sweep.leak_tol, LAW_LEAK)
    for depth in sweep.depths:
        if depth > 2 and sweep.inner_layers == "orthogonal":
            continue
        gains = sweep.inner_gain if depth > 2 else [1.0]
        for gain in gains:
            name = f"limit_const/{depth}" + (f"/{numeral(gain)}" if len(gains) > 1 else "")
            try:
                each = [limit_const(problem, depth, gain, leak_tol) for problem in problems]
            except LevelBudgetError as error:
                logger.warning("%s is left out: %s", name, error)
            else:
                made[f"metric/{name}"] = float(np.mean(each))
    return made | linear.summary(sweep, problems, table)
