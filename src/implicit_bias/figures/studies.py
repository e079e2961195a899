"""The figures of studies and of the claims, by study and by picture: what draws each, and its words."""

from typing import TYPE_CHECKING

from implicit_bias.figures import findings
from implicit_bias.figures.claims import claims_figure
from implicit_bias.figures.comparison import comparison_figure
from implicit_bias.figures.descent import gap_figure, step_figure
from implicit_bias.figures.early import early_figure
from implicit_bias.figures.lazy import gaps_figure, kernel_figure
from implicit_bias.figures.questions import questions_figure
from implicit_bias.sweeps.figure import StudyFigure, Words, silent

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS = {
    "questions": StudyFigure(
        Words(
            "What the law answers before training",
            "Left, the band of predictions at each width. Middle, the expected excess test risk. Right, the width "
            "needed for a tolerance.",
        ),
        questions_figure,
    )
}

LAZY = {
    "gaps": StudyFigure(
        Words(
            "How far networks are from their linearised and infinite-width flows",
            "Largest gap along the run, of the loss above and of the distance to Θ̂ below, relative to its start.",
            findings.flow_gaps,
            silent,
        ),
        gaps_figure,
    ),
    "kernel": StudyFigure(
        Words(
            "How far the tangent kernel moves, and the final rate",
            "Dots are simulated, lines the closed form of an infinitely wide network.",
            findings.kernel,
            silent,
        ),
        kernel_figure,
    ),
}

EARLY = {
    "early": StudyFigure(
        Words(
            "Early stopping and ridge regression",
            "Left, the test risk, if rows are held out. Middle, the distance from the ridge path. Right, the time at "
            "which a run is nearest to each ridge solution.",
            findings.early,
            silent,
        ),
        early_figure,
    )
}

DESCENT = {
    "gaps": StudyFigure(
        Words(
            "Descent and flow, by iteration and by time",
            "Iteration k of a step η on the averaged loss stands for the flow time 2ηk/n. Left and middle, one start "
            "with halved steps; right, the largest distance from the flow against the step, of every start.",
            findings.order_in_step,
        ),
        gap_figure,
    ),
    "steps": StudyFigure(
        Words(
            "Largest step and fastest rate against imbalance",
            "Marks are measured; lines are predictions from the kernel and the flow, and bounds.",
            findings.steps,
        ),
        step_figure,
    ),
}


def _told(claims: "pd.DataFrame") -> str:
    return f"{len(claims)} claims, {findings.violations(claims)}. The table below has their numbers."


CLAIMS = {
    "claims": StudyFigure(
        Words(
            "How far each claim is from breaking",
            "One row per claim: its median, its worst case and its limit, as relative error, ratio of the two "
            "sides, or deviation of a power.",
            alt=_told,
        ),
        claims_figure,
    )
}

COMPARE = {
    "compare": StudyFigure(
        Words(
            "Two tracked runs",
            "Left, their losses with the bounds; right, their distances with the law, against the width where both "
            "have several, else along the runs.",
        ),
        comparison_figure,
    )
}
