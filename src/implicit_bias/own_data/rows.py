"""Rows of two tables paired: by their labels where both have some, else by position."""

import logging
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

NAMED = 5
"""How many labels a message names."""

logger = logging.getLogger(__name__)


def label_rows(name: str, frame: pd.DataFrame, labels: str | None) -> pd.DataFrame:
    """A frame whose rows are called by one of its columns: that of a name, or a first one without name.

    A first column without name is what pandas writes the labels of rows as.

    Args:
        name: what messages call the table.
        frame: the table.
        labels: the column; None where there is none.

    Raises:
        ValueError: there is no such column, or rows are without label.
    """
    columns = [str(column) for column in frame.columns]
    if labels is not None:
        if labels not in columns:
            if has_row_numbers(frame.index):
                raise ValueError(f"own_data.labels: {name} has no column {labels!r}")
            return frame
        position = columns.index(labels)
    elif len(columns) > 1 and columns[0] in ("", "Unnamed: 0", "None"):
        position = 0
        logger.info("%s: the first column has no name, and is taken as labels of the rows", name)
    else:
        return frame
    column = frame.iloc[:, position]
    if column.isna().any():
        raise ValueError(f"{name}: row {int(column.isna().argmax()) + 1} has no label in column {columns[position]!r}")
    kept = [i for i in range(len(columns)) if i != position]
    return frame.iloc[:, kept].set_axis(column.to_numpy(), axis=0)


def has_row_numbers(index: pd.Index) -> bool:
    """Whether an index only counts the rows, from any number on."""
    if index.nlevels > 1 or index.dtype.kind not in "iu":
        return False
    return bool(np.array_equal(index, np.arange(len(index)) + index[0]))


def pair_rows(x_name: str, X: pd.DataFrame, y_name: str, Y: pd.DataFrame) -> pd.DataFrame:
    """The rows of Y in the order of those of X.

    Rows that only count pair by position. Where both tables have labels, equal ones pair by position, too, and labels
    in another order put Y into that of X. Labels of different types are compared as text.

    Raises:
        ValueError: the labels differ, some occur twice, or rows are numbered in one order here and in another there.
    """
    if len(X) != len(Y) or X.index.equals(Y.index):
        return Y
    counted = has_row_numbers(X.index), has_row_numbers(Y.index)
    if all(counted):
        return Y
    first: list[Hashable] = list(X.index)
    second: list[Hashable] = list(Y.index)
    if any(counted):
        words = list(map(str, first)), list(map(str, second))
        if words[0] == words[1]:
            return Y
        if set(words[0]) == set(words[1]):
            raise ValueError(
                f"{x_name} has the rows {_shown(first)}, {y_name} has {_shown(second)}: by number or by position? "
                f"Put {y_name} into the order of {x_name}, or take the numbers away (reset_index(drop=True))"
            )
        which, other = (y_name, x_name) if counted[0] else (x_name, y_name)
        logger.info("%s has labels of rows, %s has none: paired by position", which, other)
        return Y
    if set(first) != set(second) and set(map(str, first)) == set(map(str, second)):
        logger.info("labels of rows of %s and %s are of different types, and compared as text", x_name, y_name)
        first, second = list(map(str, first)), list(map(str, second))
    if first == second:
        return Y
    for name, labels in ((x_name, first), (y_name, second)):
        if twice := [label for label, count in Counter(labels).items() if count > 1]:
            raise ValueError(
                f"{name} has the label {_shown(twice)} more than once, and {x_name} and {y_name} differ in their order"
            )
    position = {label: i for i, label in enumerate(second)}
    if missing := [label for label in first if label not in position]:
        raise ValueError(
            f"{y_name} has no row {_shown(missing)} of {x_name} ({len(missing)} of {len(first)} are missing): give "
            "both the same labels, or none to pair them by position"
        )
    logger.info("rows of %s put into the order of the labels of %s: %s", y_name, x_name, _shown(first))
    return Y.iloc[[position[label] for label in first]]


def _shown(labels: Sequence[Hashable]) -> str:
    return ", ".join(map(repr, labels[:NAMED])) + (", ..." if len(labels) > NAMED else "")
