"""The section of the claims, from the table of what was checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from implicit_bias.numerals import number
from implicit_bias.report.section import Column, Picture, Provenance, Section, Table, Tracked

CAPTION = (
    "One row a claim: its median and its worst case beside its limit, as relative error, ratio of the two sides, or "
    "deviation of a power."
)
NOTE = (
    "Hypotheses met: the problems on which a claim says anything. Held: those of them on which it was true; one that "
    "holds with a probability may miss some. Worst: the largest relative error of an identity, or the largest ratio of "
    "the smaller to the larger side of a bound; docs/claims.md says more."
)
COLUMNS = {
    "statement": "statement",
    "source": "source",
    "kind": "kind",
    "met": "hypotheses met",
    "held": "held",
    "violations": "violations",
    "tight": "worst",
    "note": "note",
}
MOST_ERRORS = 20
WORDS = ("statement", "source", "kind", "note")


def claims_section(
    params: Mapping[str, Any],
    claims: pd.DataFrame,
    errors: Sequence[str],
    images: Mapping[str, bytes],
    provenance: Provenance,
    tracked: Tracked | None = None,
) -> Section:
    """What the report says of a verification.

    Args:
        params: its flat parameters.
        claims: one row a claim, as `implicit_bias.theory.claims.table.claim_rows` gives them.
        errors: what could not be checked, and why.
        images: "figure" -> PNG.
        provenance: when it was computed, and by what.
        tracked: where it is tracked.
    """
    violated = claims[claims["violations"] > 0]
    rows = [[_cell(column, row[column]) for column in COLUMNS] for row in claims.to_dict("records")]
    columns = [Column(title=title, numeric=column not in WORDS) for column, title in COLUMNS.items()]
    problems, seeds, draws = (int(params[size]) for size in ("problems", "seeds", "draws"))
    unchecked = [f"Not checked: {error}" for error in errors[:MOST_ERRORS]]
    outcome = f"{int(claims['violations'].sum())} violations" if len(violated) else "no violation"
    alt = f"{len(claims)} claims, {outcome}. The table below has their numbers."
    return Section(
        title="Claims of the paper, checked",
        summary=f"{len(claims)} claims: the deterministic ones on {problems:,} random problems, the random ones on "
        f"{seeds:,} data sets with {draws:,} networks each.",
        outcome=outcome,
        faults=[f"Violated: {row['statement']} ({row['source']})." for row in violated.to_dict("records")] + unchecked,
        pictures=[Picture.of(image, "How far each claim is from breaking", CAPTION, alt) for image in images.values()],
        tables=[Table(title="Claims", columns=columns, rows=rows, note=NOTE)],
        params={key: str(value) for key, value in params.items()},
        provenance=provenance,
        tracked=tracked,
    )


def _cell(column: str, value: Any) -> str:
    if column in WORDS:
        return value if isinstance(value, str) else ""  # an empty cell of a CSV file comes back as NaN
    return number(float(value), 2 if column == "tight" else 6)
