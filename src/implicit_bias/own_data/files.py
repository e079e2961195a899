"""A table from a file, as people keep them: text, Parquet, Feather, Excel, NumPy; compressed or not."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from implicit_bias.own_data.arrays import read_npy, read_npz
from implicit_bias.own_data.header import has_header
from implicit_bias.own_data.text import COMPRESSIONS, read_text, said_of_header

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """What a file does not say about its form; None means that it is detected and logged.

    Attributes:
        header: whether the first line has the names of the columns.
        delimiter: what is between the cells of a line.
        decimal: the sign before the decimals, "." or ",".
    """

    header: bool | None = None
    delimiter: str | None = None
    decimal: str | None = None


def read_table(path: Path, name: str = "X", form: Format | None = None) -> Any:
    """Read a file as what `as_frame` takes: by its ending Parquet, Feather, Excel, .npy or .npz, else text.

    Args:
        path: the file.
        name: of several arrays in an .npz file, the one that is read.
        form: what is known of its form.

    Raises:
        ValueError: the file cannot be read as a table; the message is one line with the file.
    """
    form = form or Format()
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    reader = READERS.get(suffixes[-1] if suffixes else "", _text)
    try:
        return reader(path, name, form)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged file fails in as many ways as there are readers
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(reason if reason.startswith(str(path)) else f"{path}: {reason}") from None


def _text(path: Path, name: str, form: Format) -> pd.DataFrame:
    return read_text(path, form.header, form.delimiter, form.decimal)


def _excel(path: Path, name: str, form: Format) -> pd.DataFrame:
    with pd.ExcelFile(path) as book:
        grid = pd.read_excel(book, header=None)
        if len(book.sheet_names) > 1:
            logger.info("%s: sheet %r of %d is read", path, book.sheet_names[0], len(book.sheet_names))
    grid = grid.dropna(how="all").dropna(how="all", axis=1)
    if grid.empty:
        raise ValueError("it has no rows")
    cells = [["" if pd.isna(cell) else str(cell) for cell in row] for row in grid.head(30).to_numpy(dtype=object)]
    header = has_header(cells) if form.header is None else form.header
    said_of_header(path, header, cells[0])
    if not header:
        return grid.set_axis(range(grid.shape[1]), axis=1).reset_index(drop=True).infer_objects()
    names = [cell or f"Unnamed: {i}" for i, cell in enumerate(cells[0])]
    return grid.iloc[1:].set_axis(names, axis=1).reset_index(drop=True).infer_objects()


READERS: dict[str, Callable[[Path, str, Format], Any]] = {
    ".npy": lambda path, name, form: read_npy(path),
    ".npz": lambda path, name, form: read_npz(path, name),
    ".parquet": lambda path, name, form: pd.read_parquet(path),
    ".pq": lambda path, name, form: pd.read_parquet(path),
    ".feather": lambda path, name, form: pd.read_feather(path),
    ".xlsx": _excel,
    ".xls": _excel,
    ".ods": _excel,
}
