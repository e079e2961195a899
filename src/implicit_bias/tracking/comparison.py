"""Two tracked runs side by side: the parameters that differ, the metrics with their spread, the curves to draw."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import Run

from implicit_bias.tracking.reader import Reader, points_table

GROUPS = ("activation", "width", "alpha", "case", "initialization", "solver")
"""Params that tell the points of a sweep apart, but for their seeds."""
DATA = ("n", "D", "m", "r")
DRAWN = 3
"""Points of a sweep whose curves are drawn."""
CURVES = ("excess", "bound", "certified", "distance")

Spread = dict[str, Any]


def compare(reader: Reader, references: Sequence[str]) -> dict[str, Any]:
    """What tells two runs apart, and what they have found. Each may be a sweep, or a point of one.

    Returns:
        `runs`: name, id, status and number of points of each. `params`: name -> its values, of those that differ.
        `metrics`: name -> mean, sd and count over the finished points of each. `groups`: the same of the distance, for
        what is varied in both sweeps. `drawn`: the points and curves of each, for a figure.

    Raises:
        TrackingError: no run, or more than one, is called so.
    """
    runs = [reader.find(reference) for reference in references]
    points = [reader.children(run) for run in runs]
    sweeps = all(points)
    finished = [
        [child for child in children if child.info.status == "FINISHED"] if children else [run]
        for run, children in zip(runs, points, strict=True)
    ]
    params = [_params(reader, run, children, sweeps) for run, children in zip(runs, points, strict=True)]
    metrics = [_metrics(run, children, sweeps) for run, children in zip(runs, finished, strict=True)]
    tables = [points_table(children) for children in finished]
    return {
        "runs": [
            {"name": run.info.run_name, "id": run.info.run_id, "status": run.info.status, "points": len(children) or 1}
            for run, children in zip(runs, points, strict=True)
        ],
        "params": {
            name: [each.get(name) for each in params]
            for name in _names(params)
            if params[0].get(name) != params[1].get(name)
        },
        "metrics": {name: [each.get(name) for each in metrics] for name in _names(metrics)},
        "groups": _groups(tables) if sweeps else [],
        "drawn": [
            {
                "label": run.info.run_name,
                "points": {name: table[name].tolist() for name in ("width", "distance", "law_rms") if name in table},
                "curves": [_curves(reader, child) for child in _evenly(sorted(children, key=_key), DRAWN)],
            }
            for run, children, table in zip(runs, finished, tables, strict=True)
        ],
    }


def _names(tables: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for table in tables for name in table))


def _params(reader: Reader, run: Run, children: Sequence[Run], sweeps: bool) -> dict[str, str]:
    """The params of a point; those of a sweep beside another, or what its points have beside a point."""
    if not children:
        return reader.params(run)
    values: dict[str, dict[str, None]] = {}
    for child in children:
        for name, value in child.data.params.items():
            values.setdefault(name, {})[value] = None
    joined = {name: " ".join(found) for name, found in values.items()}
    if not sweeps:
        return joined
    inputs = run.inputs.dataset_inputs if run.inputs else []
    data = {"data": " ".join(each.dataset.digest for each in inputs)} if inputs else {}
    return {**reader.params(run), **{name: joined[name] for name in DATA if name in joined}, **data}


def _metrics(run: Run, points: Sequence[Run], sweeps: bool) -> dict[str, Spread]:
    """Mean and standard deviation over the points, beside another sweep also the metrics of the sweep as a whole."""
    values: dict[str, list[float]] = {}
    for point in points:
        for name, value in point.data.metrics.items():
            if "/" not in name:
                values.setdefault(name, []).append(value)
    found = {name: _spread(values[name]) for name in sorted(values)}
    whole = {name: _spread([value]) for name, value in run.data.metrics.items() if "/" not in name} if sweeps else {}
    return whole | found


def _spread(values: Sequence[float]) -> Spread:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": deviation, "count": len(values)}


def _groups(tables: Sequence[pd.DataFrame]) -> list[dict[str, Any]]:
    """The distance of both sweeps for each combination of what is varied in both."""
    varied = [name for name in GROUPS if all(name in table and len(table[name].unique()) > 1 for table in tables)]
    if not varied or not all("distance" in table for table in tables):
        return []
    first, second = (dict(iter(table.groupby(varied, sort=False)["distance"])) for table in tables)
    return [
        {
            "group": dict(zip(varied, map(_plain, key), strict=True)),
            "distance": [_spread(first[key].tolist()), _spread(second[key].tolist())],
        }
        for key in first
        if key in second
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _key(point: Run) -> str:
    """By which points are in the same order in every run, whichever of them was done first."""
    return str(point.data.tags.get("point", ""))


def _evenly(points: Sequence[Run], most: int) -> list[Run]:
    """At most so many points, the first and the last among them."""
    indices = np.linspace(0, len(points) - 1, min(len(points), most)).round().astype(int)
    return [points[i] for i in np.unique(indices)]


def _curves(reader: Reader, point: Run) -> dict[str, Any]:
    """The curves of a point to its end, name -> iteration and value, with its law.

    Beyond its end the store has them as they were there, up to the end of the longest run of the sweep.
    """
    end = ceil(point.data.metrics.get("iterations", 2**63))
    drawn: dict[str, Any] = {}
    for name in CURVES:
        known = [(step, value) for step, value in zip(*reader.curve(point, name), strict=True) if step <= end]
        if known:
            steps, values = zip(*known, strict=True)
            drawn[name] = {"iteration": list(steps), "value": list(values)}
    return drawn | {"label": point.info.run_name, "law_rms": point.data.metrics.get("law_rms")}
