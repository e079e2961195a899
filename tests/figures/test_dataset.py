"""Figures as files, and what kedro-viz shows of them."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from implicit_bias.figures.dataset import ASPECT, FigureDataset
from implicit_bias.figures.page import drawn_for
from implicit_bias.figures.style import panels


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


def test_a_figure_for_a_paper_is_a_pdf_too_until_one_for_a_screen_takes_its_place(tmp_path: Path) -> None:
    dataset = FigureDataset(filepath=str(tmp_path / "width.png"))
    pdf = tmp_path / "paper" / "width.pdf"
    for style in ("paper", "screen", "paper"):
        with drawn_for(style), panels(1, (5.0, 3.0)) as (figure, (ax,)):
            ax.plot([0, 1], [1, 0])
        dataset.save(figure)
        assert pdf.exists() == (style == "paper")
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/FontType 3" not in content
    assert b"/Type3" not in content
    dataset.save(figure)
    assert pdf.read_bytes() == content, "nothing in it tells the time"
    dataset.save("there is nothing to draw")
    assert not pdf.exists()
