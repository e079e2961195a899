"""The figure of claims: one row per claim, how far it is from breaking."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from implicit_bias.figures.palette import BLACK, BLUE, GREY, LIGHT, VERMILLION
from implicit_bias.figures.style import PlainFigure, plain_style

SMALLEST = 1e-17
"""Errors below this one, zero among them, are drawn here."""


def claims_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Median and worst tightness of each claim next to its limit.

    Args:
        rows: `claim`, `statement`, `kind`, `met`, `held`, `violations`, `tight`, `typical`, `limit` of each claim.
    """
    height = 0.235 * len(rows) + 1.0
    with plain_style():
        figure = PlainFigure(figsize=(10.5, height))
        ax = figure.subplots()
        figure.subplots_adjust(left=0.45, right=0.86, top=1 - 0.45 / height, bottom=0.5 / height)
        for y, row in enumerate(rows):
            _draw_row(ax, y, row)
        ax.set(xscale="log", xlim=(SMALLEST / 3, 30), ylim=(len(rows) - 0.4, -0.6))
        ax.set_yticks(range(len(rows)), [f"{row['statement']}   {row['claim']}" for row in rows], fontsize=7.5)
        ax.set_xticks([1e-16, 1e-12, 1e-8, 1e-4, 1])
        ax.set_xlabel("relative error, ratio of the two sides, or deviation of a power")
        ax.tick_params(axis="y", length=0)
        ax.grid(True, axis="x", color=LIGHT, lw=0.6)
        ax.text(1.02, 1.01, "held / hypotheses met", transform=ax.transAxes, fontsize=7.5, color=GREY)
        figure.legend(handles=_legend(), loc="upper left", ncols=5, bbox_to_anchor=(0.01, 1.0))
    return figure


def _draw_row(ax: Any, y: int, row: Mapping[str, Any]) -> None:
    ax.axhline(y, color=LIGHT, lw=0.6)
    ax.text(1.02, y, f"{row['held']} / {row['met']}", transform=ax.get_yaxis_transform(), va="center", fontsize=7.5)
    if not row["met"]:
        ax.plot([1], [y], "o", color=GREY, mfc="white")
        return
    typical, worst = (min(max(float(row[name]), SMALLEST), 20.0) for name in ("typical", "tight"))
    colour = VERMILLION if row["violations"] else BLUE
    ax.plot([typical, worst], [y, y], color=colour, lw=1)
    ax.plot([typical], [y], "|", color=colour, ms=6)
    ax.plot([worst], [y], "X" if row["violations"] else "o", color=colour, ms=6 if row["violations"] else 4.5)
    if np.isfinite(row["limit"]):
        marker = 9 if row["kind"] == "counterexample" else 8  # carets: to the right of, to the left of the limit
        ax.plot([row["limit"]], [y], marker=marker, color=BLACK, ms=4, ls="")


def _legend() -> list[Line2D]:
    def mark(marker: Any, colour: str, label: str, **style: Any) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, label=label, **style)

    return [
        mark("o", BLUE, "worst, claim holds", ms=4.5),
        mark("|", BLUE, "median", ms=6),
        mark("X", VERMILLION, "worst, violated", ms=6),
        mark("o", GREY, "hypotheses unmet", mfc="white", ms=4.5),
        mark(8, BLACK, "limit: below ◂, above ▸", ms=4),
    ]
