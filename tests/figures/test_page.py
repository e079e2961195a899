"""Figures for a paper: as wide as its columns, with nothing cut off and every letter large enough to be read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from implicit_bias.figures.activations import activations_figure, frozen_figure
from implicit_bias.figures.depth import depth_figure
from implicit_bias.figures.lazy import gaps_figure, kernel_figure
from implicit_bias.figures.page import PAPER, current_page, drawn_for
from implicit_bias.figures.universality import universality_figure
from tests.figures.test_sweeps import FIGURES, runs
from tests.support.colours import check_colours
from tests.support.pictures import png

WIDTHS = np.repeat([100.0, 1000.0, 10000.0], 6)
SMALLEST = 5.0
"""Points that letters have at least; indices of formulas, which are smaller, are no texts of their own."""


def deep() -> dict[str, Any]:
    return {**runs(np.unique(WIDTHS), 6), "depth": np.tile([2, 2, 3, 3, 4, 4], 3), "law_rms": 18 / np.sqrt(WIDTHS)}


def lazy(alphas: int) -> dict[str, Any]:
    alpha = np.tile(np.resize(np.linspace(0.2, 0.6, alphas), 6), 3)
    columns = ("lin_loss", "lin_dist", "inf_loss", "inf_dist", "kernel_move", "limit_kernel", "rate", "limit_rate")
    scale = WIDTHS**-alpha
    return {"width": WIDTHS, "alpha": alpha, "sigma_u": scale, "sigma_v": scale} | dict.fromkeys(columns, scale)


def activations() -> dict[str, Any]:
    names = ("frozen_rms", "frozen_deviation", "frozen_bound", "kernel_move", "kernel_distance")
    return {"width": WIDTHS, "activation": np.tile(["relu", "erf"], 9)} | dict.fromkeys(names, 1 / WIDTHS)


def spread(name: str) -> dict[str, Any]:
    at = np.unique(WIDTHS)
    return {"activation": name, "width": at, "spread": 1 / at, "frozen": 0.9 / at, "rest": 0.1 / at}


DRAWN: dict[str, Callable[[], Figure]] = {
    **{name: FIGURES[name] for name in ("width", "wide", "imbalance", "imbalance, late end", "companion", "alpha")},
    **{name: FIGURES[name] for name in ("companion, far", "scales", "scales, cost", "plane")},
    "depth": lambda: depth_figure(deep() | {"rate": 1 / WIDTHS}),
    "gaps": lambda: gaps_figure(lazy(1)),
    "gaps, two parameters": lambda: gaps_figure(lazy(3)),
    "kernel": lambda: kernel_figure(lazy(3)),
    "activations": lambda: activations_figure([spread("relu"), spread("erf")], activations()),
    "activations, many": lambda: activations_figure([spread(name) for name in ("relu", "erf") * 3], activations()),
    "frozen": lambda: frozen_figure(activations(), 0.05),
    "universality": lambda: universality_figure(
        runs(np.unique(WIDTHS), 6) | {"initialization": np.tile(["uniform", "sign"], 9), "law_rms": 18 / WIDTHS**0.5},
        {"sign": 0.9},
        "law_rms",
        "law before training",
    ),
}


def check_whole(figure: Figure) -> None:
    """Nothing drawn ends outside the figure."""
    png(figure)
    width, height = figure.get_size_inches()
    drawn = figure.get_tightbbox()
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


@pytest.mark.parametrize("name", [name for name in DRAWN if name not in FIGURES])
def test_a_figure_for_a_screen_is_whole_and_its_colours_differ(name: str) -> None:
    figure = DRAWN[name]()
    check_whole(figure)
    check_colours(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_for_a_paper_fits_its_column_and_can_be_read(name: str) -> None:
    with drawn_for("paper"):
        figure = DRAWN[name]()
    width, height = figure.get_size_inches()
    assert width in (PAPER.column, PAPER.text)
    assert height <= 9.5, "a page is not higher"
    check_whole(figure)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= SMALLEST


def test_the_page_is_the_screen_again_after_a_figure_also_where_it_fails() -> None:
    with pytest.raises(ZeroDivisionError), drawn_for("paper"):
        raise ZeroDivisionError
    assert current_page().name == "screen"
