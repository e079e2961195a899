"""The page that figures are drawn for: a screen, or a column of a paper."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

BOTTOM, LEFT = 0.5, 0.65
"""Inches below the lowest and left of the first panel, for ticks and labels."""
BETWEEN, GAP = 0.75, 0.62
"""Inches between neighbouring panels: side by side, and one above the other."""


@dataclass(frozen=True)
class Page:
    """Sizes of everything on a figure.

    Attributes:
        name: the value of the parameter figure_style.
        settings: of matplotlib, beyond those of every figure.
        tick_size: of the numbers along axes, in points.
        legend_line: height of an entry of a legend, in inches.
        column: width of a column in inches; None where figures have the width that they ask for.
        text: width of the text, of all columns together.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    tick_size: float = 8
    legend_line: float = 0.175
    column: float | None = None
    text: float | None = None


SCREEN = Page("screen")
PAPER = Page(
    "paper",
    settings={
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "legend.fontsize": 7,
        "legend.title_fontsize": 7,
        "lines.linewidth": 1.3,
        "lines.markersize": 3.5,
        "pdf.fonttype": 42,  # letters as letters: publishers refuse the default, Type 3
    },
    tick_size=7,
    legend_line=0.15,
    column=3.4,
    text=6.9,
)
PAGES = {page.name: page for page in (SCREEN, PAPER)}

MOST_STACKED = 3
"""Panels that are drawn one above the other in a column; of more, all have the width of the text."""
HEIGHTS = 1.9, 2.2
"""Inches that a panel on a column is high, at least and at most."""

_page: ContextVar[Page] = ContextVar("page", default=SCREEN)


def current_page() -> Page:
    """The page that figures are drawn for now."""
    return _page.get()


@contextmanager
def drawn_for(style: str) -> Iterator[None]:
    """Draw figures for a page, by the name of PAGES."""
    token = _page.set(PAGES[style])
    try:
        yield
    finally:
        _page.reset(token)


@dataclass(frozen=True)
class Layout:
    """Where the panels of a figure are, in inches."""

    rows: int
    columns: int
    width: float
    height: float
    top: float
    right: float
    gap: float
    width_ratios: Sequence[float] | None

    @property
    def panel(self) -> tuple[float, float]:
        """Mean width, and height, of a panel."""
        across = self.width - LEFT - self.right - BETWEEN * (self.columns - 1)
        up = self.height - BOTTOM - self.top - self.gap * (self.rows - 1)
        return across / self.columns, up / self.rows

    def on(self, page: Page) -> "Layout":
        """The same panels on a page: as they are, below each other in a column, or across its text."""
        if page.column is None or page.text is None:
            return self
        count = self.rows * self.columns
        stacked = count <= MOST_STACKED
        rows, columns = (count, 1) if stacked else (self.rows, self.columns)
        right = min(self.right, 0.15)
        width = page.column if stacked else page.text
        across = (width - LEFT - right - BETWEEN * (columns - 1)) / columns
        least, most = HEIGHTS
        up = min(max(self.panel[1] * across / self.panel[0], least), most) if stacked else self.panel[1]
        height = BOTTOM + self.top + self.gap * (rows - 1) + up * rows
        return Layout(rows, columns, width, height, self.top, right, self.gap, None if stacked else self.width_ratios)
