"""Room for the legends of panels whose axes are fixed in advance."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from implicit_bias.figures.spans import DEEPEST, floats, largest

LEGEND_FROM = 0.3  # where a legend in the upper right begins, as a part of the width of its panel


def legend_share(ax: Axes) -> float:
    """Part of the height of a panel that its legend takes up."""
    inches = ax.get_window_extent().height / ax.figure.dpi
    return 0.03 + 0.175 / inches * len(ax.get_legend_handles_labels()[0])


def headroom(ax: Axes, *curves: tuple[ArrayLike, ArrayLike]) -> float:
    """Upper end of a linear axis that keeps curves clear of a legend in the upper right."""
    last = max((largest(x) for x, _ in curves), default=0.0)
    under = max((largest(floats(y)[floats(x) > LEGEND_FROM * last]) for x, y in curves), default=0.0)
    return under / (1 - legend_share(ax))


def room_of_legend(values: ArrayLike, ax: Axes) -> float:
    """Factor above the values of a logarithmic axis that its legend takes up."""
    share = legend_share(ax)
    shown = floats(values)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    span = largest(shown) / max(float(np.min(shown)), DEEPEST * largest(shown)) if shown.size else 1.0
    return float(max(span, 10.0) ** (share / (1 - share)))
