"""Tables of the report: the results of points, in groups of what varies, and the data sets."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from implicit_bias.figures.numerals import number, spread
from implicit_bias.report.section import Column, SectionTable

Entry = TypeVar("Entry")

MOST_ROWS = 40
"""Rows of results shown; of more groups so many are chosen evenly."""
GROUPS = {
    "activation": "activation",
    "depth": "layers L",
    "inner_gain": "inner gain",
    "width": "width h",
    "alpha": "alpha",
    "case": "case",
    "initialization": "entries",
    "solver": "solver",
}
"""Params by which the points of a sweep are grouped, what a sweep may vary other than seeds, and their titles."""
MEASURED = {
    "frozen_deviation": "deviation from the frozen law's mean",
    "frozen_rms": "frozen law (rms)",
    "kernel_distance": "distance to the kernel predictor",
    "distance": "distance ‖UVᵀ − Θ̂‖",
    "law_rms": "law, before training",
    "iterations": "iterations",
    "loss": "loss",
    "imbalance_c": "imbalance c",
}


def result_table(
    points: pd.DataFrame, measured: Mapping[str, str] = MEASURED, name: str = "Results"
) -> SectionTable | None:
    """Mean and standard deviation of metrics over the seeds, one row for all else that varies.

    Args:
        points: one row per finished point.
        measured: metrics shown, and their titles.
        name: the title of the table.
    """
    if points.empty:
        return None
    if "network" in points:
        measured = {**measured, "distance": "distance ‖Θ − Θ̂‖"}
    varied = [name for name in GROUPS if name in points and len(points[name].unique()) > 1] or ["width"]
    metrics = [name for name in measured if name in points and points[name].notna().any()]
    if "case" in varied:  # what tells cases apart comes first
        varied.sort(key=lambda name: name != "case")
        metrics.sort(key=lambda name: name != "imbalance_c")
    groups = list(points.groupby(varied, sort=False, dropna=False))
    shown = evenly(groups, MOST_ROWS)
    rows = [
        [*(_cell(value) for value in key), str(len(rows)), *(_spread(rows[name]) for name in metrics)]
        for key, rows in shown
    ]
    titles = [*(GROUPS[name] for name in varied), "runs", *(measured[name] for name in metrics)]
    text = [name not in ("depth", "inner_gain", "width", "alpha") for name in varied] + [False] * (1 + len(metrics))
    chosen = f"{len(shown)} of {len(groups)} rows, evenly chosen; the table of points has all."
    spread = ": mean ± standard deviation over the runs" if any(len(rows) > 1 for _, rows in shown) else ""
    columns = [Column(title=title, numeric=not is_text) for title, is_text in zip(titles, text, strict=True)]
    note = chosen if len(shown) < len(groups) else ""
    return SectionTable(title=f"{name}{spread}", columns=columns, rows=rows, note=note)


def data_table(datasets: Sequence[Mapping[str, Any]]) -> SectionTable | None:
    """Size, rank and conditioning of the data sets."""
    facts = {"n": "samples n", "D": "inputs D", "m": "outputs m", "r": "rank r", "cond": "condition number of Σx"}
    rows = [[str(entry["name"]), *(number(float(entry[fact]), 4) for fact in facts)] for entry in datasets]
    columns = [Column(title="data set", numeric=False), *(Column(title=title) for title in facts.values())]
    return SectionTable(title="Data", columns=columns, rows=evenly(rows, MOST_ROWS)) if rows else None


def evenly(entries: Sequence[Entry], most: int) -> list[Entry]:
    """At most so many of some entries, the first and the last among them."""
    count = len(entries)
    return [entries[i] for i in sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})]


def _cell(value: Any) -> str:
    return str(value).replace("_", " ") if isinstance(value, str) else number(float(value))


def _spread(values: "pd.Series[float]") -> str:
    """Mean and standard deviation of the finite values."""
    finite = values[np.isfinite(values.astype(float))].astype(float)
    if finite.empty:  # flows to the end of time have no count of iterations
        return number(float(values.max()))
    mean, deviation = float(finite.mean()), float(finite.std()) if len(finite) > 1 else 0.0
    return spread(mean, deviation)
