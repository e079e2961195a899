"""Figures as files that a later node can read."""

from typing import Any

from kedro_datasets.matplotlib import MatplotlibDataset


class FigureDataset(MatplotlibDataset):  # type: ignore[misc]  # it has no types
    """A matplotlib figure in a file, which loads as the bytes of that file."""

    def load(self) -> Any:
        with self._fs.open(str(self._get_load_path()), "rb") as file:
            return file.read()
