"""The section of a sweep, from its plan and one row per point."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from implicit_bias.figures.numerals import number
from implicit_bias.figures.registry import study_words
from implicit_bias.figures.unconverged import at_a_limit
from implicit_bias.report.facts import Facts, SectionKind, counted, picture
from implicit_bias.report.paper import reproduction
from implicit_bias.report.paper_settings import beside_paper
from implicit_bias.report.section import FailedPoint, Picture, Section
from implicit_bias.report.tables import data_table, result_table
from implicit_bias.sweeps.figure import COMPANION, Words, columns_of, known_figure
from implicit_bias.theory.bounds.registry import RUN_BOUNDS
from implicit_bias.theory.solvers.stopping import SADDLE, SLOW

MOST_WORDS = 6
"""Values of a parameter written out; of more the first, the last and how many."""
MOST_FAILURES = 50
ROUNDING = 1e-6
"""Excess of a measured loss over its bound that rounding explains."""

UNKNOWN = Words("Figure", "")
"""What is said of the figure of a sweep of which nothing is known."""


def sweep_section(facts: Facts) -> Section:
    """What the report says of a sweep; its pictures are "figure", "companion", "questions", and what else there is."""
    origin, points, planned, datasets = facts.origin, facts.points, facts.planned, facts.datasets
    params = {key: str(value) for key, value in origin.params.items()}
    results = result_table(points)
    paper = beside_paper(params, datasets)
    beside, far = reproduction(paper.figure, points, facts.loss_at) if paper.figure and len(points) else (None, [])
    missing = planned - len(points)
    outcome = f"{len(points):,} of {planned:,} points finished" if missing else f"all {planned:,} points finished"
    return Section(
        title=origin.title("Sweep"),
        paper=paper.figure,
        summary=_summary(params, planned, datasets),
        outcome=outcome,
        faults=_faults(points, missing),
        deviations=paper.deviations + far,
        pictures=_pictures(origin.images, params.get("figure", ""), points, paper.figure),
        tables=[table for table in (results, beside, data_table(datasets)) if table is not None],
        failures=_failures(facts.names, facts.failures),
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


LARGEST_LOSS_ERROR = 0.1
"""Estimated relative error of a recorded loss, beyond which the report speaks of it."""

UNFINISHED = {
    SLOW: "slow: its speed fell below `stop.stationary` before it arrived",
    SADDLE: "at a saddle, which its start cannot leave",
}
"""Stop reason that is no arrival -> what the report says of it."""


def _faults(points: pd.DataFrame, missing: int) -> list[str]:
    """What is not as it should be of the points."""
    faults = counted(missing, "point is missing", "points are missing")
    for name, bound in RUN_BOUNDS.items():
        if f"{name}_worst" not in points:
            continue
        met = points[f"met/{name}"] == 1 if f"met/{name}" in points else True
        broken = int(((points[f"{name}_worst"] > 1 + ROUNDING) & met).sum())
        faults += counted(broken, f"point exceeds what is {bound.title}", f"points exceed what is {bound.title}")
    limit = "reached the iteration limit before the tolerance"
    faults += counted(at_a_limit(columns_of(points)).sum(), f"point {limit}", f"points {limit}")
    if "loss_error" in points:
        late = "late losses that may be wrong by more than 10 %"
        faults += counted((points["loss_error"] > LARGEST_LOSS_ERROR).sum(), f"point has {late}", f"points have {late}")
    if "stop_reason" in points:
        for reason, said in UNFINISHED.items():
            faults += counted((points["stop_reason"] == reason).sum(), f"point ended {said}", f"points ended {said}")
    return faults


def _failures(names: Mapping[str, str], failures: Mapping[str, str]) -> list[FailedPoint]:
    chosen = list(failures.items())
    shown = [FailedPoint(point=names.get(key, key), reason=reason) for key, reason in chosen[:MOST_FAILURES]]
    rest = len(chosen) - len(shown)
    return [*shown, FailedPoint(point=f"{rest:,} more", reason="see the tracked runs")] if rest > 0 else shown


def _pictures(images: Mapping[str, bytes], figure: str, points: pd.DataFrame, paper: str) -> list[Picture]:
    row = known_figure(figure)
    words = {
        "figure": row.words if row else UNKNOWN,
        "companion": row.companion_words if row else COMPANION,
        **study_words("questions"),
    }
    pictures = []
    for name in [*(name for name in words if name in images), *(name for name in images if name not in words)]:
        said = words.get(name, Words(name.replace("_", " ").capitalize(), ""))
        lower = f"{said.title[0].lower()}{said.title[1:]}"
        title = f"The paper's {paper}: {lower}" if name == "figure" and paper else ""
        pictures.append(picture(images[name], said, points, title))
    return pictures


def _brief(value: str) -> str:
    """A parameter, its list shortened where it is long."""
    words = re.split(r"\s+(?![^(]*\))", value)  # not within (sigma_U, sigma_V)
    return value if len(words) <= MOST_WORDS else f"{' '.join(words[:2])} … {words[-1]} ({len(words)} values)"


SWEEP_SECTION = SectionKind(sweep_section)
