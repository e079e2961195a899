"""Two tracked runs side by side: the parameters that differ, the metrics with their spread, the curves to draw."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from mlflow.entities import Run

from implicit_bias.report.tables import GROUPS, evenly
from implicit_bias.tracking.reader import Reader, points_table
from implicit_bias.tracking.spreads import Spread, agreement, grouped, moments
from implicit_bias.tracking.tags import POINT

DATA = ("n", "D", "m", "r")
DRAWN = 3
"""Points of a sweep whose curves are drawn."""
CURVES = ("excess", "bound", "certified", "distance")


def compare(reader: Reader, references: Sequence[str]) -> dict[str, Any]:
    """Where two runs differ, and what they have found. Each may be a sweep, or a point of one.

    Returns:
        `runs`: name, id, status and number of points of each. `params`: name -> its values, of those that differ.
        `metrics`: name -> mean, sd and count over the finished points of each. `groups`: the same for each combination
        of what is varied in both sweeps. `differ`, `within_spread` and `same`: the names of the metrics, as `agreement`
        sorts them. `drawn`: the points and curves of each, for a figure.

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
    pairs = {name: [each.get(name) for each in metrics] for name in _names(metrics)}
    groups = grouped(tables, GROUPS, pairs) if sweeps else []
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
        "metrics": pairs,
        "groups": groups,
        **agreement(pairs, groups),
        "drawn": [
            {
                "label": run.info.run_name,
                "points": {name: table[name].tolist() for name in ("width", "distance", "law_rms") if name in table},
                "curves": [_curves(reader, child) for child in evenly(sorted(children, key=_key), DRAWN)],
            }
            for run, children, table in zip(runs, finished, tables, strict=True)
        ],
    }


def _names(tables: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for table in tables for name in table))


def _params(reader: Reader, run: Run, children: Sequence[Run], sweeps: bool) -> dict[str, str]:
    """The params of a point. Of a sweep its own if the other is a sweep too, else those of its points."""
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
    """Mean and standard deviation over the points; if both runs are sweeps, the metrics of the whole sweep too."""
    values: dict[str, list[float]] = {}
    for point in points:
        for name, value in point.data.metrics.items():
            if "/" not in name:
                values.setdefault(name, []).append(value)
    found = {name: moments(values[name]) for name in sorted(values)}
    whole = {name: moments([value]) for name, value in run.data.metrics.items() if "/" not in name} if sweeps else {}
    return whole | found


def _key(point: Run) -> str:
    """By which points are in the same order in every run, whichever of them was done first."""
    return str(point.data.tags.get(POINT, ""))


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
