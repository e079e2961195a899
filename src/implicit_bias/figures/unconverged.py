"""Runs that ended before they converged, and the rings that mark them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from implicit_bias.figures.palette import BLACK
from implicit_bias.figures.spans import Table, floats, positive
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, SADDLE, SLOW, TIME_LIMIT

LIMITS = (TIME_LIMIT, ITERATION_LIMIT)
RING: dict[str, Any] = {
    "ls": "",
    "marker": "o",
    "ms": 9,
    "mfc": "none",
    "mec": BLACK,
    "mew": 1,
    "label": "not converged",
}


def at_a_limit(points: Table) -> NDArray[np.bool_]:
    """Which runs reached a limit before their tolerance; runs without a tolerance are meant to end there.

    Args:
        points: where known `stop_reason` and `tolerance`, one entry per run.
    """
    if not {"stop_reason", "tolerance"} <= set(points):
        return np.zeros(np.size(next(iter(points.values()))), bool)
    return np.isin(np.asarray(points["stop_reason"], str), LIMITS) & np.isfinite(floats(points["tolerance"]))


def unconverged(points: Table) -> NDArray[np.bool_]:
    """Which runs reached a limit before their tolerance, became too slow to continue, or ended at a saddle."""
    reasons = np.asarray(points["stop_reason"], str) if "stop_reason" in points else ""
    return at_a_limit(points) | np.isin(reasons, (SLOW, SADDLE))


def mark_unconverged(ax: Axes, points: Table, x: ArrayLike, y: ArrayLike) -> list[Line2D]:
    """A ring around each run that has not converged; returns its entry of a legend, if there is one.

    Args:
        ax: the panel.
        points: as `unconverged` takes them.
        x: where each run is drawn.
        y: the same, upwards.
    """
    return draw_rings(ax, unconverged(points), x, y)


def draw_rings(ax: Axes, chosen: NDArray[np.bool_], x: ArrayLike, y: ArrayLike) -> list[Line2D]:
    """A ring around each chosen place; returns its entry of a legend, if there is one."""
    return ax.plot(floats(x)[chosen], positive(floats(y)[chosen]), **RING) if chosen.any() else []
