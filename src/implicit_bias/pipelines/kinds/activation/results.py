"""What the points of a sweep say together."""

import numpy as np
import pandas as pd

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.problem import Problem


def summary(sweep: Sweep, problems: list[Problem], table: pd.DataFrame) -> Record:
    """Aggregate metrics of the sweep, and slopes of the law's standard deviation against width."""
    made: Record = {
        "metric/frozen_deviation": float(table["frozen_deviation"].mean()),
        "metric/kernel_distance": float(table["kernel_distance"].mean()),
    }
    if "neuron_drift" in table and table["neuron_drift"].notna().any():
        made["metric/neuron_drift"] = float(table["neuron_drift"].max())
    for name, rows in table.groupby("activation", sort=False):
        if len(rows["width"].unique()) > 1 and (rows["frozen_rms"] > 0).all():
            slope = np.polyfit(np.log(rows["width"].astype(float)), np.log(rows["frozen_rms"].astype(float)), 1)[0]
            made[f"metric/slope_{str(name).replace(':', '.')}"] = float(slope)
    return made
