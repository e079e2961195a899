"""The paper's numbers on its two experiments, and those of a run at its settings (Min et al. 2021, Appendix A)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from implicit_bias.figures.numerals import number
from implicit_bias.report.section import Column, SectionTable

CLOSE = 0.1
"""Relative deviation from a number of the paper from which it is called one."""


@dataclass(frozen=True)
class Printed:
    """A number of the paper.

    Attributes:
        quantity: what it measures.
        metric: the name of ours.
        place: param -> value of the points it belongs to.
        value: the number.
        printed: it is printed, not read off a plot.
        iteration: where the loss is taken, if that is not the end of the run.
        draws: the smallest and the largest value over other draws of U0, V0; what is among them does not deviate.
    """

    quantity: str
    metric: str
    place: Mapping[str, Any]
    value: float
    printed: bool = False
    iteration: int | None = None
    draws: tuple[float, float] | None = None


DISTANCE = "distance ‖UVᵀ − Θ̂‖"
LOSS = "loss at iteration 15,000"
NUMBERS = {
    "Figure 1": (
        Printed(DISTANCE, "distance", {"width": 500}, 0.79),
        Printed(DISTANCE, "distance", {"width": 9500}, 0.19),
        Printed("iterations to stop", "iterations", {"width": 500}, 67_000),
        Printed("iterations to stop", "iterations", {"width": 2000}, 58_000),
        Printed("iterations to stop", "iterations", {"width": 9500}, 57_600),
    ),
    "Figure 2": (
        Printed("imbalance c", "imbalance_c", {"width": 500, "case": "1"}, 6.02, printed=True),
        Printed("imbalance c", "imbalance_c", {"width": 500, "case": "2"}, 39.6, printed=True),
        Printed("imbalance c", "imbalance_c", {"width": 500, "case": "3"}, 20.1, printed=True),
        Printed(LOSS, "loss", {"width": 500, "case": "1"}, 3.6e-3),
        Printed(
            "loss at iteration 13,900",
            "loss",
            {"width": 500, "case": "2"},
            7e-9,
            iteration=13_900,
            draws=(2.07e-9, 1.36e-8),  # seeds 1 to 12 of the data of seed 0, docs/reproduction.md
        ),
        Printed(LOSS, "loss", {"width": 500, "case": "3"}, 1.1e-4),
        Printed(LOSS, "loss", {"width": 500, "case": "balanced"}, 0.021),
    ),
}
NOTE = (
    "The draws are ours: the paper's seeds are not published. Numbers marked ≈ are read off its plots, the others "
    "are printed."
)


LossAt = Callable[[str, int], float]
"""Key of a point, iteration -> its loss there."""


def reproduction(figure: str, points: pd.DataFrame, loss_at: LossAt) -> tuple[SectionTable | None, list[str]]:
    """The numbers of a figure of the paper and ours, and in words those that are not close.

    Args:
        figure: a key of NUMBERS.
        points: one row per finished point: `point`, `width`, `solver`, metrics; `case` for Figure 2.
        loss_at: the loss of a point on the way.
    """
    solvers = list(points["solver"].unique())
    rows, far = [], []
    for each in NUMBERS[figure]:
        chosen = points
        for name, value in each.place.items():
            chosen = chosen[chosen[name].astype(str) == str(value)]
        if chosen.empty:
            continue
        if each.iteration is not None:
            losses = [loss_at(str(key), each.iteration) for key in chosen["point"]]
            chosen = chosen.assign(**{each.metric: losses})
        by_solver = {solver: chosen.loc[chosen["solver"] == solver, each.metric] for solver in solvers}
        nearest = by_solver.get("gradient_descent", by_solver[solvers[0]])  # the paper trains by descent
        deviation, close = _deviation(each, nearest)
        place = each.place.get("case", f"h = {number(each.place['width'])}")
        where = f"case {place}" if str(place).isdigit() else str(place)
        paper = ("" if each.printed else "≈ ") + number(each.value)
        rows.append([each.quantity, where, paper, *(_ours(each, found) for found in by_solver.values()), deviation])
        if not close:
            far.append(f"{each.quantity}, {where}: {_ours(each, nearest)}, in the paper {paper} ({deviation}).")
    titles = ["quantity", "where", "paper", *(f"ours, {str(name).replace('_', ' ')}" for name in solvers), "deviation"]
    columns = [Column(title=title, numeric=i > 1) for i, title in enumerate(titles)]
    table = SectionTable(title=f"Compared with the paper's {figure}", columns=columns, rows=rows, note=NOTE)
    return (table if rows else None), far


def on_the_way(iterations: Sequence[float], losses: Sequence[float], iteration: float) -> float:
    """A loss between the iterations at which it is known, its logarithm linear in between; NaN beyond them."""
    steps, known = np.asarray(iterations, float), np.asarray(losses, float)
    with np.errstate(divide="ignore"):
        return float(np.exp(np.interp(iteration, steps, np.log(known), left=np.nan, right=np.nan)))


def _ours(each: Printed, found: "pd.Series[float]") -> str:
    """The mean over the runs; of a number that draws spread over decades, its median and its range."""
    if each.draws is None or len(found) < 2:
        return number(float(found.mean()), 4)
    ends = (number(float(end), 2) for end in (found.min(), found.max()))
    return f"median {number(float(found.median()), 2)}, {' to '.join(ends)}"


def _deviation(each: Printed, found: "pd.Series[float]") -> tuple[str, bool]:
    """How far our number is from the paper's, in words, and whether it is close."""
    if each.draws is not None:
        low, high = each.draws
        spread = f"draws spread from {number(low, 2)} to {number(high, 2)}"
        return spread, bool(low <= found.median() <= high)
    deviation = float(found.mean() / each.value - 1)
    whole = round(100 * deviation)
    return (f"{whole:+d} %" if whole else "0 %").replace("-", "\N{MINUS SIGN}"), abs(deviation) <= CLOSE
