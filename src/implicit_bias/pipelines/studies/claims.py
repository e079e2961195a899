"""Every claim of the paper checked on random problems: a table, a figure and a page."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Pipeline

from implicit_bias.pipelines import report
from implicit_bias.pipelines.checks import CHECKS, checks_fingerprint, join, tasks
from implicit_bias.pipelines.nodes import node
from implicit_bias.pipelines.sections import described, origin
from implicit_bias.report.claims_page import claims_page
from implicit_bias.report.facts import Facts
from implicit_bias.report.section import SectionJson
from implicit_bias.sweeps.compute import STALE, STAMP, ReadStored, StaleRecords, check_table, compute_tasks, stamp
from implicit_bias.sweeps.handover import Loaders, Plan, Record, Whereabouts
from implicit_bias.sweeps.manifest import check_plan, sweep_params
from implicit_bias.sweeps.studies import Verification
from implicit_bias.sweeps.workers import check_engine
from implicit_bias.theory.claims.table import claim_rows, frequency_rows


def plan_verification(verification: Verification) -> Plan:
    """What is tracked of the run before it: its parameters and the version of its code; it has no points.

    Raises:
        EngineError: the engine it asks for cannot be used.
    """
    check_engine(verification)
    return {
        "name": "Verification",
        "description": f"Every claim on {verification.problems} random problems and {verification.seeds} seeds.",
        "params": sweep_params(verification),
        "points": {},
        "report": "claims",
        "numerics": CHECKS.numerics,
        "fresh": verification.fresh,
    }


def check_claims(verification: Verification, plan: Plan, stored: dict[str, ReadStored]) -> Iterator[dict[str, Record]]:
    """Check every claim, batch by batch and seed by seed, but what is done; one that fails takes no other with it.

    Yields:
        batch or seed -> what `check_batch` or `check_seed` gives; a `Failure` if it failed.
    """
    check_plan(plan, sweep_params(verification), {}, "verification")
    for key, record in compute_tasks(CHECKS, tasks(verification), stored, verification, _whole):
        yield {key: record}


def _whole(key: str, record: Record) -> bool:
    """Whether every problem of a batch could be checked; one that could not is tried again."""
    return not len(record.get("errors", ()))


def join_checks(verification: Verification, plan: Plan, batches: Loaders) -> Record:
    """All that was checked as one record, with its checks_fingerprint; see `checks.join`."""
    check_plan(plan, sweep_params(verification), {}, "verification")
    return join(verification, batches) | {STAMP: checks_fingerprint(verification)}


def _known(verification: Verification, checks: Record) -> Record:
    """The checks, without the checks_fingerprint that they must carry."""
    if checks.get(STAMP) != checks_fingerprint(verification):
        raise StaleRecords(f"what claims.checks holds {STALE} verification")
    return {name: value for name, value in checks.items() if name != STAMP}


def _check(verification: Verification, table: pd.DataFrame) -> None:
    """Refuse a table of other checks."""
    check_table(CHECKS, table, dict.fromkeys(table.iloc[:, 0], checks_fingerprint(verification)), table.columns[0])


def tabulate_claims(verification: Verification, checks: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per claim, and how often the random ones held at each alpha and width."""
    v = verification
    arrays = {name: np.asarray(value) for name, value in _known(v, checks).items()}
    initial, trained = arrays.pop("initial"), arrays.pop("trained")
    arrays.pop("errors")
    rows = claim_rows(arrays, initial, trained, v.widths, v.alphas, v.delta)
    frequencies = frequency_rows(initial, trained, v.widths, v.alphas)
    mark = {STAMP: stamp(checks_fingerprint(v))}
    return pd.DataFrame(rows).assign(**mark), pd.DataFrame(frequencies).assign(**mark)


def summarize_claims(verification: Verification, checks: Record, table: pd.DataFrame) -> Record:
    """Metrics of the run: problems checked, errors, violations, and the tightness of each claim."""
    checks = _known(verification, checks)
    _check(verification, table)
    summary: Record = {
        "metric/problems": len(checks["conserved/met"]),
        "metric/errors": len(checks["errors"]),
        "metric/violations": int(table["violations"].sum()),
    }
    return summary | {f"metric/tight/{row.claim}": row.tight for row in table.itertuples()}


def report_claims(verification: Verification, checks: Record, table: pd.DataFrame, frequencies: pd.DataFrame) -> str:
    """The page of claims, in Markdown."""
    _check(verification, table)
    _check(verification, frequencies)
    errors = _known(verification, checks)["errors"]
    return claims_page(verification, table.drop(columns=STAMP), frequencies.drop(columns=STAMP), list(errors))


def require_all(verification: Verification, checks: Record, page: str, report: str) -> None:
    """End the run as failed, its pages written, if anything could not be checked.

    Raises:
        RuntimeError: with what failed first.
    """
    if errors := list(_known(verification, checks)["errors"]):
        raise RuntimeError(f"{len(errors)} of the checks failed; the table is made of the others. {errors[0]}")


def draw_claims(verification: Verification, table: pd.DataFrame) -> Any:
    """The claims figure."""
    from implicit_bias.figures.registry import STUDY_FIGURES

    _check(verification, table)
    return STUDY_FIGURES["claims"]["claims"].draw(table.to_dict("records"))


def describe_claims(
    verification: Verification, plan: Plan, checks: Record, table: pd.DataFrame, figure: bytes, tracked: Whereabouts
) -> SectionJson:
    """What the report says of the claims, as JSON takes it."""
    check_plan(plan, sweep_params(verification), {}, "verification")
    checks = _known(verification, checks)
    _check(verification, table)
    failures = {str(number): str(error) for number, error in enumerate(checks["errors"])}
    return described("claims", Facts(origin(plan, tracked, ["claims"], [figure]), table, failures=failures))


def create_pipeline(**_: Any) -> Pipeline:
    """Parameters -> table, summary, page, figure of the claims, and the report."""
    params = "params:verification"
    claims = Pipeline(
        [
            node(plan_verification, params, "claims.plan"),
            node(check_claims, [params, "claims.plan", "claims.stored"], "claims.batches"),
            node(join_checks, [params, "claims.plan", "claims.batches"], "claims.checks"),
            node(tabulate_claims, [params, "claims.checks"], ["claims.table", "claims.frequencies"]),
            node(summarize_claims, [params, "claims.checks", "claims.table"], "claims.summary"),
            node(report_claims, [params, "claims.checks", "claims.table", "claims.frequencies"], "claims.page"),
            node(draw_claims, [params, "claims.table"], "claims.figure"),
            node(
                describe_claims,
                [params, "claims.plan", "claims.checks", "claims.table", "claims.figure", "claims.tracked"],
                "claims.section",
            ),
            node(require_all, [params, "claims.checks", "claims.page", "claims.report"], None),
        ]
    )
    return claims + report.create_pipeline(["claims.section"], "claims")
