"""What inputs and targets must be together."""

import logging

import numpy as np

from implicit_bias.own_data.numbers import Matrix
from implicit_bias.own_data.tables import column_names

logger = logging.getLogger(__name__)


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
        raise ValueError(f"{Y.name}: one and the same number in {column_names(Y.columns)}: there is nothing to learn")
    if constant.any():
        names = [Y.columns[i] for i in np.flatnonzero(constant).tolist()]
        logger.warning(
            "%s: one and the same number in %s, kept as targets: own_data.targets leaves such columns out",
            Y.name,
            column_names(names),
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


def said_of_row_numbers(matrix: Matrix) -> str:
    """What to say of columns that count the rows from 0 or from 1, three or more; "" if there are none."""
    n = len(matrix.numbers)
    count = matrix.numbers - np.arange(n)[:, None]
    counts = np.all(count == count[0], axis=0) & ((count[0] == 0) | (count[0] == 1))
    if n < 3 or not counts.any():
        return ""
    columns = [matrix.columns[i] for i in np.flatnonzero(counts).tolist()]
    return f"{matrix.name}: {column_names(columns)} counts the rows: own_data.drop leaves out what is a row number"
