"""The sections of the studies of a sweep, from one row per point."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from implicit_bias.report import findings
from implicit_bias.report.section import Origin, Picture, Section
from implicit_bias.report.tables import result_table


@dataclass(frozen=True)
class Study:
    """What a study adds to the points of a sweep.

    Attributes:
        title: of its section, after that of the sweep.
        summary: what it compares every point with.
        metrics: its metrics and their titles; the first is one that every point has.
        pictures: name -> title, what is drawn, and what it shows.
    """

    title: str
    summary: str
    metrics: Mapping[str, str]
    pictures: Mapping[str, tuple[str, str, Callable[[pd.DataFrame], str]]]


STUDIES = {
    "lazy": Study(
        title="linearised and infinite-width flows",
        summary="Each network compared with its linearised flow, whose tangent kernel stays that of the start, and "
        "with the flow of an infinitely wide one.",
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
        pictures={
            "gaps": (
                "How far networks are from their linearised and infinite-width flows",
                "Largest gap along the run, of the loss above and of the distance to Θ̂ below, relative to its start.",
                findings.gaps,
            ),
            "kernel": (
                "How far the tangent kernel moves, and the final rate",
                "Dots are simulated, lines the closed form of an infinitely wide network.",
                findings.kernel,
            ),
        },
    ),
    "early": Study(
        title="compared with ridge regression",
        summary="Each network at every time of training, compared with the nearest ridge solution.",
        metrics={
            "ridge_gap": "gap to the ridge path / ‖Θ̂‖",
            "risk_best": "test risk at the best time",
            "risk_end": "test risk at the end",
            "ridge_best": "best test risk of ridge",
        },
        pictures={
            "early": (
                "Early stopping and ridge regression",
                "Left, the test risk where there are held-out rows; middle, the distance from the ridge path; right, "
                "when each ridge solution is met.",
                findings.early,
            )
        },
    ),
}
"""Studies by name."""


def study_section(name: str, origin: Origin, planned: int, points: pd.DataFrame) -> Section:
    """What the report says of a study.

    Args:
        name: a key of STUDIES.
        origin: the run of the sweep, and the study's pictures.
        planned: how many points the sweep has planned.
        points: one row per finished point of the sweep, the metrics of the study among them.
    """
    study = STUDIES[name]
    first = next(iter(study.metrics))
    compared = points[points[first].notna()] if first in points else points.iloc[:0]
    whole = len(compared) == planned
    results = result_table(compared, study.metrics)
    return Section(
        title=f"{origin.title('Sweep')}: {study.title}",
        summary=study.summary,
        outcome=f"{'all' if whole else f'{len(compared):,} of'} {planned:,} points compared",
        faults=[] if whole else [f"{planned - len(compared):,} points could not be compared."],
        pictures=[
            Picture.of(
                origin.images[picture], title, f"{drawn} {shows(compared) if len(compared) else ''}", f"{title}."
            )
            for picture, (title, drawn, shows) in study.pictures.items()
            if picture in origin.images
        ],
        tables=[results] if results else [],
        provenance=origin.provenance,
        tracked=origin.tracked,
    )
