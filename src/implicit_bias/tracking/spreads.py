"""Means with their spread over the points of two sweeps, and by how much they differ."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

SAME = 1e-6
"""Relative difference up to which two means count as the same."""

Spread = dict[str, Any]
Pair = Sequence[Spread | None]


def moments(values: Sequence[float]) -> Spread:
    """Mean, standard deviation (None of one value) and number of values.

    Neither overflows unless the result itself does. The largest float counts as infinite, as MLflow's databases store
    infinity; a deviation from infinity is NaN.
    """
    array = np.asarray(values, float)
    array = np.where(np.abs(array) == sys.float_info.max, np.copysign(np.inf, array), array)
    scale = np.max(np.abs(array)) or 1.0
    single = array.size == 1
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(scale):
            return {"mean": float(np.mean(array)), "sd": None if single else np.nan, "count": array.size}
        mean, deviation = np.mean(array / scale) * scale, None if single else np.std(array / scale, ddof=1) * scale
    return {"mean": float(mean), "sd": deviation if deviation is None else float(deviation), "count": array.size}


def grouped(tables: Sequence[pd.DataFrame], by: Iterable[str], metrics: Iterable[str]) -> list[dict[str, Any]]:
    """The metrics of two sweeps for each combination of what is varied in both; none if nothing is.

    Args:
        tables: one row per point, of either sweep.
        by: columns that may be varied.
        metrics: columns to average.

    Returns:
        `group`: the values of what is varied. `metrics`: name -> the spread in either sweep, of those both have.
    """
    varied = [name for name in by if all(name in table and len(table[name].unique()) > 1 for table in tables)]
    if not varied:
        return []
    common = [name for name in metrics if all(name in table for table in tables)]
    first, second = (dict(iter(table.groupby(varied, sort=False))) for table in tables)
    return [
        {
            "group": dict(zip(varied, map(_plain, key), strict=True)),
            "metrics": {
                name: [moments(found[0]), moments(found[1])]
                for name in common
                if all(found := [part[key][name].dropna().tolist() for part in (first, second)])
            },
        }
        for key in first
        if key in second
    ]


def separation(pair: Pair) -> float:
    """By how much two means differ, in units of sqrt(sd_A^2 + sd_B^2).

    0 if they are the same to rounding; infinity if they are not and have no spread, or only one of them is there.
    """
    first, second = pair
    if first is None or second is None:
        return np.inf
    a, b = first["mean"], second["mean"]
    if a == b or (np.isnan(a) and np.isnan(b)):
        return 0.0
    if not (np.isfinite(a) and np.isfinite(b)):
        return np.inf
    if abs(a / 2 - b / 2) <= SAME * max(abs(a), abs(b)) / 2:
        return 0.0
    deviation = float(np.hypot(first["sd"] or 0.0, second["sd"] or 0.0))
    return float(abs(a - b) / deviation) if deviation > 0 else np.inf


def agreement(metrics: Mapping[str, Pair], groups: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The names of metrics, by how far apart two sweeps are in the group where they are farthest apart.

    Returns:
        `differ`: more than the spread, those farthest apart first and those without a spread last.
        `within_spread`, `same`: the others.
    """
    apart = {}
    for name, whole in metrics.items():
        pairs = [group["metrics"][name] for group in groups if name in group["metrics"]] or [whole]
        apart[name] = max(map(separation, pairs))
    differ = [name for name, distance in apart.items() if not distance <= 1]
    return {
        "differ": sorted(differ, key=lambda name: (np.isinf(apart[name]), -apart[name])),
        "within_spread": [name for name, distance in apart.items() if 0 < distance <= 1],
        "same": [name for name, distance in apart.items() if distance == 0],
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
