"""Matrices from files that people keep: CSV, with or without a line of names, and .npy. Errors name file and place."""

import csv
from pathlib import Path

import numpy as np

from implicit_bias.theory.problem import Array, as_matrix


def read_matrix(path: Path) -> Array:
    """Read a finite matrix; a one-dimensional .npy array becomes a column.

    The first line of a CSV file is a header if none of its cells is a number; blank lines are skipped. Rows and columns
    in errors count from 1, rows of a CSV file are its lines.

    Raises:
        ValueError: the file cannot be read as a finite numeric matrix; the message is one line with the place.
    """
    try:
        return _read_npy(path) if path.suffix.lower() == ".npy" else _read_csv(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: neither a .npy nor a CSV file ({error})") from None


def _read_csv(path: Path) -> Array:
    rows: list[Array] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        first = True
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if first and not any(map(_is_number, cells)):
                first = False
                continue
            first = False
            row = _numbers(path, reader.line_num, cells)
            if rows and row.size != rows[0].size:
                raise ValueError(f"{path}: row {reader.line_num} has {row.size} columns, the rows above {rows[0].size}")
            rows.append(row)
    if not rows:
        raise ValueError(f"{path}: no rows of numbers")
    return np.array(rows)


def _numbers(path: Path, line: int, cells: list[str]) -> Array:
    """The finite numbers of one line."""
    try:
        row = np.array(cells, float)
    except ValueError:
        column = next(i for i, cell in enumerate(cells) if not _is_number(cell))
        what = repr(cells[column]) if cells[column].strip() else "an empty cell"
        raise ValueError(f"{path}: row {line}, column {column + 1}: {what} is not a number") from None
    if not np.all(np.isfinite(row)):
        column = int(np.argmin(np.isfinite(row)))
        raise ValueError(f"{path}: row {line}, column {column + 1}: {row[column]} is not finite")
    return row


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_npy(path: Path) -> Array:
    try:
        raw = np.load(path, mmap_mode="r", allow_pickle=False)  # nothing is allocated on the word of a header
    except OSError:
        raise
    except Exception as error:  # a damaged header fails in too many ways to list
        raise ValueError(f"{path}: not a .npy file of numbers ({str(error).partition(chr(10))[0][:200]})") from None
    if not isinstance(raw, np.ndarray) or raw.dtype.kind not in "biuf":
        raise ValueError(f"{path}: real numbers are needed, got {getattr(raw, 'dtype', 'an archive')}")
    return as_matrix(str(path), raw)
