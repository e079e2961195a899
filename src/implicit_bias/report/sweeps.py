"""The section of a sweep, from its plan and one row a point."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from implicit_bias.numerals import number, spread
from implicit_bias.report.paper import reproduced, reproduction
from implicit_bias.report.section import Column, Failure, Picture, Provenance, Section, Table, Tracked

MOST_ROWS = 40
"""Rows of results shown; of more groups so many are chosen evenly."""
MOST_WORDS = 6
"""Values of a parameter written out; of more the first, the last and how many."""
MOST_FAILURES = 50
NOTE = 200
"""Pixels of height up to which a picture is a note in the place of a figure."""
BOUNDS = {
    "bound": "Theorem 1",
    "margin": "the bound with margin",
    "cert": "the certified bound",
    "again": "the renewed bound",
    "xu": "the step-wise bound",
    "path": "the certificate of the distance",
}  # what the metrics of a bound begin with
ROUNDING = 1e-6
"""Excess of a measured loss over its bound that rounding explains."""

GROUPS = {"width": "width h", "alpha": "alpha", "case": "case", "initialization": "entries", "solver": "solver"}
MEASURED = {
    "distance": "distance ‖UVᵀ − Θ̂‖",
    "law_rms": "law, before training",
    "iterations": "iterations",
    "loss": "loss",
    "imbalance_c": "imbalance c",
}
FIGURES = {
    "width": (
        "The paper's Figure 1: distance and iterations against width",
        "Mean and standard deviation over the seeds. The black line with its grey band is the law of the distance: "
        "predicted before training, not fitted.",
    ),
    "wide": (
        "Distance over decades of width",
        "A dot is a run. Left, the distance beside the predicted law and the infinite-width line; right, their ratio.",
    ),
    "alpha": (
        "Distance at several initial scales h^(−α)",
        "Each dot is one run, each line the predicted law, with its lazy and rich limits.",
    ),
    "imbalance": (
        "The paper's Figure 2: loss under different initialisations",
        "Solid lines are measured, dashed ones guaranteed before training (Theorem 1), dotted ones certified after it.",
    ),
    "universality": (
        "Distance for entries of other laws",
        "Networks whose initial entries are not Gaussian, beside the law for Gaussian ones.",
    ),
}
COMPANIONS = {
    "universality": (
        "Distance beside the law given each run",
        "The law once the output layer at the end of training is known.",
    ),
    "imbalance": (
        "Rate of convergence against distance",
        "One dot an initial ratio σ_U / σ_V: how fast the loss falls, and how near to the min-norm solution it ends. "
        "The bars are the rates that Theorem 1 guarantees; where there is a line, it is the law at large width.",
    ),
    "": (
        "What each guarantee is worth",
        "The measured distance below everything that bounds it: the law's upper quantile, a certificate computed from "
        "the run, and Theorem 2.",
    ),
}
OTHERS = {
    "questions": (
        "What the law answers before training",
        "The band in which a network of each width predicts, the expected excess test risk, and the width it needs.",
    ),
    "gaps": ("Distance from the linearised and the infinite-width flow", ""),
    "kernel": ("How far the tangent kernel moves", ""),
    "early": ("Early stopping beside ridge regression", ""),
}


def sweep_section(
    params: Mapping[str, Any],
    planned: int,
    names: Mapping[str, str],
    datasets: Sequence[Mapping[str, Any]],
    points: pd.DataFrame,
    failures: Mapping[str, str],
    images: Mapping[str, bytes],
    provenance: Provenance,
    tracked: Tracked | None = None,
) -> Section:
    """What the report says of a sweep.

    Args:
        params: its flat parameters.
        planned: how many points were planned.
        names: key -> name of its points.
        datasets: `name`, `n`, `D`, `m`, `r`, `cond` of each data set.
        points: one row a finished point: params and metrics.
        failures: key -> reason of every point that failed.
        images: "figure", "companion", "questions" -> PNG.
        provenance: when it was computed, and by what.
        tracked: where it is tracked.
    """
    params = {key: str(value) for key, value in params.items()}
    results = result_table(points)
    figure = reproduced(params, datasets)
    beside, far = reproduction(figure, points) if figure else (None, [])
    missing = planned - len(points)
    outcome = f"{len(points):,} of {planned:,} points finished" if missing else f"all {planned:,} points finished"
    return Section(
        title=params.get("title", "Sweep"),
        summary=_summary(params, planned, datasets),
        outcome=outcome,
        faults=_faults(points, missing),
        deviations=far,
        pictures=_pictures(images, params.get("figure", ""), points),
        tables=[table for table in (results, beside, data_table(datasets)) if table is not None],
        failures=_failures(names, failures),
        params={key: _brief(value) for key, value in params.items() if value not in ("", "None")},
        provenance=provenance,
        tracked=tracked,
    )


def result_table(points: pd.DataFrame) -> Table | None:
    """Mean and standard deviation of the metrics over the seeds, one row for all else that varies."""
    if points.empty:
        return None
    varied = [name for name in GROUPS if name in points and len(points[name].unique()) > 1] or ["width"]
    metrics = [name for name in MEASURED if name in points and points[name].notna().any()]
    if "case" in varied:  # what tells cases apart comes first
        varied.sort(key=lambda name: name != "case")
        metrics.sort(key=lambda name: name != "imbalance_c")
    groups = list(points.groupby(varied, sort=False, dropna=False))
    shown = [groups[i] for i in _evenly(len(groups), MOST_ROWS)]
    rows = [
        [*(_cell(value) for value in key), str(len(rows)), *(_spread(rows[name]) for name in metrics)]
        for key, rows in shown
    ]
    titles = [*(GROUPS[name] for name in varied), "runs", *(MEASURED[name] for name in metrics)]
    text = [name not in ("width", "alpha") for name in varied] + [False] * (1 + len(metrics))
    note = (
        f"{len(shown)} of {len(groups)} rows, evenly chosen; the table of points has all."
        if len(shown) < len(groups)
        else ""
    )
    spread = ": mean ± standard deviation over the runs" if any(len(rows) > 1 for _, rows in shown) else ""
    columns = [Column(title=title, numeric=not is_text) for title, is_text in zip(titles, text, strict=True)]
    return Table(title=f"Results{spread}", columns=columns, rows=rows, note=note)


def data_table(datasets: Sequence[Mapping[str, Any]]) -> Table | None:
    """Size, rank and conditioning of the data sets."""
    facts = {"n": "samples n", "D": "inputs D", "m": "outputs m", "r": "rank r", "cond": "condition number of Σx"}
    rows = [[str(entry["name"]), *(number(float(entry[fact]), 4) for fact in facts)] for entry in datasets]
    columns = [Column(title="data set", numeric=False), *(Column(title=title) for title in facts.values())]
    shown = [rows[i] for i in _evenly(len(rows), MOST_ROWS)]
    return Table(title="Data", columns=columns, rows=shown) if rows else None


def _summary(params: Mapping[str, str], count: int, datasets: Sequence[Mapping[str, Any]]) -> str:
    solvers = " and ".join(name.replace("_", " ") for name in params.get("solvers", "").split()) or "unknown means"
    tolerance = params.get("stop.tolerance", "None")
    limit = "it no longer moves" if tolerance == "None" else f"the excess loss is {number(float(tolerance))}"
    if tolerance != "None" and params.get("stop.relative") == "True":
        limit += " of the initial one"
    where = f"{len(datasets)} data set{'s' if len(datasets) != 1 else ''}"
    steps = params.get("stop.max_iterations", "")
    most = f", at most {int(steps):,} iterations of step {params.get('step_size', '?')}" if steps.isdigit() else ""
    return f"{count:,} networks on {where}, trained by {solvers}, each until {limit}{most}."


def _faults(points: pd.DataFrame, missing: int) -> list[str]:
    """What is not as it should be of the points."""
    faults = [f"{missing:,} point{'s are' if missing > 1 else ' is'} missing."] if missing else []
    for name, bound in BOUNDS.items():
        if f"{name}_worst" not in points:
            continue
        met = points[f"met/{name}"] == 1 if f"met/{name}" in points else True
        broken = int(((points[f"{name}_worst"] > 1 + ROUNDING) & met).sum())
        if broken:
            faults.append(f"{broken:,} point{'s exceed' if broken > 1 else ' exceeds'} {bound}.")
    if {"stop_reason", "tolerance"} <= set(points):
        unfinished = points["tolerance"].notna() & points["stop_reason"].isin(["time limit", "iteration limit"])
        if count := int(unfinished.sum()):
            faults.append(
                f"{count:,} point{'s' if count > 1 else ''} reached the iteration limit before the tolerance."
            )
    return faults


def _failures(names: Mapping[str, str], failures: Mapping[str, str]) -> list[Failure]:
    chosen = list(failures.items())
    shown = [Failure(point=names.get(key, key), reason=reason) for key, reason in chosen[:MOST_FAILURES]]
    rest = len(chosen) - len(shown)
    return [*shown, Failure(point=f"{rest:,} more", reason="see the tracked runs")] if rest > 0 else shown


def _pictures(images: Mapping[str, bytes], figure: str, points: pd.DataFrame) -> list[Picture]:
    words = {
        "figure": FIGURES.get(figure, ("Figure", "")),
        "companion": COMPANIONS.get(figure, COMPANIONS[""]),
        **OTHERS,
    }
    pictures = []
    for name in [*(name for name in words if name in images), *(name for name in images if name not in words)]:
        image = images[name]
        title, caption = words.get(name, (name.replace("_", " ").capitalize(), ""))
        told = _told(points, figure) if name == "figure" else ""
        pictures.append(Picture.of(image, title, caption, " ".join(filter(None, (f"{title}.", told)))))
    return [picture for picture in pictures if picture.height > NOTE]


def _told(points: pd.DataFrame, figure: str) -> str:
    """What the main figure shows, for those who do not see it."""
    if points.empty:
        return ""
    if figure == "imbalance":
        ends = points.groupby("case", sort=False)["loss"].mean()
        return (
            "Mean loss at the end: " + ", ".join(f"case {case} {number(loss, 3)}" for case, loss in ends.items()) + "."
        )
    means = points.groupby("width")["distance"].mean()
    ends = [f"{number(means.iloc[i], 3)} at width {number(float(means.index[i]))}" for i in (0, -1)]
    return f"The mean distance is {ends[0]}" + (f" and {ends[1]}." if len(means) > 1 else ".")


def _evenly(count: int, most: int) -> list[int]:
    """Indices of at most so many of `count` entries, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


def _cell(value: Any) -> str:
    return str(value).replace("_", " ") if isinstance(value, str) else number(float(value))


def _spread(values: "pd.Series[float]") -> str:
    """Mean and standard deviation of the finite values."""
    finite = values[np.isfinite(values.astype(float))].astype(float)
    if finite.empty:  # flows to the end of time have no count of iterations
        return number(float(values.max()))
    mean, deviation = float(finite.mean()), float(finite.std()) if len(finite) > 1 else 0.0
    return spread(mean, deviation)


def _brief(value: str) -> str:
    """A parameter, its list shortened where it is long."""
    words = re.split(r"\s+(?![^(]*\))", value)  # not within (sigma_U, sigma_V)
    return value if len(words) <= MOST_WORDS else f"{' '.join(words[:2])} … {words[-1]} ({len(words)} values)"
