"""Tables X and Y -> a data set: columns selected, rows paired, numbers checked, centred and scaled."""

import json
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from implicit_bias.own_data.checks import check_pair, refuse_targets_among_inputs, said_of_row_numbers
from implicit_bias.own_data.numbers import Matrix, to_matrix
from implicit_bias.own_data.rounding import error_norm, rounding_deviation
from implicit_bias.own_data.rows import label_rows, pair_rows
from implicit_bias.own_data.standardize import standardize
from implicit_bias.own_data.tables import NAMED, as_frame, require_columns, select, select_like
from implicit_bias.sweeps.data import OWN, OwnData
from implicit_bias.sweeps.handover import DataFields
from implicit_bias.theory.problem import Array

logger = logging.getLogger(__name__)


def prepare_data(
    X: Any, own_data: OwnData, Y: Any = None, X_test: Any = None, Y_test: Any = None
) -> dict[str, DataFields]:
    """Make a data set of tables: columns selected, checked, converted to float64, and centred and scaled if asked.

    The means and scales are those of the training rows; test rows are shifted and scaled by them.

    Args:
        X: table of the inputs.
        own_data: columns, labels, centring, scaling, rows held out.
        Y: table of the targets; None if they are columns of X.
        X_test: table of test inputs.
        Y_test: table of test targets; None if they are columns of X_test.

    Returns:
        One data set: X (n, D), Y (n, m), X_test (N, D), Y_test (N, m), how they were shifted and scaled, `rounding`,
        a bound of the spectral norm of the rounding errors in X, and `preparation`, what was done in words (JSON).

    Raises:
        ValueError: a table, or what the parameters ask of it, cannot be used.
    """
    inputs, targets, data = read_data_set(X, own_data, Y, X_test, Y_test)
    for said in filter(None, map(said_of_row_numbers, (inputs, targets))):
        logger.warning("%s", said)
    return {f"{OWN}-draw=0": data}


def read_data_set(
    X: Any, own_data: OwnData, Y: Any = None, X_test: Any = None, Y_test: Any = None
) -> tuple[Matrix, Matrix, DataFields]:
    """Inputs and targets of tables as they came, and the data set that is made of them.

    Raises:
        ValueError: a table, or what the parameters ask of it, cannot be used.
    """
    inputs, targets = read_tables(X, Y, own_data)
    test = None if X_test is None else _read_test(X_test, Y_test, inputs, targets, own_data)
    return inputs, targets, prepare(inputs, targets, own_data, test)


def prepare(inputs: Matrix, targets: Matrix, own_data: OwnData, test: tuple[Array, Array] | None = None) -> DataFields:
    """Make a data set of matrices, with test rows of their own or held out.

    Args:
        inputs: (n, D).
        targets: (n, m).
        own_data: centring, scaling, rows held out.
        test: inputs (N, D) and targets (N, m) of test rows.

    Raises:
        ValueError: test rows are given and held out, too, or all rows are held out, or X is zero.
    """
    train = np.ones(len(inputs.numbers), bool)
    if test is not None:
        if own_data.held_out:
            raise ValueError(f"own_data.held_out is {own_data.held_out}, but there is a table of test rows: give one")
        test_inputs, test_targets = test
    else:
        train[_held_out(own_data, len(train))] = False
        test_inputs, test_targets = inputs.numbers[~train], targets.numbers[~train]
    raw, raw_targets = inputs.numbers[train], targets.numbers[train]
    deviation = rounding_deviation(raw, inputs.eps)
    x, x_shift, x_size = standardize(raw, own_data.center_x, own_data.scale_x, deviation)
    y, y_shift, y_size = standardize(
        raw_targets, own_data.center_y, own_data.scale_y, rounding_deviation(raw_targets, targets.eps)
    )
    if not x.any():
        why = "every column is constant" if own_data.center_x else "every entry is 0"
        raise ValueError(f"{inputs.name}: {why}, which leaves rank 0 and nothing to learn from")
    return {
        "X": x,
        "Y": y,
        "X_test": (test_inputs - x_shift) / x_size,
        "Y_test": (test_targets - y_shift) / y_size,
        "x_shift": x_shift,
        "x_size": x_size,
        "y_shift": y_shift,
        "y_size": y_size,
        "rounding": error_norm(raw, np.where(x.any(axis=0), deviation, 0.0) / x_size),
        "preparation": json.dumps(_preparation(inputs, targets, own_data)),
    }


def read_tables(X: Any, Y: Any, own_data: OwnData) -> tuple[Matrix, Matrix]:
    """Inputs and targets of tables, checked one by one and together; Y is None if the targets are columns of X.

    Raises:
        ValueError: a table cannot be used; the message names it, its row and its column.
    """
    x_frame = _frame("X", X, own_data)
    if Y is None and own_data.targets is None:
        raise ValueError("own_data.targets must name the columns of X that are the targets: there is no table Y")
    name = "X" if Y is None else "Y"
    y_frame = x_frame if Y is None else pair_rows("X", x_frame, "Y", _frame("Y", Y, own_data))
    require_columns({"X": x_frame, name: y_frame}, own_data.drop, "own_data.drop")
    chosen = select(name, y_frame, own_data.targets, "own_data.targets", own_data.drop)
    left_out = [*own_data.drop, *(own_data.targets or [])] if Y is None and own_data.columns is None else own_data.drop
    inputs = to_matrix("X", select("X", x_frame, own_data.columns, "own_data.columns", left_out))
    targets = replace(to_matrix(name, chosen), name="Y")
    check_pair(inputs, targets)
    if own_data.targets_in_x == "refuse":
        refuse_targets_among_inputs(inputs, targets)
    return inputs, targets


def read_rows(name: str, table: Any, like: Matrix, own_data: OwnData, width: int) -> pd.DataFrame:
    """The columns of a matrix from another table, such as one of test rows.

    Args:
        name: what messages call the table.
        table: the other table.
        like: the matrix.
        own_data: how the rows are labelled.
        width: how many columns there may be in it if they have no names.

    Raises:
        ValueError: a column is missing, or there are more than could be told apart by their number.
    """
    frame = _frame(name, table, own_data)
    unnamed = (
        like.columns == tuple(map(str, range(len(like.columns)))) == tuple(map(str, frame.columns))[: len(like.columns)]
    )
    if unnamed and frame.shape[1] > width:
        raise ValueError(f"{name} has {frame.shape[1]} columns without names, {like.name} has {len(like.columns)}")
    return select_like(name, frame, like.columns, like.name)


def _read_test(X_test: Any, Y_test: Any, inputs: Matrix, targets: Matrix, own_data: OwnData) -> tuple[Array, Array]:
    """Test rows with the columns of the training rows."""
    D, m = len(inputs.columns), len(targets.columns)
    y_name, table, width = ("X_test", X_test, D + m) if Y_test is None else ("Y_test", Y_test, m)
    x_frame = read_rows("X_test", X_test, inputs, own_data, D + m if Y_test is None else D)
    y_frame = pair_rows("X_test", x_frame, y_name, read_rows(y_name, table, targets, own_data, width))
    x, y = to_matrix("X_test", x_frame).numbers, to_matrix(y_name, y_frame).numbers
    if len(x) != len(y):
        raise ValueError(f"X_test has {len(x)} rows, Y_test has {len(y)}: they must have as many")
    return x, y


def _frame(name: str, table: Any, own_data: OwnData) -> pd.DataFrame:
    return label_rows(name, as_frame(name, table), own_data.labels)


def _held_out(own_data: OwnData, rows: int) -> Array:
    """Indices of the rows that are kept out of training."""
    if own_data.held_out >= rows:
        raise ValueError(f"own_data.held_out must be below the {rows} rows of X, got {own_data.held_out}")
    return np.sort(np.random.default_rng(own_data.seed).permutation(rows)[: own_data.held_out])


def _preparation(inputs: Matrix, targets: Matrix, own_data: OwnData) -> dict[str, Any]:
    """What was done to the tables, for a person who looks at a tracked run."""
    names = inputs.columns
    return {
        "inputs": f"{len(names)} columns, {names[0]} ... {names[-1]}",
        "targets": ", ".join(targets.columns[:NAMED]) + (", ..." if len(targets.columns) > NAMED else ""),
        **own_data.model_dump(include={"center_x", "center_y", "scale_x", "scale_y", "held_out", "seed"}),
    }
