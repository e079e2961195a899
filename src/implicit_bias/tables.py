"""Tables as people keep them, pandas, polars, NumPy or lists, to float64 matrices. Errors name row and column."""

import fnmatch
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.theory.problem import Array

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""How many columns a message names."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Matrix:
    """The numbers of some columns of a table.

    Attributes:
        name: what messages call the table.
        columns: names of its columns, as text.
        numbers: (n, columns) finite float64.
    """

    name: str
    columns: tuple[str, ...]
    numbers: Array


def as_frame(name: str, table: Any) -> "pd.DataFrame":
    """A table of any kind as a pandas frame.

    Args:
        name: what messages call it.
        table: a pandas or polars frame or series, lazy ones too, an Arrow table, a NumPy or sparse array, or what
            pandas makes a frame of, such as a list of rows. Without names, columns are called 0, 1, ...

    Raises:
        ValueError: it is not a table, or has no rows or no columns.
    """
    import pandas as pd

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
    name: str, frame: "pd.DataFrame", wanted: Sequence[str] | None, parameter: str, left_out: Sequence[str] = ()
) -> "pd.DataFrame":
    """The columns of a frame that are wanted, in the order of the frame.

    Args:
        name: what messages call the table.
        frame: the table.
        wanted: names of columns, or shell patterns such as "nm_*"; None means all.
        parameter: the parameter that names the wanted columns, for messages.
        left_out: names or patterns of columns to leave out.

    Raises:
        ValueError: a name or pattern matches no column, or no column is left.
    """
    columns = [str(column) for column in frame.columns]
    chosen = set(range(len(columns))) if wanted is None else _matches(name, columns, wanted, parameter)
    chosen -= _matches(name, columns, left_out, "own_data.drop")
    if not chosen:
        raise ValueError(f"{name}: no column is left of {_named(columns)}")
    return frame if len(chosen) == len(columns) else frame.iloc[:, sorted(chosen)]


def select_like(name: str, frame: "pd.DataFrame", columns: Sequence[str], other: str) -> "pd.DataFrame":
    """The columns of a frame that another table has, in its order.

    Raises:
        ValueError: a column is missing.
    """
    positions = _positions([str(column) for column in frame.columns])
    if missing := [column for column in columns if not positions.get(column)]:
        raise ValueError(f"{name} lacks {_named(missing)} of {other}")
    return frame.iloc[:, [these.pop(0) if len(these := positions[column]) > 1 else these[0] for column in columns]]


def _positions(columns: Sequence[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        positions.setdefault(column, []).append(i)
    return positions


def _matches(name: str, columns: Sequence[str], patterns: Sequence[str], parameter: str) -> set[int]:
    positions = _positions(columns)
    found: set[int] = set()
    for pattern in patterns:
        these = positions.get(pattern) or [
            i for column in fnmatch.filter(positions, pattern) for i in positions[column]
        ]
        if not these:
            raise ValueError(f"{parameter}: {name} has no column {pattern!r}, it has {_named(columns)}")
        found.update(these)
    return found


def to_matrix(name: str, frame: "pd.DataFrame") -> Matrix:
    """The finite numbers of a frame; integers, booleans and other floats are converted to float64 with a note.

    Raises:
        ValueError: a column holds anything but real numbers, a value is missing, or one is infinite.
    """
    columns = tuple(str(column) for column in frame.columns)
    kinds = [getattr(dtype, "kind", "O") for dtype in frame.dtypes]
    others = [i for i, kind in enumerate(kinds) if kind not in "biuf"]
    _refuse_other_than_numbers(name, frame, columns, others)
    values = np.ascontiguousarray(frame.to_numpy(dtype=float, na_value=np.nan))
    _refuse_missing(name, frame, columns, values)
    converted = [i for i, dtype in enumerate(frame.dtypes) if dtype != np.float64 and str(dtype) != "Float64"]
    if converted:
        types = sorted({str(frame.dtypes.iloc[i]) for i in converted})
        logger.info(
            "%s: %d of %d columns converted to float64 from %s", name, len(converted), len(columns), ", ".join(types)
        )
    return Matrix(name, columns, values)


def _refuse_other_than_numbers(
    name: str, frame: "pd.DataFrame", columns: Sequence[str], suspects: Sequence[int]
) -> None:
    """Columns without a numeric type may hold numbers all the same, such as decimals of a database or mixed ones."""
    bad: dict[int, Any] = {}
    for i in suspects:
        for row, value in enumerate(frame.iloc[:, i]):
            if not (_is_missing(value) or _is_real(value)):
                bad[i] = (row, value)
                break
    if bad:
        first, (row, value) = next(iter(bad.items()))
        raise ValueError(
            f"{name}: no numbers in {_named([columns[i] for i in bad])} ({value!r} in {_row(frame, row)} of "
            f"{columns[first]!r}): leave them out or turn them into numbers"
        )


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))


def _is_real(value: Any) -> bool:
    from decimal import Decimal
    from numbers import Real

    return isinstance(value, Real | Decimal | np.bool_)


def _refuse_missing(name: str, frame: "pd.DataFrame", columns: Sequence[str], values: Array) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    missing = np.isnan(values)
    if empty := [columns[i] for i in np.flatnonzero(missing.all(axis=0)).tolist()]:
        raise ValueError(f"{name}: no value at all in {_named(empty)}: leave out what is empty")
    row, column = np.argwhere(~finite)[0]
    what = "missing" if missing[row, column] else f"{values[row, column]}"
    raise ValueError(
        f"{name}: {what} in {_row(frame, row)}, column {columns[column]!r} "
        f"({np.count_nonzero(~finite)} such values): fill them, or leave out their rows or columns"
    )


def _row(frame: "pd.DataFrame", row: int) -> str:
    """A row as messages call it: counted from 1, with its label if it has one."""
    label = frame.index[row]
    return f"row {row + 1}" if label == row else f"row {row + 1} ({label!r})"


def _named(columns: Sequence[str]) -> str:
    """Columns by name, the first few of them."""
    shown = ", ".join(repr(column) for column in columns[:NAMED])
    more = f", ... ({len(columns)} columns)" if len(columns) > NAMED else ""
    return f"column{'s' if len(columns) > 1 else ''} {shown}{more}"


def check_pair(X: Matrix, Y: Matrix) -> None:
    """Refuse what cannot be a regression problem with an implicit bias.

    Args:
        X: (n, D) inputs.
        Y: (n, m) targets.

    Raises:
        ValueError: rows differ, X has a single column, there are more targets than inputs and enough rows to see all
            inputs (as of tables exchanged), or every target is constant.
    """
    (n, D), (rows, m) = X.numbers.shape, Y.numbers.shape
    if n != rows:
        hint = f": is {X.name} transposed?" if D == rows else ""
        raise ValueError(f"{X.name} has {n} rows, {Y.name} has {rows}: they must have as many{hint}")
    if m > D and n >= D:
        raise ValueError(
            f"{X.name} has D = {D}, {Y.name} has m = {m}: more targets than inputs and no fewer rows than inputs; "
            "are the two tables exchanged?"
        )
    if D == 1:
        raise ValueError(f"{X.name} has one column (D = 1): nothing is left unseen, every solution is the min-norm one")
    constant = np.ptp(Y.numbers, axis=0) == 0 if n > 1 else np.zeros(m, bool)
    if constant.all():
        raise ValueError(f"{Y.name}: one and the same number in {_named(Y.columns)}: there is nothing to learn")
    if constant.any():
        names = [Y.columns[i] for i in np.flatnonzero(constant).tolist()]
        logger.warning(
            "%s: one and the same number in %s, kept as targets: own_data.targets leaves such columns out",
            Y.name,
            _named(names),
        )


def refuse_targets_among_inputs(X: Matrix, Y: Matrix) -> None:
    """Refuse an input that equals a target in every row: the network would copy it.

    Raises:
        ValueError: with the names of the two columns.
    """
    for target, values in zip(Y.columns, Y.numbers.T, strict=True):
        same = np.flatnonzero((X.numbers == values[:, None]).all(axis=0))
        if same.size and np.ptp(values) > 0:
            raise ValueError(
                f"{X.name}: column {X.columns[same[0]]!r} equals target {target!r} in every row: leave it out by "
                "own_data.drop, or set own_data.targets_in_x to allow"
            )


def standardize(values: Array, center: bool, scale: str) -> tuple[Array, Array, Array]:
    """Shift and scale a matrix, and say how: result = (values - shift) / size.

    Args:
        values: (n, d) numbers.
        center: subtract the mean of each column; a constant column becomes exactly 0.
        scale: "none"; "columns", to unit standard deviation each, constant columns left as they are; or "table", by
            one number, to rows of root mean square norm 1, as those of the paper's Figure 1.

    Returns:
        The result (n, d), shift (d,) and size (d,).
    """
    n, d = values.shape
    constant = np.ptp(values, axis=0) == 0
    shift = np.where(constant, values[0], values.mean(axis=0)) if center else np.zeros(d)
    shifted = values - shift
    size = np.ones(d)
    if scale == "columns":
        size = np.where(constant, 1.0, values.std(axis=0))
    elif scale == "table":
        size = np.full(d, np.linalg.norm(shifted) / n**0.5 or 1.0)
    return shifted / size, shift, size
