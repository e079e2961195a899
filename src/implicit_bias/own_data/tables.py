"""Tables as people keep them, pandas, polars, NumPy or lists, as pandas frames, and the columns that are wanted."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

NAMED = 5
"""How many columns a message names."""


def as_frame(name: str, table: Any) -> pd.DataFrame:
    """A table of any kind as a pandas frame.

    Args:
        name: what messages call it.
        table: a pandas or polars frame or series, lazy ones too, an Arrow table, a NumPy or sparse array, or what
            pandas makes a frame of, such as a list of rows. Without names, columns are called 0, 1, ...

    Raises:
        ValueError: it is not a table, or has no rows or no columns.
    """
    for conversion in ("collect", "to_pandas", "toarray"):
        if hasattr(table, conversion):
            table = getattr(table, conversion)()
    if isinstance(table, np.ma.MaskedArray):
        table = np.ma.filled(table.astype(float), np.nan)
    try:
        frame = table.to_frame() if isinstance(table, pd.Series) else pd.DataFrame(table)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be a table, got {type(table).__name__}: {error}") from None
    if not len(frame):
        raise ValueError(f"{name} has no rows")
    if not frame.shape[1]:
        raise ValueError(f"{name} has no columns")
    return frame


def select(
    name: str, frame: pd.DataFrame, wanted: Sequence[str] | None, parameter: str, left_out: Sequence[str] = ()
) -> pd.DataFrame:
    """The columns of a frame that are wanted, in the order of the frame.

    Args:
        name: what messages call the table.
        frame: the table.
        wanted: names of columns, or shell patterns such as "nm_*"; None means all.
        parameter: the parameter that names the wanted columns, for messages.
        left_out: names or patterns of columns to leave out; those that match none make no difference.

    Raises:
        ValueError: a wanted name or pattern matches no column, or no column is left.
    """
    columns = [str(column) for column in frame.columns]
    chosen = set(range(len(columns)))
    if wanted is not None:
        require_columns({name: frame}, wanted, parameter)
        chosen = _matches(columns, wanted)
    chosen -= _matches(columns, left_out)
    if not chosen:
        raise ValueError(f"{name}: no column is left of {column_names(columns)}")
    return frame if len(chosen) == len(columns) else frame.iloc[:, sorted(chosen)]


def require_columns(frames: Mapping[str, pd.DataFrame], patterns: Sequence[str], parameter: str) -> None:
    """Refuse names or patterns of columns that none of the tables has.

    Raises:
        ValueError: with the columns there are.
    """
    columns = {name: [str(column) for column in frame.columns] for name, frame in frames.items()}
    for pattern in patterns:
        if not any(_matches(each, [pattern]) for each in columns.values()):
            there = ", ".join(
                f"{'it' if len(columns) == 1 else name} has {column_names(each)}" for name, each in columns.items()
            )
            none = f"{next(iter(columns))} has no" if len(columns) == 1 else f"neither {' nor '.join(columns)} has a"
            raise ValueError(f"{parameter}: {none} column {pattern!r}, {there}")


def select_like(name: str, frame: pd.DataFrame, columns: Sequence[str], other: str) -> pd.DataFrame:
    """The columns of a frame that another table has, in its order.

    Raises:
        ValueError: a column is missing.
    """
    positions = _positions([str(column) for column in frame.columns])
    if missing := [column for column in columns if not positions.get(column)]:
        raise ValueError(f"{name} lacks {column_names(missing)} of {other}")
    return frame.iloc[:, [these.pop(0) if len(these := positions[column]) > 1 else these[0] for column in columns]]


def _positions(columns: Sequence[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        positions.setdefault(column, []).append(i)
    return positions


def _matches(columns: Sequence[str], patterns: Sequence[str]) -> set[int]:
    positions = _positions(columns)
    found: set[int] = set()
    for pattern in patterns:
        found.update(
            positions.get(pattern) or [i for each in fnmatch.filter(positions, pattern) for i in positions[each]]
        )
    return found


def column_names(columns: Sequence[str]) -> str:
    """Columns by name, the first few of them."""
    shown = ", ".join(repr(column) for column in columns[:NAMED])
    more = f", ... ({len(columns)} columns)" if len(columns) > NAMED else ""
    return f"column{'s' if len(columns) > 1 else ''} {shown}{more}"
