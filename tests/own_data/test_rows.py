"""Rows with labels are paired by them, rows without by position, and what may be either is refused."""

import itertools
import logging
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from implicit_bias.own_data.prepare import prepare_data, read_tables
from implicit_bias.sweeps.data import OwnData

X = pd.DataFrame(np.arange(15.0).reshape(3, 5) ** 2)
Y = pd.DataFrame({"y": [3.0, 1.0, 2.5]})


def targets(X: Any, Y: Any, **parameters: Any) -> list[float]:
    """The targets in the order of the rows of X."""
    return read_tables(X, Y, OwnData(**parameters))[1].numbers[:, 0].tolist()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize(
    "labels",
    [
        list("abc"),
        [10, 30, 20],
        [0.5, 1.5, -1.0],
        pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-03"]),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
    ],
    ids=lambda labels: str(labels[0]),
)
def test_every_order_of_the_labels_gives_each_row_its_own_target(labels: Any, order: tuple[int, ...]) -> None:
    labelled = [table.set_axis(labels, axis=0) for table in (X, Y)]
    assert targets(labelled[0], labelled[1].iloc[list(order)]) == Y["y"].tolist()
    assert targets(labelled[0], labelled[1]["y"].iloc[list(order)]) == Y["y"].tolist()


@pytest.mark.parametrize(
    ("x_index", "y_index"),
    [
        (range(3), range(3)),
        (range(5, 8), range(3)),
        ([5, 6, 7], range(3)),
        (list("abc"), range(3)),
        ([5, 2, 7], range(3)),
        (["a", "a", "b"], ["a", "a", "b"]),
        (["1", "2", "3"], [1, 2, 3]),
    ],
)
def test_row_numbers_and_equal_labels_pair_by_position(x_index: Any, y_index: Any) -> None:
    assert targets(X.set_axis(x_index, axis=0), Y.set_axis(y_index, axis=0)) == Y["y"].tolist()


@pytest.mark.parametrize("table", [Y.to_numpy(), pl.from_pandas(Y), Y["y"].tolist(), pl.Series(Y["y"].tolist())])
def test_tables_without_labels_pair_by_position(table: Any) -> None:
    assert targets(X.set_axis(list("abc"), axis=0), table) == Y["y"].tolist()


@pytest.mark.parametrize(
    ("x_index", "y_index", "message"),
    [
        ("abc", "abd", "Y has no row 'c' of X (1 of 3 are missing): give both the same labels, or none"),
        ("aab", "aba", "X has the label 'a' more than once, and X and Y differ in their order"),
        ([2, 0, 1], [0, 1, 2], "X has the rows 2, 0, 1, Y has 0, 1, 2: by number or by position?"),
        ([0, 1, 2], [2, 1, 0], "X has the rows 0, 1, 2, Y has 2, 1, 0: by number or by position?"),
        (["3", "1", "2"], [1, 2, 3], "X has the rows '3', '1', '2', Y has 1, 2, 3: by number or by position?"),
        (["1", "2", "3"], [1, 2, 4], "Y has no row '1', '2', '3' of X (3 of 3 are missing)"),
    ],
)
def test_rows_that_may_belong_elsewhere_are_refused(x_index: Any, y_index: Any, message: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        targets(X.set_axis(list(x_index), axis=0), Y.set_axis(list(y_index), axis=0))
    assert str(refusal.value).startswith(message)


def test_labels_of_different_types_are_compared_as_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    text, numbers = X.set_axis(["9", "5", "7"], axis=0), Y.set_axis([5, 7, 9], axis=0)
    assert targets(text, numbers) == [2.5, 3.0, 1.0]
    assert "labels of rows of X and Y are of different types, and compared as text" in caplog.messages
    assert "rows of Y put into the order of the labels of X: '9', '5', '7'" in caplog.messages


def test_a_column_of_labels_pairs_the_rows_and_is_no_input() -> None:
    x, y = X.assign(sample=list("abc")), Y.assign(sample=list("abc")).iloc[::-1]
    assert targets(x, y, labels="sample") == Y["y"].tolist()
    assert targets(pl.from_pandas(x.rename(columns=str)), pl.from_pandas(y), labels="sample") == Y["y"].tolist()
    assert read_tables(x, y, OwnData(labels="sample"))[0].columns == ("0", "1", "2", "3", "4")
    with pytest.raises(ValueError, match=r"^own_data.labels: Y has no column 'sample'$"):
        targets(x, Y, labels="sample")
    with pytest.raises(ValueError, match=r"^X: row 2 has no label in column 'sample'$"):
        targets(X.assign(sample=["a", None, "b"]), y, labels="sample")


def test_what_pandas_wrote_as_labels_is_no_input(tmp_path: Any) -> None:
    for name, table in {"x": X, "y": Y}.items():
        table.set_axis(list("abc"), axis=0).sample(frac=1, random_state=len(name)).to_csv(tmp_path / f"{name}.csv")
    x, y = pd.read_csv(tmp_path / "x.csv"), pd.read_csv(tmp_path / "y.csv").iloc[::-1]
    data = prepare_data(x, OwnData(), y)["own-draw=0"]
    assert data["X"].shape == (3, 5)
    pairs = {tuple(row): target for row, target in zip(data["X"], data["Y"][:, 0], strict=True)}
    assert pairs == {tuple(row): target for row, target in zip(X.to_numpy(), Y["y"], strict=True)}


def test_test_rows_are_paired_by_their_labels() -> None:
    labelled = [table.set_axis(list("abc"), axis=0) for table in (X, Y)]
    data = prepare_data(X, OwnData(), Y, labelled[0], labelled[1].iloc[::-1])["own-draw=0"]
    assert data["Y_test"][:, 0].tolist() == Y["y"].tolist()


def test_columns_are_left_out_of_inputs_and_targets() -> None:
    row = [1, 2, 3]
    inputs, outputs = read_tables(X.assign(row=row), Y.assign(row=row), OwnData(drop=["row"]))
    assert (inputs.columns, outputs.columns) == (("0", "1", "2", "3", "4"), ("y",))
    assert read_tables(X, Y.assign(row=row), OwnData(drop=["r*"]))[1].columns == ("y",)


@pytest.mark.parametrize("start", [0, 1])
def test_a_column_that_counts_the_rows_is_named(start: int, caplog: pytest.LogCaptureFixture) -> None:
    count = np.arange(start, start + 3)
    prepare_data(X.assign(id=count[::-1]), OwnData(), Y.assign(nr=count))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["Y: column 'nr' counts the rows: own_data.drop leaves out what is a row number"]
