"""What the points of a sweep say together: the spread of predictions over seeds, and its parts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from implicit_bias.theory.problem import Array

Load = Callable[[str], dict[str, Any]]


def spreads(table: pd.DataFrame, load: Load) -> list[dict[str, Any]]:
    """Spread of the predictions over seeds, and its parts, by activation.

    By the law of total variance the variance over networks is the mean of that by the frozen law, given the run, plus
    the variance of the law's mean.

    Args:
        table: one row per point: `point`, `activation`, `width`, `frozen_rms`.
        load: point -> its record, with `predictions` and `mean` (N, m).

    Returns:
        of each activation `activation`, `width` (W,), and root mean squares over the test rows, outputs summed, of the
        standard deviation over the runs of a width: `spread`, `frozen`, `rest`; NaN of a single run.
    """
    found = []
    for name, rows in table.groupby("activation", sort=False):
        widths = list(rows.groupby("width"))
        measured = [[load(key) for key in each["point"]] for _, each in widths]
        found.append(
            {
                "activation": name,
                "width": np.array([width for width, _ in widths], float),
                "spread": np.array([_scatter([record["predictions"] for record in each]) for each in measured]),
                "frozen": np.array([np.sqrt(np.mean(each["frozen_rms"] ** 2)) for _, each in widths]),
                "rest": np.array([_scatter([record["mean"] for record in each]) for each in measured]),
            }
        )
    return found


def _scatter(predictions: list[Array]) -> float:
    """Root mean square over the rows of the standard deviation over runs of (N, m) predictions, outputs summed."""
    if len(predictions) < 2:
        return float("nan")
    return float(np.sqrt(np.mean(np.sum(np.var(np.array(predictions), axis=0, ddof=1), axis=1))))


def summary(planned: int, table: pd.DataFrame) -> dict[str, Any]:
    """Aggregate metrics of the sweep, and slopes of the law's standard deviation against width.

    Args:
        planned: how many points were planned.
        table: one row per point.
    """
    made: dict[str, Any] = {
        "metric/points": len(table),
        "metric/failed": planned - len(table),
        "metric/seconds": float(table["seconds"].sum()),
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
