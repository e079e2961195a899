"""The section on gradient descent compared with the flow, from one row per start."""

import pandas as pd

from implicit_bias.figures.numerals import number
from implicit_bias.figures.registry import study_words
from implicit_bias.report.facts import Facts, SectionKind, counted, pictures
from implicit_bias.report.section import Column, FailedPoint, Section, SectionTable
from implicit_bias.report.tables import data_table

COLUMNS = {
    "imbalance_c": "imbalance c",
    "step_max": "largest step that arrives",
    "step_end": "n / λmax of the kernel, flow's end",
    "step_xu": "step certified at the start",
    "rate_best": "fastest rate, per iteration",
    "iterations": "fewest iterations",
    "rate_flow": "rate of the flow, per unit of time",
    "distance": "distance, flow",
    "distance_max": "distance, descent by the largest step",
}


def descent_section(facts: Facts) -> Section:
    """What the report says of gradient descent compared with the flow: a point is a start."""
    origin, points, planned = facts.origin, facts.points, facts.planned
    missing = planned - len(points)
    params = {key: str(value) for key, value in origin.params.items()}
    return Section(
        title=origin.title("Descent against flow"),
        summary=f"{planned:,} starts of a network of width {params.get('width', '?')}, at the fixed product σ_U σ_V = "
        f"{params.get('product', '?')}, by the flow and by gradient descent, each until the excess loss "
        f"is {params.get('depth', '?')} of the initial one.",
        outcome=f"{len(points):,} of {planned:,} starts studied" if missing else f"all {planned:,} starts studied",
        faults=counted(missing, "start is missing", "starts are missing"),
        pictures=pictures(origin.images, study_words("descent"), points),
        tables=[table for table in (start_table(points), data_table(facts.datasets)) if table is not None],
        failures=[FailedPoint(point=key, reason=reason) for key, reason in facts.failures.items()],
        params=params,
        provenance=origin.provenance,
        tracked=origin.tracked,
    )


def start_table(points: pd.DataFrame) -> SectionTable | None:
    """One row per start."""
    shown = {name: title for name, title in COLUMNS.items() if name in points}
    rows = [[str(row["point"]), *(number(float(row[name]), 4) for name in shown)] for row in points.to_dict("records")]
    columns = [Column(title="start", numeric=False), *(Column(title=title) for title in shown.values())]
    return SectionTable(title="Starts", columns=columns, rows=rows) if rows else None


DESCENT_SECTION = SectionKind(descent_section, study_words("descent"))
