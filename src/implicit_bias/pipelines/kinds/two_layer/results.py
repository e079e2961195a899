"""What the points of a sweep say together."""

import numpy as np
import pandas as pd

from implicit_bias.pipelines.kinds import linear
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.networks.deep import limit_const
from implicit_bias.theory.problem import Problem


def summary(sweep: Sweep, problems: list[Problem], table: pd.DataFrame) -> Record:
    """Aggregate metrics of the sweep, and its means against width."""
    made: Record = {"metric/bound_ratio": float(table["bound_worst"].max())}
    if sweep.alpha:
        made["metric/limit_const"] = float(np.mean([limit_const(each) for each in problems]))
    return made | linear.summary(sweep, problems, table)
