"""The section of the claims, from the table of what was checked."""

from typing import Any

from implicit_bias.figures.findings import violations
from implicit_bias.figures.numerals import number
from implicit_bias.figures.registry import study_words
from implicit_bias.report.facts import Facts, SectionKind, picture
from implicit_bias.report.section import Column, Section, SectionTable

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
    "typical": "median",
    "note": "note",
}
"""Columns of the table of claims, and their titles."""
MOST_ERRORS = 20
WORDS = ("statement", "source", "kind", "note")


def claims_section(facts: Facts) -> Section:
    """What the report says of a verification: its points are the rows of `theory.claims.table.claim_rows`."""
    origin, claims, errors = facts.origin, facts.points, list(facts.failures.values())
    words = study_words("claims")["claims"]
    violated = claims[claims["violations"] > 0]
    rows = [[_cell(column, row[column]) for column in COLUMNS] for row in claims.to_dict("records")]
    columns = [Column(title=title, numeric=column not in WORDS) for column, title in COLUMNS.items()]
    problems, seeds, draws = (int(origin.params[size]) for size in ("problems", "seeds", "draws"))
    unchecked = [f"Not checked: {error}" for error in errors[:MOST_ERRORS]]
    return Section(
        title="Claims of the paper, checked",
        summary=f"{len(claims)} claims: the deterministic ones on {problems:,} random problems, the random ones on "
        f"{seeds:,} data sets with {draws:,} networks each.",
        outcome=violations(claims),
        faults=[f"Violated: {row['statement']} ({row['source']})." for row in violated.to_dict("records")] + unchecked,
        pictures=[picture(image, words, claims) for image in origin.images.values()],
        tables=[SectionTable(title="Claims", columns=columns, rows=rows, note=NOTE)],
        params={key: str(value) for key, value in origin.params.items()},
        provenance=origin.provenance,
        tracked=origin.tracked,
    )


def _cell(column: str, value: Any) -> str:
    if column in WORDS:
        return value if isinstance(value, str) else ""  # an empty cell of a CSV file comes back as NaN
    return number(float(value), 2 if column in ("tight", "typical") else 6)


CLAIMS_SECTION = SectionKind(claims_section, study_words("claims"), "claims.csv")
