"""The implicit bias of a problem of one's own: tables X and Y -> data set -> sweeps, in a namespace of its own."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from kedro.pipeline import Node, Pipeline

from implicit_bias.parameters import OWN, OwnData
from implicit_bias.pipelines import reparametrization, report, sweep
from implicit_bias.reserved import is_reserved
from implicit_bias.tables import (
    NAMED,
    Matrix,
    as_frame,
    check_pair,
    refuse_targets_among_inputs,
    select,
    select_like,
    standardize,
    to_matrix,
)
from implicit_bias.theory.problem import Array

logger = logging.getLogger(__name__)


def prepare_data(
    X: Any, own_data: OwnData, Y: Any = None, X_test: Any = None, Y_test: Any = None
) -> dict[str, dict[str, Any]]:
    """Make a data set of tables: columns selected, checked, converted to float64, and centred and scaled if asked.

    The means and scales are those of the training rows; test rows are shifted and scaled by them.

    Args:
        X: table of the inputs.
        own_data: columns, centring, scaling, rows held out.
        Y: table of the targets; None if they are columns of X.
        X_test: table of test inputs.
        Y_test: table of test targets; None if they are columns of X_test.

    Returns:
        One data set: X (n, D), Y (n, m), X_test (N, D), Y_test (N, m), how they were shifted and scaled, and
        `preparation`, the same in words (JSON).

    Raises:
        ValueError: a table, or what the parameters ask of it, cannot be used.
    """
    inputs, targets = read_tables(X, Y, own_data)
    train = np.ones(len(inputs.numbers), bool)
    if X_test is not None:
        if own_data.held_out:
            raise ValueError(f"own_data.held_out is {own_data.held_out}, but there is a table of test rows: give one")
        test_inputs, test_targets = _read_test(X_test, Y_test, inputs, targets)
    else:
        train[_held_out(own_data, len(train))] = False
        test_inputs, test_targets = inputs.numbers[~train], targets.numbers[~train]
    x, x_shift, x_size = standardize(inputs.numbers[train], own_data.center_x, own_data.scale_x)
    y, y_shift, y_size = standardize(targets.numbers[train], own_data.center_y, own_data.scale_y)
    if not x.any():
        why = "every column is constant" if own_data.center_x else "every entry is 0"
        raise ValueError(f"{inputs.name}: {why}, which leaves rank 0 and nothing to learn from")
    return {
        f"{OWN}-draw=0": {
            "X": x,
            "Y": y,
            "X_test": (test_inputs - x_shift) / x_size,
            "Y_test": (test_targets - y_shift) / y_size,
            **{"x_shift": x_shift, "x_size": x_size, "y_shift": y_shift, "y_size": y_size},
            "preparation": json.dumps(_preparation(inputs, targets, own_data)),
        }
    }


def read_tables(X: Any, Y: Any, own_data: OwnData) -> tuple[Matrix, Matrix]:
    """Inputs and targets of tables, checked one by one and together; Y is None if the targets are columns of X.

    Raises:
        ValueError: a table cannot be used; the message names it, its row and its column.
    """
    x_frame = as_frame("X", X)
    y_frame = x_frame if Y is None else as_frame("Y", Y)
    if Y is None and own_data.targets is None:
        raise ValueError("own_data.targets must name the columns of X that are the targets: there is no table Y")
    chosen = select("X" if Y is None else "Y", y_frame, own_data.targets, "own_data.targets")
    left_out = [*own_data.drop, *(own_data.targets or [])] if Y is None and own_data.columns is None else own_data.drop
    inputs = to_matrix("X", select("X", x_frame, own_data.columns, "own_data.columns", left_out))
    targets = to_matrix("Y", chosen)
    check_pair(inputs, targets)
    if own_data.targets_in_x == "refuse":
        refuse_targets_among_inputs(inputs, targets)
    return inputs, targets


def _read_test(X_test: Any, Y_test: Any, inputs: Matrix, targets: Matrix) -> tuple[Array, Array]:
    """Test rows with the columns of the training rows."""
    x_frame = as_frame("X_test", X_test)
    y_name, y_frame = ("X_test", x_frame) if Y_test is None else ("Y_test", as_frame("Y_test", Y_test))
    x = to_matrix("X_test", select_like("X_test", x_frame, inputs.columns, "X")).numbers
    y = to_matrix(y_name, select_like(y_name, y_frame, targets.columns, "Y")).numbers
    if len(x) != len(y):
        raise ValueError(f"X_test has {len(x)} rows, Y_test has {len(y)}: they must have as many")
    return x, y


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


def create_pipeline(
    X: str = "X",
    Y: str | None = "Y",
    X_test: str | None = None,
    Y_test: str | None = None,
    *,
    namespace: str = "implicit_bias",
    sweeps: Sequence[str] = ("width_sweep",),
    outputs: Mapping[str, str] | None = None,
) -> Pipeline:
    """Tables of a project -> the points, tables and figures of sweeps on them, all in one namespace.

    Several pipelines live in one project without meeting if their namespaces differ. Parameters are those under the
    name of the namespace: `own_data`, `reparametrization` and one block for each sweep. Where its datasets are kept,
    and that they are tracked, says the catalog; `kedro implicit-bias init` writes both.

    Args:
        X: dataset of the inputs, any that loads to a table.
        Y: dataset of the targets; None, or X again, if they are columns of X.
        X_test: dataset of test inputs.
        Y_test: dataset of test targets; None, or X_test again, if they are columns of X_test.
        namespace: prefix of all datasets and name of the parameters.
        sweeps: names of the sweeps, each with parameters of its own.
        outputs: dataset of the pipeline, such as "width_sweep.table" -> name of your own outside of the namespace.

    Raises:
        ValueError: the namespace or a name of a sweep is not one, or test targets come without test inputs.
    """
    for name in (*namespace.split("."), *sweeps):
        if not name.isidentifier():
            raise ValueError(f"namespaces and sweeps are named by letters, digits and _, got {name!r}")
        if is_reserved(name):
            raise ValueError(f"namespaces and sweeps name files: Windows keeps {name!r} for a device")
    if not sweeps or len(set(sweeps)) < len(sweeps):
        raise ValueError(f"sweeps must be one name or several that differ, got {list(sweeps)}")
    if X_test is None and Y_test is not None:
        raise ValueError(f"Y_test = {Y_test!r} needs X_test, the inputs of the same rows")
    tables = {"X": X, "Y": None if Y == X else Y, "X_test": X_test, "Y_test": None if Y_test == X_test else Y_test}
    given = {name: dataset for name, dataset in tables.items() if dataset is not None}
    prepare = Node(
        prepare_data,
        inputs={name: name for name in given} | {"own_data": "params:own_data"},
        outputs="data",
        name="prepare_data",
    )
    template = Pipeline([prepare]) + reparametrization.create_pipeline()
    template = sum((sweep.create_pipeline(name) for name in sweeps), template)
    template += report.create_pipeline(f"{name}.section" for name in sweeps)
    return Pipeline(template, namespace=namespace, inputs=given, outputs=dict(outputs or {}))
