"""Views of a sweep for MLflow's runs page, kept the way its "Save & share view" button does: in tags of the experiment.

A view says which runs are shown, how they are grouped, and with which columns and charts. Without one the page opens on
collapsed parents, and the comparison is up to the reader.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

TAG = "mlflow.sharedViewState."
OURS = re.compile(re.escape(TAG) + r".+-[0-9a-f]{8}(-points)?")
LOGARITHMIC = ("curve/loss",)
CURVES = ("curve/distance", "curve/loss")
BOUNDS = ("curve/bound", "curve/certified")
"""Bounds of the loss, in its chart where runs are shown one by one."""
COLUMNS = ("distance", "law_rms", "iterations", "imbalance_c", "loss")
COLUMN_WIDTH = 130
FLAT: dict[str, Any] = {"groupBy": None, "orderByAsc": True}
"""Runs one by one, the smallest result first."""
WIDE, PAIRS = "parallel coordinates", "comparison"
CHART_SECTIONS: Mapping[str, Mapping[str, int]] = {
    WIDE: {"columns": 1, "cardHeight": 420},  # axes need room for their names
    PAIRS: {"columns": 2, "cardHeight": 400},
}


def view_of_groups(compare: Mapping[str, Any], searched: str, parent: str) -> dict[str, Any]:
    """Runs in groups, such as one for each width: the mean and the band of their curves, and their mean results.

    Args:
        compare: `group_by`, the params that tell the groups apart, none if every run is one of its own; `axis`, the
            param or metric that results are drawn against; `results`, metrics; `axes`, the params of the parallel
            coordinates; `start`, the metric of the initial imbalance where it is not imbalance_c.
        searched: the filter that selects the runs.
        parent: their parent, which the page adds to them.
    """
    bounds = () if compare["group_by"] else BOUNDS
    lines = [_line(curve, *(bounds if curve == "curve/loss" else ())) for curve in _drawn(compare)]
    charts = [*lines, *(_scatter(str(compare["axis"]), result) for result in compare["results"])]
    state = _state(compare, searched, parent, charts)
    if not compare["group_by"]:
        return state | FLAT
    keys = [{"mode": "param", "groupByData": name} for name in compare["group_by"]]
    return state | {"groupBy": {"aggregateFunction": "average", "groupByKeys": keys}}


def view_of_points(compare: Mapping[str, Any], searched: str, parent: str) -> dict[str, Any]:
    """Every run as a line of parallel coordinates, and as a point; see `view_of_groups` for the arguments."""
    start = compare.get("start", "imbalance_c")
    results = list(compare["results"])
    if "distance" in results:
        pairs, metrics = [("law_rms", "distance"), *((start, result) for result in results)], [start]
    else:
        pairs, metrics = [(str(compare["axis"]), result) for result in results], []
    charts = [_parallel(list(compare["axes"]), [*metrics, *results]), *(_scatter(x, y) for x, y in pairs)]
    return _state(compare, searched, parent, charts) | FLAT


def saved_view(name: str, state: Mapping[str, Any], created: int) -> str:
    """A state with the name under which the page lists it; compressed, since a tag has room for 5000 characters."""
    packed = "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": created, "state": packed})


def oldest_views(tags: Mapping[str, str], kept: int) -> list[str]:
    """The tags of all views that runs have saved but the `kept` newest; what people have saved is not among them."""
    ours = {tag: value for tag, value in tags.items() if OURS.fullmatch(tag)}
    return sorted(ours, key=lambda tag: int(json.loads(ours[tag])["createdAt"]), reverse=True)[kept:]


def _drawn(compare: Mapping[str, Any]) -> Sequence[str]:
    """The curves that points have."""
    return CURVES if "distance" in compare["results"] else [curve for curve in CURVES if curve != "curve/distance"]


def _columns(compare: Mapping[str, Any]) -> Sequence[str]:
    """The metrics of the table."""
    return COLUMNS if "distance" in compare["results"] else list(dict.fromkeys([*compare["results"], "iterations"]))


def _state(
    compare: Mapping[str, Any], searched: str, parent: str, charts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    params = dict.fromkeys([*compare["group_by"], "seed"])
    columns = [_column("params", name) for name in params] + [_column("metrics", name) for name in _columns(compare)]
    return {
        "searchFilter": searched,
        "orderByKey": _column("metrics", compare["results"][0]),  # by time the page adds the parent, a run of no group
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "columnWidths": dict.fromkeys(columns, COLUMN_WIDTH),
        "runsHiddenMode": "SHOW_ALL",
        "runsVisibilityMap": {parent: False},
        "compareRunCharts": list(charts),
        "compareRunSections": [
            {"uuid": name, "name": name, "display": True, "isReordered": True, **layout}
            for name, layout in CHART_SECTIONS.items()
            if any(chart["metricSectionId"] == name for chart in charts)
        ],
        "isAccordionReordered": True,
    }


def _line(metric: str, *more: str) -> dict[str, Any]:
    return _chart("LINE", metric) | {
        "metricKey": metric,
        "selectedMetricKeys": [metric, *more],
        "scaleType": "log" if metric in LOGARITHMIC else "linear",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "lineSmoothness": 0,
    }


def _scatter(x: str, y: str) -> dict[str, Any]:
    return _chart("SCATTER", f"{x}-{y}") | {
        "xaxis": {"key": x, "type": "METRIC" if x in COLUMNS else "PARAM"},
        "yaxis": {"key": y, "type": "METRIC"},
        "runsCountToCompare": 100,
    }


def _parallel(params: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    return _chart("PARALLEL", "parallel") | {
        "selectedParams": list(params),
        "selectedMetrics": list(metrics),
        "showAllRuns": False,
        "metricSectionId": WIDE,
    }


def _chart(kind: str, uuid: str) -> dict[str, Any]:
    return {"type": kind, "uuid": uuid, "metricSectionId": PAIRS, "isGenerated": False, "deleted": False}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
