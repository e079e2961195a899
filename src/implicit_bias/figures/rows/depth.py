"""The figure of a sweep over depths."""

from typing import TYPE_CHECKING, Any

from implicit_bias.figures.depth import depth_figure
from implicit_bias.figures.findings import depth
from implicit_bias.figures.rows.law import GUARANTEES
from implicit_bias.figures.widths import companion_figure
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Sweep


def _depths(results: Results) -> Any:
    return depth_figure(results.columns, results.sweep.alpha[0])


def _deepest(results: Results) -> Any:
    """The guarantees of the deepest networks."""
    deepest = int(results.table["depth"].max())
    return companion_figure(columns(results.table[results.table["depth"] == deepest]), depth=deepest)


def _one_gain(sweep: "Sweep") -> str:
    several = len(sweep.inner_gain) > 1
    return f"it shows one inner_gain, got {sweep.inner_gain}: figure scales compares several" if several else ""


DEPTH_FIGURE = SweepFigure(
    Words(
        "Distance and iterations against depth",
        "Left, the distance, multiplied by the power of the width with which it falls. Dots are runs; lines are the "
        "law at each depth, predicted before training. Middle, the same against depth. Right, the iterations to stop.",
        depth,
    ),
    _depths,
    kind="deep",
    companion=_deepest,
    companion_words=GUARANTEES,
    requires=_one_gain,
)
