"""The figure of early stopping: runs at finite times and the path of ridge regression."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from implicit_bias.figures.palette import BLACK, COLOURS, GREY
from implicit_bias.figures.spans import Array, Table, floats, positive
from implicit_bias.figures.style import fit_axis, panels

PENALTY = r"$1/\lambda$ of the nearest ridge solution"


def early_figure(runs: Mapping[str, Table], paths: Table) -> Figure:
    """Test risk, gap to the ridge path, and the time at which each ridge solution is met.

    Args:
        runs: label -> `curve/ridge_lambda`, `curve/ridge_gap`, `time` (a + b) t, and maybe `curve/risk`.
        paths: `penalty` of the ridge path, `flow_penalty` and `flow_gap` of single-layer gradient flow at 1 /
            `penalty`, and maybe `risk`, `flow_risk` of both and `ridgeless` of the min-norm solution.
    """
    ridge, flow = 1 / floats(paths["penalty"]), 1 / positive(paths["flow_penalty"])
    shown: list[Array] = []
    with panels(3, (11.0, 3.5)) as (figure, (left, middle, right)):
        if "risk" in paths:
            unit = float(floats(paths["ridgeless"]))
            shown = [floats(paths[name]) / unit for name in ("risk", "flow_risk")]
            left.plot(ridge, shown[0], color=BLACK, lw=1.2, label="ridge regression")
            left.plot(flow, shown[1], "--", color=GREY, lw=1.2, label="one layer")
        else:
            left.text(0.5, 0.5, "no held-out rows", ha="center", transform=left.transAxes, color=GREY)
        middle.plot(flow, positive(paths["flow_gap"]), "--", color=GREY, lw=1.2)
        right.plot(ridge, ridge, color=BLACK, lw=1, label=r"$\lambda=1/((a+b)t)$")
        right.plot(ridge, flow, "--", color=GREY, lw=1.2, label="one layer")
        for (label, run), colour in zip(runs.items(), cycle(COLOURS), strict=False):
            met = 1 / positive(run["curve/ridge_lambda"])  # gaps where lambda is 0 or infinite
            if "curve/risk" in run:
                risk = floats(run["curve/risk"]) / unit
                left.plot(met, risk, color=colour)
                shown.append(np.array([risk.min(), risk[-1]]))
            middle.plot(met, positive(run["curve/ridge_gap"]), color=colour, label=label)
            right.plot(positive(run["time"]), met, color=colour)
        gaps = [paths["flow_gap"], *(run["curve/ridge_gap"] for run in runs.values())]
        fit_axis(left, "y", *shown, [], zero=False)
        fit_axis(middle, "y", *gaps, log=True, floor=1e-4, room=30)
        fit_axis(right, "y", ridge, log=True)
        for ax in (left, middle, right):
            fit_axis(ax, "x", ridge, log=True)
        if left.lines:
            left.legend(loc="best")
        middle.legend(loc="upper right", ncols=2)
        right.legend(loc="lower right")
        left.set(xlabel=PENALTY, ylabel="test risk / that of the min-norm solution")
        middle.set(xlabel=PENALTY, ylabel=r"gap to the ridge path / $\|\hat\Theta\|_F$")
        right.set(xlabel="rescaled flow time $(a+b)\\,t$", ylabel=PENALTY)
    return figure
