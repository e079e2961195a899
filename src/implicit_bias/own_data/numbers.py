"""The numbers of a table as a float64 matrix. Errors name row and column."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from implicit_bias.own_data.tables import column_names
from implicit_bias.theory.problem import Array

SHORT_FLOATS = {
    "float16": np.finfo(np.float16).eps,
    "halffloat[pyarrow]": np.finfo(np.float16).eps,
    "float32": np.finfo(np.float32).eps,
    "float[pyarrow]": np.finfo(np.float32).eps,
}
"""Machine epsilon of types below float64, as pandas calls them."""

EXACT = 2**53
"""The largest integer up to which float64 holds all of them."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Matrix:
    """The numbers of some columns of a table.

    Attributes:
        name: what messages call the table.
        columns: names of its columns, as text.
        numbers: (n, columns) finite float64.
        eps: (columns,) machine epsilon of the type that each column came in.
    """

    name: str
    columns: tuple[str, ...]
    numbers: Array
    eps: Array


def to_matrix(name: str, frame: pd.DataFrame) -> Matrix:
    """The finite numbers of a frame; integers, booleans and other floats are converted to float64 with a note.

    Raises:
        ValueError: a column holds anything but real numbers, a value is missing or infinite, or an integer is not exact
            as float64.
    """
    columns, dtypes = tuple(map(str, frame.columns)), frame.dtypes.to_numpy()
    names: dict[Any, str] = {dtype: str(dtype) for dtype in set(dtypes)}
    kinds = {dtype: "O" if names[dtype] == "category" else getattr(dtype, "kind", "O") for dtype in names}
    suspects, integers = (
        [i for i, dtype in enumerate(dtypes) if (kinds[dtype] in given) == inside]
        for given, inside in (("biuf", False), ("iu", True))
    )
    _refuse_other_than_numbers(name, frame, columns, suspects)
    values = np.ascontiguousarray(frame.to_numpy(dtype=float, na_value=np.nan))
    _refuse_missing(name, frame, columns, values)
    _refuse_inexact(name, frame, columns, values, integers)
    others = {dtype for dtype, each in names.items() if each not in ("float64", "Float64")}
    if others:
        count, of = sum(dtype in others for dtype in dtypes), ", ".join(sorted(names[dtype] for dtype in others))
        logger.info("%s: %d of %d columns converted to float64 from %s", name, count, len(columns), of)
    precision = {dtype: SHORT_FLOATS.get(each.lower(), np.finfo(float).eps) for dtype, each in names.items()}
    eps = np.array([precision[dtype] for dtype in dtypes])
    return Matrix(name, columns, values, eps)


def _refuse_other_than_numbers(name: str, frame: pd.DataFrame, columns: Sequence[str], suspects: Sequence[int]) -> None:
    """Columns without a numeric type may hold numbers all the same, such as decimals of a database or mixed ones."""
    bad: dict[int, Any] = {}
    for i in suspects:
        column = frame.iloc[:, i]
        if str(column.dtype) == "category":
            bad[i] = (0, column.iloc[0])
            continue
        for row, value in enumerate(column.to_list()):
            if type(value) is float:
                continue
            if not (_is_missing(value) or isinstance(value, Real | Decimal | np.bool_)):
                bad[i] = _first_word(column) if isinstance(value, str) else (row, value)
                break
            if isinstance(value, Integral) and abs(int(value)) > EXACT:
                raise ValueError(_inexact(name, frame, row, columns[i], value))
    if bad:
        first, (row, value) = next(iter(bad.items()))
        raise ValueError(
            f"{name}: no numbers in {column_names([columns[i] for i in bad])} ({value!r} in {_row(frame, row)} of "
            f"{columns[first]!r}): leave them out or turn them into numbers"
        )


def _refuse_inexact(
    name: str, frame: pd.DataFrame, columns: Sequence[str], values: Array, integers: Sequence[int]
) -> None:
    """Integers of 64 bits beyond 2^53 are not those they become."""
    large = np.abs(values[:, integers]).max(axis=0, initial=0) >= EXACT
    for i in np.asarray(integers, int)[large].tolist():
        row = int(np.abs(values[:, i]).argmax())
        raise ValueError(_inexact(name, frame, row, columns[i], frame.iloc[row, i]))


def _inexact(name: str, frame: pd.DataFrame, row: int, column: str, value: Any) -> str:
    return (
        f"{name}: {str(value)[:40]} in {_row(frame, row)}, column {column!r} is beyond 2^53 and not exact as float64: "
        "leave the column out if it is an identifier, or make it a float"
    )


def _first_word(column: pd.Series) -> tuple[int, Any]:
    """The first text of a column that is not a number in text; the first one if all are."""
    words = [(row, value) for row, value in enumerate(column) if isinstance(value, str)]
    numeric = pd.to_numeric(pd.Series([value for _, value in words], dtype=object), errors="coerce").notna()
    return words[0 if numeric.all() else int((~numeric).argmax())]


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))


def _refuse_missing(name: str, frame: pd.DataFrame, columns: Sequence[str], values: Array) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    missing = np.isnan(values)
    if empty := [columns[i] for i in np.flatnonzero(missing.all(axis=0)).tolist()]:
        raise ValueError(f"{name}: no value at all in {column_names(empty)}: leave out what is empty")
    row, column = np.argwhere(~finite)[0]
    what = "missing" if missing[row, column] else f"{values[row, column]}"
    raise ValueError(
        f"{name}: {what} in {_row(frame, row)}, column {columns[column]!r} "
        f"({np.count_nonzero(~finite)} such values): fill them, or leave out their rows or columns"
    )


def _row(frame: pd.DataFrame, row: int) -> str:
    """A row as messages call it: counted from 1, with its label if it has one."""
    label = frame.index[row]
    return f"row {row + 1}" if label == row else f"row {row + 1} ({label!r})"
