"""Tables in text: delimiter, decimal sign, encoding and header are found, and what was taken is logged."""

import csv
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from implicit_bias.own_data.header import has_header, in_order, is_number

COMPRESSIONS = {".gz", ".zip", ".bz2", ".xz"}
DELIMITERS = ("\t", ";", ",", "|")
"""In the order in which they are preferred: a comma may be a decimal sign."""

SPACES = r"\s+"
LOOKED_AT = 30
"""Lines from which the form of a file is told."""

DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
THOUSANDS_OR_DECIMALS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
NAMES = {"\t": "tabs", SPACES: "spaces"}
TO_THE_LAST_BIT: dict[str, Any] = (
    {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
)
"""How pandas is asked to read numbers so; from 3.1 on it does by itself, and deprecates the argument."""

logger = logging.getLogger(__name__)


def read_text(path: Path, header: bool | None, delimiter: str | None, decimal: str | None) -> pd.DataFrame:
    """A table in text; blank lines and lines that begin with # are skipped.

    Args:
        path: the file; compressed if it ends in .gz, .zip, .bz2 or .xz.
        header: whether the first line names the columns; None means that it is told from the lines below.
        delimiter: between cells; None means whichever of tab, semicolon, comma, | and spaces cuts all lines alike.
        decimal: "." or ","; None means a comma if numbers have one that is no delimiter.

    Raises:
        ValueError: there is no line of numbers, or the form cannot be told.
    """
    lines = [line for line in _decoded(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("it has no rows of numbers")
    looked_at = lines[:LOOKED_AT]
    delimiter = delimiter or _delimiter(looked_at)
    cells = _cells(looked_at, delimiter)
    decimal = decimal or _decimal(path, cells, delimiter)
    header = has_header(cells) if header is None else header
    said_of_header(path, header, cells[0])
    if delimiter != SPACES and len(cells) > 1 and all(len(line) > len(cells[0]) and not line[-1] for line in cells[1:]):
        lines[0] += delimiter * (len(cells[1]) - len(cells[0]))
    frame = pd.read_csv(
        io.StringIO("\n".join(lines)),
        sep=delimiter,
        decimal=decimal,
        header=0 if header else None,
        skipinitialspace=True,
        low_memory=False,
        **TO_THE_LAST_BIT,
    )
    if frame.index.nlevels > 1:
        raise ValueError(f"the header has {len(cells[0])} cells, the line below {len(cells[1])}")
    return _without_empty_ends(path, frame)


def said_of_header(path: Path, header: bool, first: Sequence[str]) -> None:
    """Log what the first line of a file was taken for, where it might have been taken otherwise."""
    numbers = [cell for cell in first if is_number(cell)]
    if not numbers or not (header or in_order(numbers)):
        return
    shown = ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")
    logger.info("%s: the first line is taken as %s (%s)", path, "names of columns" if header else "a sample", shown)


def _decoded(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16 with a mark of order, otherwise in Windows' western code page."""
    import fsspec

    with fsspec.open(str(path), "rb", compression="infer") as file:
        content: bytes = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("neither text nor a file of another known ending")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        logger.info("%s: not UTF-8, read as cp1252 (latin-1)", path)
        return content.decode("cp1252", errors="replace")


def _delimiter(lines: Sequence[str]) -> str:
    """What cuts all lines into the same number of cells, two or more; else what is in all of them."""
    for candidate in (*DELIMITERS, SPACES):
        sizes = {len(cells) for cells in _cells(lines, candidate)}
        if len(sizes) == 1 and sizes != {1}:
            return candidate
    for candidate in DELIMITERS:
        if all(candidate in line for line in lines):
            return candidate
    return ","


def _cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    if delimiter == SPACES:
        return [line.split() for line in lines]
    return [[cell.strip() for cell in cells] for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]


def _decimal(path: Path, lines: Sequence[Sequence[str]], delimiter: str) -> str:
    """The decimal sign of the numbers."""
    commas = [cell for line in lines for cell in line if DECIMAL_COMMA.fullmatch(cell)]
    if not commas:
        return "."
    if all(THOUSANDS_OR_DECIMALS.fullmatch(cell) for cell in commas):
        raise ValueError(f"{commas[0]} may have decimals or thousands: say --decimal , or write it without the comma")
    logger.info("%s: decimal commas, cells between %s", path, NAMES.get(delimiter, repr(delimiter)))
    return ","


def _without_empty_ends(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """A frame without the empty columns and rows at its ends that spreadsheets leave."""
    rows, columns = len(frame), frame.shape[1]
    while columns > 1 and _is_unnamed(frame.columns[columns - 1]) and frame.iloc[:, columns - 1].isna().all():
        columns -= 1
    while rows > 1 and frame.iloc[rows - 1].isna().all():
        rows -= 1
    if (rows, columns) == frame.shape:
        return frame
    left_out = len(frame) - rows, frame.shape[1] - columns
    logger.info("%s: %d empty rows and %d empty columns at the end left out", path, *left_out)
    return frame.iloc[:rows, :columns]


def _is_unnamed(column: object) -> bool:
    return isinstance(column, int) or str(column).startswith("Unnamed: ")
