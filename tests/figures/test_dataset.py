"""Figures as files, and what kedro-viz shows of them."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from implicit_bias.figures.dataset import ASPECT, FigureDataset


@pytest.mark.parametrize("size", [(9, 3), (3, 4)], ids=["wide", "tall"])
def test_a_preview_holds_the_whole_figure_and_is_not_wider_than_a_page(tmp_path: Path, size: tuple[int, int]) -> None:
    dataset = FigureDataset(filepath=str(tmp_path / "figure.png"))
    figure = Figure(size, dpi=50)
    figure.subplots().plot([0, 1], [1, 0])
    dataset.save(figure)

    page = imread(BytesIO(base64.b64decode(dataset.preview())), format="png")
    drawn = imread(BytesIO(dataset.load()), format="png")

    assert page.shape[1] <= ASPECT * page.shape[0] + 1
    above = (len(page) - len(drawn)) // 2
    below = len(page) - len(drawn) - above
    assert np.array_equal(page[above : len(page) - below], drawn)
    assert np.all(page[:above] == 1)
    assert np.all(page[len(page) - below :] == 1)
    assert (above > 0) == (size == (9, 3))


def test_no_figure_has_an_empty_preview(tmp_path: Path) -> None:
    dataset = FigureDataset(filepath=str(tmp_path / "figure.png"))
    dataset.save("there is nothing to draw")
    assert dataset.preview() == ""
