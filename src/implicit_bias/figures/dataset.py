"""Figures as files that a later node can read."""

import base64
import logging
from io import BytesIO
from typing import Any

import numpy as np
from kedro_datasets._typing import ImagePreview
from kedro_datasets.matplotlib import MatplotlibDataset
from matplotlib.image import imread, imsave

from implicit_bias.figures.page import PAPER
from implicit_bias.figures.style import PlainFigure

logger = logging.getLogger(__name__)

ASPECT = 1.5
"""Width over height of a preview: about that of the panel and of the window in which kedro-viz shows it."""


class FigureDataset(MatplotlibDataset):  # type: ignore[misc]  # it has no types
    """A matplotlib figure in a file, which loads as the bytes of that file.

    A text instead of a figure says why there is none. Then there is no file, or an empty one where the dataset is
    versioned, whose earlier versions stay; either way no bytes are loaded.
    """

    may_be_missing = True
    """A run that reads it does not ask for its file."""

    def save(self, data: Any) -> None:
        self._save_for_paper(data)
        if not isinstance(data, str):
            super().save(data)
            return
        logger.info("%s is not drawn: %s", self._filepath.name, data)
        if self._version:
            path = str(self._get_save_path())
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._fs.touch(path)
        elif self.exists():
            self._fs.rm(str(self._get_load_path()))
            self._invalidate_cache()

    def _save_for_paper(self, figure: Any) -> None:
        """Save a figure in the style of a paper as PDF, too; else remove the PDF that an earlier run has left."""
        pdf = self._filepath.parent / PAPER.name / f"{self._filepath.stem}.pdf"
        if isinstance(figure, PlainFigure) and figure.style == PAPER.name:
            self._fs.makedirs(str(pdf.parent), exist_ok=True)
            with self._fs.open(str(pdf), "wb") as file:
                figure.savefig(file, format="pdf", metadata={"CreationDate": None})
        elif self._fs.exists(str(pdf)):
            self._fs.rm(str(pdf))

    def load(self) -> Any:
        if not self.exists():
            return b""
        with self._fs.open(str(self._get_load_path()), "rb") as file:
            return file.read()

    def preview(self) -> ImagePreview:
        """The PNG in the middle of a white page of 3 to 2, or nothing where there is no figure.

        kedro-viz squeezes wider pictures into its panel, and crops them when it enlarges them.
        """
        figure = self.load()
        if not figure:
            return ImagePreview("")
        picture = imread(BytesIO(figure), format="png")
        height, width = picture.shape[:2]
        margin = max(0, round(width / ASPECT) - height)
        page = np.pad(picture, ((margin // 2, margin - margin // 2), (0, 0), (0, 0)), constant_values=1.0)
        file = BytesIO()
        imsave(file, page, format="png")
        return ImagePreview(base64.b64encode(file.getvalue()).decode())
