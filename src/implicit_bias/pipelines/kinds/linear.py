"""What the points of a sweep of linear networks say together."""

import numpy as np
import pandas as pd

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.problem import Array, Problem


def summary(sweep: Sweep, problems: list[Problem], table: pd.DataFrame) -> Record:
    """Largest drift, mean distance and, of several widths at one scale and depth, means against width and a slope."""
    made: Record = {
        "metric/drift": float(table["imbalance_drift"].max()),
        "metric/distance": float(table["distance"].mean()),
    }
    if len(sweep.widths) > 1 and len(sweep.alpha) == len(sweep.depths) == len(sweep.inner_gain) == 1:
        columns = [name for name in ("distance", "distance_init", "iterations", "law_rms") if name in table]
        means = table.groupby("width")[columns].mean()
        made["curve/iteration"] = means.index.tolist()
        made |= {f"curve/{name}": means[name].tolist() for name in columns}
        if len(table) > 2 and np.all(table["distance"] > 0):
            slope, slope_se = log_slope(table["width"].to_numpy(float), table["distance"].to_numpy(float))
            made |= {"metric/slope": slope, "metric/slope_se": slope_se}
    return made


def log_slope(width: Array, distance: Array) -> tuple[float, float]:
    """Least-squares slope of log distance against log width, and its standard error."""
    x, y = np.log(width), np.log(distance)
    x = x - x.mean()
    slope = (x @ y) / (x @ x)
    rest = y - y.mean() - slope * x
    return float(slope), float(np.sqrt(rest @ rest / (x.size - 2) / (x @ x)))
