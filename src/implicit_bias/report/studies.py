"""The sections of studies that a sweep may have beside it, from one row per point."""

from collections.abc import Mapping

from implicit_bias.figures.registry import study_words
from implicit_bias.report.facts import Facts, SectionKind, pictures
from implicit_bias.report.section import Section
from implicit_bias.report.tables import result_table
from implicit_bias.sweeps.figure import Words


def study(title: str, summary: str, metrics: Mapping[str, str], words: Mapping[str, Words]) -> SectionKind:
    """The section of a study that adds metrics to the points of a sweep.

    Args:
        title: of its section, after that of the sweep.
        summary: what it compares every point with.
        metrics: its metrics and their titles; the first is one that every point has.
        words: what is said of its pictures, by name.
    """

    def write(facts: Facts) -> Section:
        first, points = next(iter(metrics)), facts.points
        compared = points[points[first].notna()] if first in points else points.iloc[:0]
        missing = facts.planned - len(compared)
        results = result_table(compared, metrics)
        return Section(
            title=f"{facts.origin.title('Sweep')}: {title}",
            summary=summary,
            outcome=f"{f'{len(compared):,} of' if missing else 'all'} {facts.planned:,} points compared",
            faults=[f"{missing:,} points could not be compared."] if missing else [],
            pictures=pictures(facts.origin.images, words, compared),
            tables=[results] if results else [],
            provenance=facts.origin.provenance,
            tracked=facts.origin.tracked,
        )

    return SectionKind(write, words)


LAZY_SECTION = study(
    title="linearised and infinite-width flows",
    summary="Each network compared with its linearised flow, whose tangent kernel stays that of the start, and with "
    "the flow of an infinitely wide one.",
    metrics={
        "lin_loss": "linearised: gap of the loss",
        "lin_dist": "of the distance",
        "inf_loss": "infinite width: gap of the loss",
        "inf_dist": "gap of the distance",
        "kernel_move": "kernel movement",
        "limit_kernel": "in closed form",
        "rate": "final rate",
        "limit_rate": "closed form of the rate",
    },
    words=study_words("lazy"),
)

EARLY_SECTION = study(
    title="compared with ridge regression",
    summary="Each network at every time of training, compared with the nearest ridge solution.",
    metrics={
        "ridge_gap": "gap to the ridge path / ‖Θ̂‖",
        "risk_best": "test risk at the best time",
        "risk_end": "test risk at the end",
        "ridge_best": "best test risk of ridge",
    },
    words=study_words("early"),
)
