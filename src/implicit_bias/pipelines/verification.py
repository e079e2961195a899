"""Every claim of the paper checked on random problems: a table, a figure and a page."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline

from implicit_bias.claims_page import claims_page
from implicit_bias.engines import check
from implicit_bias.fingerprints import numerics
from implicit_bias.parameters import Engine, Verification
from implicit_bias.pipelines import report
from implicit_bias.pipelines.sections import provenance, whereabouts
from implicit_bias.points import run_points
from implicit_bias.report.claims import claims_section
from implicit_bias.report.section import Origin
from implicit_bias.theory.claims.chance import check_seed
from implicit_bias.theory.claims.check import Check
from implicit_bias.theory.claims.problems import check_index
from implicit_bias.theory.claims.table import claim_rows, frequency_rows

BATCH = 25
"""Problems checked in one task."""


def plan_verification(verification: Verification) -> dict[str, Any]:
    """What is tracked of the run before it: its parameters and the version of its code; it has no points.

    Raises:
        EngineError: the engine it asks for cannot be used.
    """
    check(verification)
    size = verification.model_dump(exclude=set(Engine.model_fields))
    return {
        "name": "Verification",
        "description": f"Every claim on {verification.problems} random problems and {verification.seeds} seeds.",
        "params": {name: " ".join(map(str, v)) if isinstance(v, list) else v for name, v in size.items()},
        "points": {},
        "numerics": numerics(__name__),
    }


def check_claims(verification: Verification, plan: dict[str, Any]) -> dict[str, Any]:
    """Check every claim, problem by problem and seed by seed; one that fails takes no other with it.

    Args:
        verification: how much is checked.
        plan: the tracked plan; the run starts with it.

    Returns:
        what `claim_rows` takes, as arrays, and "errors": what failed and why, one text each.

    Raises:
        RuntimeError: no problem, or fewer than two seeds, could be checked.
    """
    tasks = list(_tasks(verification))
    records = dict(run_points(_check, tasks, len(tasks), verification, plan["name"]))
    failed = {key: record["error"] for key, record in records.items() if "error" in record}
    checked: dict[int, dict[str, Check]] = {}
    seeds = []
    for key, _ in tasks:
        if key in failed:
            continue
        if key.startswith("seed"):
            seeds.append(records[key])
        else:
            checked |= records[key]["checked"]
            failed |= records[key]["failed"]
    errors = [f"{key}: {error}" for key, error in failed.items()]
    if not checked or len(seeds) < 2:
        raise RuntimeError(f"{len(errors)} of the checks failed, too many for a table. {errors[0]}")
    joined = {
        f"{name}/{part}": np.array([getattr(checks[name], part) for checks in checked.values()])
        for name in next(iter(checked.values()))
        for part in ("met", "ratio", "limit")
    }
    random = {name: np.array([seed[name] for seed in seeds]) for name in ("initial", "trained")}
    return joined | random | {"errors": np.array(errors, dtype=np.str_)}


def _tasks(verification: Verification) -> Iterator[tuple[str, tuple[Any, ...]]]:
    v = verification
    for index in range(v.seeds):
        yield f"seed {index}", (check_seed, v.seed, index, v.widths, v.alphas, v.delta, v.draws)
    for first in range(0, v.problems, BATCH):
        yield f"problems from {first}", (check_batch, v.seed, range(first, min(first + BATCH, v.problems)))


def _check(function: Any, *arguments: Any) -> dict[str, Any]:
    return function(*arguments)


def check_batch(seed: int, indices: Iterable[int]) -> dict[str, Any]:
    """Check the problems of some indices: "checked" {index: checks} and "failed" {name: error}."""
    checked: dict[int, dict[str, Check]] = {}
    failed: dict[str, str] = {}
    for index in indices:
        try:
            checked[index] = check_index(seed, index)
        except Exception as error:
            failed[f"problem {index}"] = f"{type(error).__name__}: {error}"
    return {"checked": checked, "failed": failed}


def tabulate_claims(verification: Verification, checks: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a claim, and how often the random ones held at each alpha and width."""
    v = verification
    arrays = {name: np.asarray(value) for name, value in checks.items()}
    initial, trained = arrays.pop("initial"), arrays.pop("trained")
    arrays.pop("errors")
    rows = claim_rows(arrays, initial, trained, v.widths, v.alphas, v.delta)
    return pd.DataFrame(rows), pd.DataFrame(frequency_rows(initial, trained, v.widths, v.alphas))


def summarize_claims(checks: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """Metrics of the run: problems checked, errors, violations, and the tightness of each claim."""
    summary: dict[str, Any] = {
        "metric/problems": len(checks["conserved/met"]),
        "metric/errors": len(checks["errors"]),
        "metric/violations": int(table["violations"].sum()),
    }
    return summary | {f"metric/tight/{row.claim}": row.tight for row in table.itertuples()}


def report_claims(
    verification: Verification, checks: dict[str, Any], table: pd.DataFrame, frequencies: pd.DataFrame
) -> str:
    """The page of claims, in Markdown."""
    return claims_page(verification, table, frequencies, list(checks["errors"]))


def require_all(checks: dict[str, Any], page: str, report: str) -> None:
    """End the run as failed, its pages written, if anything could not be checked.

    Raises:
        RuntimeError: with what failed first.
    """
    if errors := list(checks["errors"]):
        raise RuntimeError(f"{len(errors)} of the checks failed; the table is made of the others. {errors[0]}")


def draw_claims(table: pd.DataFrame) -> Any:
    """The claims figure."""
    from implicit_bias.figures.claims import claims_figure

    return claims_figure(table.to_dict("records"))


def describe_claims(
    plan: dict[str, Any], checks: dict[str, Any], table: pd.DataFrame, figure: bytes, tracked: dict[str, Any]
) -> dict[str, Any]:
    """What the report says of the claims, as JSON takes it."""
    origin = Origin(plan["params"], provenance(), {"figure": figure}, whereabouts(tracked))
    section = claims_section(origin, table, list(checks["errors"]))
    return section.model_dump(mode="json")


def create_pipeline(**_: Any) -> Pipeline:
    """Parameters -> table, summary, page, figure of the claims, and the report."""
    params = "params:verification"
    claims = Pipeline(
        [
            Node(plan_verification, inputs=params, outputs="claims.plan", name="plan_verification"),
            Node(check_claims, inputs=[params, "claims.plan"], outputs="claims.checks", name="check_claims"),
            Node(
                tabulate_claims,
                inputs=[params, "claims.checks"],
                outputs=["claims.table", "claims.frequencies"],
                name="tabulate_claims",
            ),
            Node(
                summarize_claims,
                inputs=["claims.checks", "claims.table"],
                outputs="claims.summary",
                name="summarize_claims",
            ),
            Node(
                report_claims,
                inputs=[params, "claims.checks", "claims.table", "claims.frequencies"],
                outputs="claims.page",
                name="report_claims",
            ),
            Node(draw_claims, inputs="claims.table", outputs="claims.figure", name="draw_claims"),
            Node(
                describe_claims,
                inputs=["claims.plan", "claims.checks", "claims.table", "claims.figure", "claims.tracked"],
                outputs="claims.section",
                name="describe_claims",
            ),
            Node(
                require_all, inputs=["claims.checks", "claims.page", "claims.report"], outputs=None, name="require_all"
            ),
        ]
    )
    return claims + report.create_pipeline(["claims.section"], "claims")
