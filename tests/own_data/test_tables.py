"""Tables of every kind become the same float64 matrix; what cannot be used is refused by name, row and column."""

import logging
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from implicit_bias.own_data.checks import check_pair
from implicit_bias.own_data.numbers import Matrix, to_matrix
from implicit_bias.own_data.standardize import standardize
from implicit_bias.own_data.tables import as_frame, require_columns, select, select_like

NUMBERS = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0]])


def matrix(table: object, name: str = "X") -> Matrix:
    return to_matrix(name, as_frame(name, table))


@pytest.mark.parametrize(
    "table",
    [
        NUMBERS,
        NUMBERS.tolist(),
        pd.DataFrame(NUMBERS),
        pd.DataFrame(NUMBERS, dtype="Float64"),
        pd.DataFrame(NUMBERS, dtype="float64[pyarrow]"),
        pd.DataFrame(NUMBERS).astype({0: "int32", 1: "Int64", 2: bool}),
        pd.DataFrame(NUMBERS).astype(object),
        pd.DataFrame(NUMBERS).map(lambda value: Decimal(str(value))),
        {"0": [1, 3], "1": [2.0, 4.0], "2": [False, True]},
        pl.DataFrame(NUMBERS, schema=["0", "1", "2"]),
        pl.DataFrame(NUMBERS, schema={"0": pl.Int8, "1": pl.Float32, "2": pl.Float64}),
        pl.DataFrame({"0": [1, 3], "1": [Decimal("2.0"), Decimal("4.0")], "2": [False, True]}),
        pl.LazyFrame(NUMBERS, schema=["0", "1", "2"]),
        pa.table({"0": [1, 3], "1": [2.0, 4.0], "2": [False, True]}),
        scipy.sparse.csr_array(NUMBERS),
        NUMBERS.astype(np.float32),
        NUMBERS.astype(np.uint8),
    ],
    ids=lambda table: type(table).__module__.partition(".")[0],
)
def test_tables_of_every_kind_give_the_same_matrix(table: object) -> None:
    read = matrix(table)
    assert read.columns == ("0", "1", "2")
    assert read.numbers.dtype == np.float64
    np.testing.assert_array_equal(read.numbers, NUMBERS)


@pytest.mark.parametrize("series", [np.arange(3.0), pd.Series([0.0, 1.0, 2.0]), pl.Series([0.0, 1.0, 2.0])])
def test_a_series_is_one_column(series: object) -> None:
    np.testing.assert_array_equal(matrix(series).numbers, [[0.0], [1.0], [2.0]])


def test_conversions_are_noted_and_float64_is_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    matrix(pd.DataFrame(NUMBERS))
    assert not caplog.messages
    matrix(pd.DataFrame(NUMBERS).astype({0: "int64", 2: bool}))
    assert caplog.messages == ["X: 2 of 3 columns converted to float64 from bool, int64"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((0, 3)), "X has no rows"),
        (pd.DataFrame({"a": []}), "X has no rows"),
        (pl.DataFrame({"a": []}), "X has no rows"),
        (pd.DataFrame(index=[0, 1]), "X has no columns"),
        (np.zeros((2, 2, 2)), "X must be a table, got ndarray: Must pass 2-d input. shape=(2, 2, 2)"),
        (7, "X must be a table, got int: DataFrame constructor not properly called!"),
        (
            pd.DataFrame({"a": [1.0, 2.0], "site": ["north", "south"]}),
            "X: no numbers in column 'site' ('north' in row 1 of 'site'): leave them out or turn them into numbers",
        ),
        (
            pl.DataFrame({"site": [None, "south"], "a": [1, 2], "kind": ["x", "y"]}),
            "X: no numbers in columns 'site', 'kind' ('south' in row 2 of 'site'): leave them out or "
            "turn them into numbers",
        ),
        (
            pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"])}),
            "X: no numbers in column 'day' (Timestamp('2020-01-01 00:00:00') in row 1 of 'day'): leave them out or "
            "turn them into numbers",
        ),
        (
            pd.DataFrame({"z": [1j, 2.0]}),
            "X: no numbers in column 'z' (1j in row 1 of 'z'): leave them out or turn them into numbers",
        ),
        (
            pd.DataFrame({"a": [1.0, np.nan, np.nan]}, index=["s1", "s2", "s3"]),
            "X: missing in row 2 ('s2'), column 'a' (2 such values): fill them, or leave out their rows or columns",
        ),
        (
            pl.DataFrame({"a": [1, 2, None], "b": [True, False, None]}),
            "X: missing in row 3, column 'a' (2 such values): fill them, or leave out their rows or columns",
        ),
        (
            np.ma.masked_array([[1, 2], [3, 4]], [[False, False], [False, True]]),
            "X: missing in row 2, column '1' (1 such values): fill them, or leave out their rows or columns",
        ),
        (
            np.array([[1.0, -np.inf]]),
            "X: -inf in row 1, column '1' (1 such values): fill them, or leave out their rows or columns",
        ),
        (
            pd.DataFrame({"a": [1.0, 2.0], "b": [None, None]}),
            "X: no value at all in column 'b': leave out what is empty",
        ),
        (pl.DataFrame({"a": [1.0], "b": [None]}), "X: no value at all in column 'b': leave out what is empty"),
        (
            pd.DataFrame(np.full((2, 7), np.nan)),
            "X: no value at all in columns '0', '1', '2', '3', '4', ... (7 columns): leave out what is empty",
        ),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(table: object, message: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        matrix(table)
    assert str(refusal.value) == message


def test_columns_are_chosen_by_name_and_pattern_in_the_order_of_the_table() -> None:
    frame = pd.DataFrame([[0, 1, 2, 3]], columns=["id", "nm_400", "nm_401", "y"])
    assert list(select("X", frame, ["y", "nm_*"], "own_data.columns").columns) == ["nm_400", "nm_401", "y"]
    assert list(select("X", frame, None, "own_data.columns", ["id", "nm_?00"]).columns) == ["nm_401", "y"]
    numbered = pd.DataFrame([[0, 1]], columns=[400, 401])
    assert list(select("X", numbered, ["401"], "own_data.columns").columns) == [401]
    assert list(select("X", pd.DataFrame([[0, 1]], columns=["[a]", "a"]), ["[a]"], "own_data.columns")) == ["[a]"]


def test_unknown_columns_are_refused_with_those_there_are() -> None:
    frame = pd.DataFrame([[0, 1]], columns=["a", "b"])
    with pytest.raises(ValueError, match=r"^own_data.targets: Y has no column 'z\*', it has columns 'a', 'b'$"):
        select("Y", frame, ["z*"], "own_data.targets")
    with pytest.raises(ValueError, match=r"^own_data.drop: neither X nor Y has a column 'c', X has columns 'a', 'b', "):
        require_columns({"X": frame, "Y": frame}, ["c"], "own_data.drop")
    with pytest.raises(ValueError, match=r"^X: no column is left of columns 'a', 'b'$"):
        select("X", frame, ["a"], "own_data.columns", ["a"])


def test_test_rows_take_the_columns_of_the_training_rows_in_their_order() -> None:
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=["b", "c", "a", "a"])
    assert select_like("X_test", frame, ["a", "a", "b"], "X").to_numpy().tolist() == [[3, 4, 1]]
    with pytest.raises(ValueError, match=r"^X_test lacks columns 'd', 'e' of X$"):
        select_like("X_test", frame, ["a", "d", "e"], "X")


def pair(X: object, Y: object) -> None:
    check_pair(matrix(X), matrix(Y, "Y"))


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.eye(3, 5), np.eye(4, 1), "X has 3 rows, Y has 4: they must have as many"),
        (np.eye(5, 3), np.eye(3, 1), "X has 5 rows, Y has 3: they must have as many: is X transposed?"),
        (
            np.arange(3.0),
            np.eye(3, 7),
            "X has D = 1, Y has m = 7: more targets than inputs and no fewer rows than inputs; are the two tables "
            "exchanged?",
        ),
        (
            np.arange(3.0),
            np.arange(3.0),
            "X has one column (D = 1): nothing is left unseen, every solution is the min-norm one",
        ),
        (
            np.eye(3, 5),
            np.full((3, 2), 4.5),
            "Y: one and the same number in columns '0', '1': there is nothing to learn",
        ),
    ],
)
def test_what_is_no_problem_is_refused(X: np.ndarray, Y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        pair(X, Y)
    assert str(refusal.value) == message


def test_what_is_unusual_but_a_problem_passes(caplog: pytest.LogCaptureFixture) -> None:
    pair(np.ones((1, 4)), np.ones((1, 1)))  # one sample: every target is constant
    pair(np.eye(3, 5), np.arange(27.0).reshape(3, 9))  # more targets than inputs, inputs unseen
    pair(np.hstack([np.eye(3)] * 2 + [np.ones((3, 1))]), np.eye(3, 2))  # duplicate and constant columns
    assert not caplog.messages
    pair(np.eye(3, 5), np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 3.0]]))
    assert caplog.messages == [
        "Y: one and the same number in column '0', kept as targets: own_data.targets leaves such columns out"
    ]


@given(
    arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e6, 1e6, width=32)),
    st.booleans(),
    st.sampled_from(["none", "columns", "table"]),
)
def test_standardised_numbers_have_the_means_and_sizes_that_are_said(
    values: np.ndarray, center: bool, scale: str
) -> None:
    result, shift, size = standardize(values, center, scale, np.zeros(values.shape[1]))
    largest = max(1.0, np.abs(values).max())
    np.testing.assert_allclose(result * size + shift, values, atol=1e-12 * largest, rtol=1e-12)
    constant = np.ptp(values, axis=0) == 0
    if center:
        assert not result[:, constant].any()
        np.testing.assert_allclose((result * size).mean(axis=0), 0, atol=1e-12 * largest)
    else:
        assert not shift.any()
    if scale == "columns":
        np.testing.assert_allclose(result.std(axis=0)[~constant], 1, rtol=1e-9)
    if scale == "table":
        assert np.ptp(size) == 0
        assert not result.any() or abs(np.mean(np.sum(result**2, axis=1)) - 1) < 1e-12
    if scale == "none":
        assert np.all(size == 1)


def test_a_wide_table_is_read() -> None:
    wide = np.random.default_rng(0).standard_normal((3, 100_000))
    np.testing.assert_array_equal(matrix(pd.DataFrame(wide)).numbers, wide)
