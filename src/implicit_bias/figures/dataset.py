"""Figures as files that a later node can read."""

import logging
from typing import Any

from kedro_datasets.matplotlib import MatplotlibDataset

logger = logging.getLogger(__name__)


class FigureDataset(MatplotlibDataset):  # type: ignore[misc]  # it has no types
    """A matplotlib figure in a file, which loads as the bytes of that file.

    A text instead of a figure says why there is none. Then there is no file, or an empty one where the dataset is
    versioned, whose earlier versions stay; either way no bytes are loaded.
    """

    may_be_missing = True
    """A run that reads it does not ask for its file."""

    def save(self, data: Any) -> None:
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

    def load(self) -> Any:
        if not self.exists():
            return b""
        with self._fs.open(str(self._get_load_path()), "rb") as file:
            return file.read()
