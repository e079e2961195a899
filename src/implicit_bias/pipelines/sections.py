"""Part of stage 6: what the report says of a sweep."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from implicit_bias.points import Loaders
from implicit_bias.report.section import Provenance, Tracked
from implicit_bias.report.sweeps import sweep_section
from implicit_bias.tracking.provenance import COMMIT, DIRTY, git_tags, versions

FIGURES = ("figure", "companion", "questions")


def describe_sweep(
    plan: dict[str, Any], table: pd.DataFrame, evaluations: Loaders, tracked: dict[str, Any], *images: bytes
) -> dict[str, Any]:
    """Write down what the report says of the sweep.

    Args:
        plan: title, parameters, points and data sets of the sweep.
        table: one row a finished point.
        evaluations: point -> loader of metrics and curves, or of the error that took their place.
        tracked: where the sweep is tracked; empty if it is not.
        images: its FIGURES, as PNG.

    Returns:
        the section of the sweep, as JSON takes it.
    """
    finished = set(table["point"])
    failures = {key: str(evaluations[key]().get("error", "")) for key in plan["points"] if key not in finished}
    section = sweep_section(
        params=plan["params"],
        planned=len(plan["points"]),
        names={key: point["name"] for key, point in plan["points"].items()},
        datasets=[{"name": each["name"], **each["profile"]} for each in plan["datasets"]],
        points=table,
        failures=failures,
        images=dict(zip(FIGURES, images, strict=True)),
        provenance=provenance(),
        tracked=Tracked(**tracked) if tracked else None,
    )
    return section.model_dump(mode="json")


def provenance() -> Provenance:
    """This moment, the versions that are installed, and the commit of the working directory."""
    tags = git_tags(Path.cwd())
    return Provenance(
        finished=datetime.now(UTC),
        versions=versions(),
        commit=tags.get(COMMIT, ""),
        dirty=tags.get(DIRTY) == "true",
    )


def create_pipeline(**_: Any) -> Pipeline:
    """Plan, table, evaluations, figures -> the sweep's section of the report."""
    return Pipeline(
        [
            Node(
                describe_sweep,
                inputs=["plan", "table", "evaluations", "tracked", *FIGURES],
                outputs="section",
                name="describe_sweep",
            )
        ]
    )
