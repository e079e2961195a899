"""The section of a sweep, from its plan and one row per point."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from implicit_bias.figures.numerals import number
from implicit_bias.report import findings
from implicit_bias.report.paper import LossAt, reproduction
from implicit_bias.report.paper_settings import beside_paper
from implicit_bias.report.section import Failure, Origin, Picture, Section
from implicit_bias.report.tables import data_table, result_table
from implicit_bias.theory.bounds.registry import RUN_BOUNDS

MOST_WORDS = 6
"""Values of a parameter written out; of more the first, the last and how many."""
MOST_FAILURES = 50
ROUNDING = 1e-6
"""Excess of a measured loss over its bound that rounding explains."""

FIGURES = {
    "width": (
        "Distance and iterations against width",
        "Mean and standard deviation over the seeds. The black line with its grey band is the law of the distance: "
        "predicted before training, not fitted.",
    ),
    "wide": (
        "Distance over decades of width",
        "Each dot is a run. Left: the distance, the predicted law and the infinite-width line. Right: the ratio of "
        "distance and law.",
    ),
    "alpha": (
        "Distance at several initial scales h^(−α)",
        "Each dot is one run, each line the predicted law, with its lazy and rich limits.",
    ),
    "imbalance": (
        "Loss under different initialisations",
        "Solid lines are measured, dashed ones guaranteed before training (Theorem 1), dotted ones certified after it.",
    ),
    "activations": (
        "Spread of predictions over seeds",
        "Root mean squares over the test rows: the standard deviation over the seeds of a width, its part by the "
        "frozen law given the runs, and the rest, the spread of the law's means; and the distance of the predictions "
        "to those of the kernel at infinite width. Nothing is fitted.",
    ),
    "depth": (
        "Distance and iterations against depth",
        "Left, the distance times the power of the width with which it falls: dots are runs, lines the law of their "
        "depth, predicted before training. Middle, the same against depth. Right, the iterations to stop.",
    ),
    "universality": (
        "Distance for entries of other laws",
        "Networks whose initial entries are not Gaussian, compared with the law for Gaussian ones.",
    ),
}
COMPANIONS = {
    "universality": (
        "Distance and the law given each run",
        "The law once the output layer at the end of training is known.",
    ),
    "activations": (
        "Each run and the frozen law, and the movement of its kernel",
        "A dot is a run: how far its predictions are from the law's mean, over the root mean square that the law "
        "says. Right, how far training moves the tangent kernel of the samples.",
    ),
    "imbalance": (
        "Rate of convergence against distance",
        "One dot per initial ratio σ_U / σ_V: how fast the loss falls, and how near to the min-norm solution it ends. "
        "The bars are the rates that Theorem 1 guarantees; small black dots are the law and the rate of large width.",
    ),
    "": (
        "What each guarantee is worth",
        "The measured distance below everything that bounds it: the law's upper quantile, a certificate computed from "
        "the run, and Theorem 2.",
    ),
}
QUESTIONS = (
    "What the law answers before training",
    "The band in which a network of each width predicts, the expected excess test risk, and the width it needs.",
)
FINDINGS = {
    **{("figure", figure): findings.law for figure in ("width", "wide", "alpha")},
    ("figure", "universality"): findings.universality,
    ("figure", "depth"): findings.depth,
    ("companion", "imbalance"): findings.plane,
    ("companion", "activations"): findings.frozen,
}
"""Additional text on a picture of a kind of sweep."""


def sweep_section(
    origin: Origin,
    planned: int,
    names: Mapping[str, str],
    datasets: Sequence[Mapping[str, Any]],
    points: pd.DataFrame,
    failures: Mapping[str, str],
    loss_at: LossAt,
) -> Section:
    """What the report says of a sweep.

    Args:
        origin: the run, and its pictures "figure", "companion", "questions".
        planned: how many points were planned.
        names: key -> name of its points.
        datasets: `name`, `n`, `D`, `m`, `r`, `cond` of each data set.
        points: one row per finished point: params and metrics.
        failures: key -> reason of every point that failed.
        loss_at: the loss of a finished point on the way.
    """
    params = {key: str(value) for key, value in origin.params.items()}
    results = result_table(points)
    paper = beside_paper(params, datasets)
    beside, far = reproduction(paper.figure, points, loss_at) if paper.figure and len(points) else (None, [])
    missing = planned - len(points)
    outcome = f"{len(points):,} of {planned:,} points finished" if missing else f"all {planned:,} points finished"
    return Section(
        title=origin.title("Sweep"),
        summary=_summary(params, planned, datasets),
        outcome=outcome,
        faults=_faults(points, missing),
        deviations=paper.deviations + far,
        pictures=_pictures(origin.images, params.get("figure", ""), points, paper.figure),
        tables=[table for table in (results, beside, data_table(datasets)) if table is not None],
        failures=_failures(names, failures),
        params={key: _brief(value) for key, value in params.items() if value not in ("", "None")},
        provenance=origin.provenance,
        tracked=origin.tracked,
    )


def _summary(params: Mapping[str, str], count: int, datasets: Sequence[Mapping[str, Any]]) -> str:
    solvers = " and ".join(name.replace("_", " ") for name in params.get("solvers", "").split()) or "unknown means"
    tolerance = params.get("stop.tolerance", "None")
    limit = "it no longer moves" if tolerance == "None" else f"the excess loss is {number(float(tolerance))}"
    if tolerance != "None" and params.get("stop.relative") == "True":
        limit += " of the initial one"
    where = f"{len(datasets)} data set{'s' if len(datasets) != 1 else ''}"
    steps, size = params.get("stop.max_iterations", ""), params.get("step_size", "?")
    most = f", at most {number(float(steps))} iterations of step {size}" if steps.isdigit() else ""
    return f"{count:,} networks on {where}, trained by {solvers}, each until {limit}{most}."


def _faults(points: pd.DataFrame, missing: int) -> list[str]:
    """What is not as it should be of the points."""
    faults = [f"{missing:,} point{'s are' if missing > 1 else ' is'} missing."] if missing else []
    for name, bound in RUN_BOUNDS.items():
        if f"{name}_worst" not in points:
            continue
        met = points[f"met/{name}"] == 1 if f"met/{name}" in points else True
        broken = int(((points[f"{name}_worst"] > 1 + ROUNDING) & met).sum())
        if broken:
            faults.append(f"{broken:,} point{'s exceed' if broken > 1 else ' exceeds'} what is {bound.title}.")
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


def _pictures(images: Mapping[str, bytes], figure: str, points: pd.DataFrame, paper: str) -> list[Picture]:
    words = {
        "figure": FIGURES.get(figure, ("Figure", "")),
        "companion": COMPANIONS.get(figure, COMPANIONS[""]),
        "questions": QUESTIONS,
    }
    pictures = []
    for name in [*(name for name in words if name in images), *(name for name in images if name not in words)]:
        title, drawn = words.get(name, (name.replace("_", " ").capitalize(), ""))
        if name == "figure" and paper:
            title = f"The paper's {paper}: {title[0].lower()}{title[1:]}"
        shows = FINDINGS[name, figure](points) if (name, figure) in FINDINGS and len(points) else ""
        told = _told(points, figure) if name == "figure" else shows
        pictures.append(Picture.of(images[name], title, _joined(drawn, shows), _joined(f"{title}.", told)))
    return pictures


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _told(points: pd.DataFrame, figure: str) -> str:
    """What the main figure shows, for those who do not see it."""
    if points.empty:
        return ""
    if figure == "imbalance":
        ends = points.groupby("case", sort=False)["loss"].mean()
        return (
            "Mean loss at the end: " + ", ".join(f"case {case} {number(loss, 3)}" for case, loss in ends.items()) + "."
        )
    if figure == "activations":
        return findings.kernel_distance(points)
    if figure == "depth":
        return findings.depth(points)
    means = points.groupby("width")["distance"].mean()
    ends = [f"{number(means.iloc[i], 3)} at width {number(float(means.index[i]))}" for i in (0, -1)]
    return f"The mean distance is {ends[0]}" + (f" and {ends[1]}." if len(means) > 1 else ".")


def _brief(value: str) -> str:
    """A parameter, its list shortened where it is long."""
    words = re.split(r"\s+(?![^(]*\))", value)  # not within (sigma_U, sigma_V)
    return value if len(words) <= MOST_WORDS else f"{' '.join(words[:2])} … {words[-1]} ({len(words)} values)"
