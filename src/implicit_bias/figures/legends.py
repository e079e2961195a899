"""Legends, and the room for them in panels whose axes are fixed in advance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from implicit_bias.figures.numerals import percent
from implicit_bias.figures.page import current_page
from implicit_bias.figures.spans import DEEPEST, Table, floats, largest

LEGEND_FROM = 0.3  # where a legend in the upper right begins, as a part of the width of its panel
LETTER = 0.55  # mean width of a letter, as a part of its size
HANDLE = 3.5  # width of a line and the space around it in a legend, in letters of full width

LOSS_BOUNDS = {"bound": ("--", "guaranteed (Theorem 1)"), "certified": (":", "certified after training")}
"""Bounds of the loss that are drawn of several runs at once: their lines and labels."""


def legend_share(ax: Axes) -> float:
    """Part of the height of a panel that its legend takes up."""
    inches = ax.get_window_extent().height / ax.figure.dpi
    return 0.03 + current_page().legend_line / inches * len(ax.get_legend_handles_labels()[0])


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


def name_of_law(law: Table) -> str:
    """What the law of the distance is called, with the level of its band if it has one and the level is known."""
    if "lower" not in law:
        return "law"
    delta = floats(law.get("delta", ()))
    return f"law, {percent(1 - delta[0])} band" if delta.size else "law and its band"


def legend_beside(ax: Axes, handles: Sequence[Any], title: str = "") -> None:
    """A legend to the right of a panel; on a page with columns below the figure, which becomes higher by it."""
    page, figure = current_page(), ax.get_figure(root=True)
    if page.column is None or figure is None:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title or None)
        return
    columns = columns_of_legend(handles, figure.get_size_inches()[0])
    extra = page.legend_line * (-(-len(handles) // columns) + bool(title)) + 0.1
    width, height = figure.get_size_inches()
    below, above = (edge * height + extra for edge in (figure.subplotpars.bottom, figure.subplotpars.top))
    figure.set_size_inches(width, height + extra)
    figure.subplots_adjust(bottom=below / (height + extra), top=above / (height + extra))
    figure.legend(handles=handles, loc="lower center", ncols=columns, columnspacing=1.2, title=title or None)


def columns_of_legend(handles: Sequence[Any], width: float) -> int:
    """Columns of a legend that so many inches have room for."""
    size = float(current_page().settings.get("legend.fontsize", 8)) / 72
    longest = max(len(str(handle.get_label()).replace("\\", "").replace("$", "")) for handle in handles)
    each = size * (HANDLE + LETTER * longest)
    return int(max(1, min(len(handles), width // each)))
