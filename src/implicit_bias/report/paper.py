"""What the paper prints of its two experiments, beside a run at its settings (Min et al. 2021, Appendix A)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from implicit_bias.numerals import number
from implicit_bias.report.section import Column, Table

CLOSE = 0.1
"""Relative deviation from a number of the paper from which it is called one."""

SIZES = {"n": 100, "D": 400, "m": 1}
FIGURE_1 = {"alpha": "0.5", "step_size": "0.005", "stop.tolerance": "1e-08", "stop.relative": "False"}
FIGURE_2 = {
    "cases.pairs": "(0.1, 0.1) (0.5, 0.02) (0.05, 0.2)",
    "step_size": "0.0005",
    "stop.tolerance": "None",
    "stop.max_iterations": "15000",
}
WHITENED = 1 + 1e-6
"""Largest condition number of data whose singular values are all 1."""


@dataclass(frozen=True)
class Printed:
    """A number of the paper.

    Attributes:
        quantity: what it measures.
        metric: the name of ours.
        place: param -> value of the points it belongs to.
        value: the number.
        printed: it is printed, not read off a plot.
        note: why it cannot be compared, where it cannot.
    """

    quantity: str
    metric: str
    place: Mapping[str, Any]
    value: float
    printed: bool = False
    note: str = ""


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
        Printed(LOSS, "loss", {"width": 500, "case": "2"}, 7e-9, note="the paper's is at iteration 13,900"),
        Printed(LOSS, "loss", {"width": 500, "case": "3"}, 1.1e-4),
        Printed(LOSS, "loss", {"width": 500, "case": "balanced"}, 0.021),
    ),
}
NOTE = (
    "The draws are ours: the paper's seeds are not published. Numbers marked ≈ are read off its plots, the others "
    "are printed."
)


def reproduced(params: Mapping[str, str], datasets: Sequence[Mapping[str, Any]]) -> str:
    """The figure of the paper whose settings a sweep has; empty if it has those of none."""
    if not datasets or any(entry.get(name) != size for entry in datasets for name, size in SIZES.items()):
        return ""
    if params.get("initialization") != "gaussian":
        return ""
    white = all(entry["cond"] <= WHITENED for entry in datasets)
    for figure, settings, whitened in (("Figure 1", FIGURE_1, False), ("Figure 2", FIGURE_2, True)):
        if white == whitened and all(params.get(name) == value for name, value in settings.items()):
            return figure
    return ""


def reproduction(figure: str, points: pd.DataFrame) -> tuple[Table | None, list[str]]:
    """The numbers of a figure of the paper beside ours, and in words those that are not close.

    Args:
        figure: a key of NUMBERS.
        points: one row a finished point: `width`, `solver`, metrics; `case` for Figure 2.
    """
    solvers = list(points["solver"].unique())
    rows, far = [], []
    for each in NUMBERS[figure]:
        chosen = points
        for name, value in each.place.items():
            chosen = chosen[chosen[name].astype(str) == str(value)]
        if chosen.empty:
            continue
        means = chosen.groupby("solver")[each.metric].mean().reindex(solvers)
        nearest = means.get("gradient_descent", means.iloc[0])  # the paper trains by descent
        place = each.place.get("case", f"h = {number(each.place['width'])}")
        where = f"case {place}" if str(place).isdigit() else str(place)
        paper = ("" if each.printed else "≈ ") + number(each.value)
        deviation = float(nearest / each.value - 1)
        whole = round(100 * deviation)
        percent = (f"{whole:+d} %" if whole else "0 %").replace("-", "\N{MINUS SIGN}")
        rows.append(
            [
                each.quantity,
                where,
                paper,
                *(number(mean, 4) for mean in means),
                each.note or percent,
            ]
        )
        if abs(deviation) > CLOSE and not each.note:
            far.append(f"{each.quantity}, {where}: {number(nearest, 4)}, in the paper {paper} ({percent}).")
    titles = ["quantity", "where", "paper", *(f"ours, {str(name).replace('_', ' ')}" for name in solvers), "deviation"]
    columns = [Column(title=title, numeric=i > 1) for i, title in enumerate(titles)]
    table = Table(title=f"Beside the paper's {figure}", columns=columns, rows=rows, note=NOTE)
    return (table if rows else None), far
