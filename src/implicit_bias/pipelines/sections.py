"""Part of stage 6: what the report says of a sweep, and of a study of it."""

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from implicit_bias.pipelines.evaluation import EVALUATION
from implicit_bias.pipelines.nodes import node
from implicit_bias.report.facts import Facts
from implicit_bias.report.latex import latex_table
from implicit_bias.report.paper import on_the_way
from implicit_bias.report.registry import section_kind, write_section
from implicit_bias.report.section import Origin, Provenance, Section, SectionJson, Tracked
from implicit_bias.sweeps.handover import Loaders, NamedProfile, Plan, Problems, Record, Whereabouts, failure_of
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import require
from implicit_bias.sweeps.records import Fingerprints
from implicit_bias.tracking.provenance import git_tags, versions
from implicit_bias.tracking.tags import COMMIT, DIRTY

SWEEP_PICTURES = ("figure", "companion", "questions")
PROCESS = uuid.uuid4().hex
"""By which this process knows its own sections among those of earlier runs."""


def describe_sweep(
    sweep: Sweep,
    plan: Plan,
    problems: Problems,
    table: pd.DataFrame,
    evaluations: Loaders,
    tracked: Whereabouts,
    *images: bytes,
) -> SectionJson:
    """Write down what the report says of the sweep; `images` are its SWEEP_PICTURES.

    Raises:
        StaleRecords: the plan, the table or a record is of other parameters, data or numerics.
    """
    fingerprints = Fingerprints(sweep, plan, problems)
    fingerprints.check(EVALUATION, table)
    require(plan["points"], evaluations, "evaluations", "evaluation")

    def loss_at(key: str, iteration: int) -> float:
        record = fingerprints.load(EVALUATION, evaluations, key)
        return on_the_way(record["curve/iteration"], record["curve/excess"], iteration)

    facts = Facts(
        origin(plan, tracked, SWEEP_PICTURES, images),
        table,
        planned=len(plan["points"]),
        names={key: point["name"] for key, point in plan["points"].items()},
        datasets=profiles(plan),
        failures=reasons(plan, table, partial(fingerprints.load, EVALUATION, evaluations)),
        loss_at=loss_at,
    )
    return described("sweep", facts)


def describe_study(study: str, plan: Plan, table: pd.DataFrame, tracked: Whereabouts, *images: bytes) -> SectionJson:
    """Write down what the report says of a study of a sweep.

    Args:
        study: the name of its section in report/registry.py, or its import path.
        plan: that of the sweep.
        table: one row per finished point, the metrics of the study among them.
        tracked: where the sweep is tracked; empty if it is not.
        images: the pictures of the study, as PNG.
    """
    of = origin(plan, tracked, section_kind(study).pictures, images)
    return described(study, Facts(of, table, planned=len(plan["points"])))


def described(kind: str, facts: Facts) -> SectionJson:
    """A section of the report, as JSON takes it."""
    return write_section(kind, facts).model_dump(mode="json")


def origin(plan: Plan, tracked: Whereabouts, names: Iterable[str], images: Iterable[bytes]) -> Origin:
    """What a section is of: the run, this moment, and the named pictures but for those there was no reason to draw."""
    pictures = {name: image for name, image in zip(names, images, strict=True) if image}
    return Origin(plan["params"], provenance(), pictures, Tracked(**tracked) if tracked else None)


def profiles(plan: Plan) -> list[NamedProfile]:
    """Name and size of the data sets of a plan."""
    return [{"name": each["name"], **each["profile"]} for each in plan["datasets"]]


def reasons(plan: Plan, table: pd.DataFrame, load: Callable[[str], Record]) -> dict[str, str]:
    """Planned points that are not in the table -> why, as far as their records say."""
    finished = set(table["point"])
    return {key: failure_of(load(key)) or "" for key in plan["points"] if key not in finished}


def provenance() -> Provenance:
    """This moment, the versions that are installed, and the commit of the working directory."""
    tags = git_tags(Path.cwd())
    return Provenance(
        finished=datetime.now(UTC),
        process=PROCESS,
        versions=versions(),
        commit=tags.get(COMMIT, ""),
        dirty=tags.get(DIRTY) == "true",
    )


def typeset_results(section: SectionJson) -> str:
    """The first table of a section of the report, its results, as LaTeX; a comment where it has none."""
    tables = Section.model_validate(section).tables
    return latex_table(tables[0]) if tables else "% There are no results.\n"


def typesetting(section: str, output: str) -> Node:
    """The node that typesets a section."""
    return Node(typeset_results, inputs=section, outputs=output, name=f"typeset_{output.replace('.', '_')}")


def create_pipeline(**_: Any) -> Pipeline:
    """Plan, table, evaluations, figures -> the sweep's section of the report."""
    return Pipeline(
        [
            node(
                describe_sweep,
                ["params:sweep", "plan", "problems", "table", "evaluations", "tracked", *SWEEP_PICTURES],
                "section",
            ),
            typesetting("section", "results"),
        ]
    )
