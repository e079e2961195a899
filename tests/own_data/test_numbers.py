"""Columns of every type are the numbers they stand for, or are refused by name; the cost grows with their number."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from implicit_bias.own_data.numbers import to_matrix

EPS = {size: np.finfo(f"float{size}").eps for size in (16, 32, 64)}


@pytest.mark.parametrize(
    ("column", "numbers", "eps"),
    [
        (pd.Series([True, False]), [1, 0], 64),
        (pd.Series([True, False], dtype="boolean"), [1, 0], 64),
        (pd.Series([1, 2], dtype="Int64"), [1, 2], 64),
        (pd.Series([1, 2**53 - 1]), [1, 2**53 - 1], 64),
        (pd.Series([1, 2], dtype="uint8"), [1, 2], 64),
        (pd.Series([1, 2], dtype="int32[pyarrow]"), [1, 2], 64),
        (pd.Series([0.1, 2], dtype="float16"), [float(np.float16(0.1)), 2], 16),
        (pd.Series([0.1, 2], dtype="float32"), [float(np.float32(0.1)), 2], 32),
        (pd.Series([0.1, 2], dtype="Float32"), [float(np.float32(0.1)), 2], 32),
        (pd.Series([0.1, 2], dtype="float[pyarrow]"), [float(np.float32(0.1)), 2], 32),
        (pd.Series([0.1, 2], dtype="Float64"), [0.1, 2], 64),
        (pd.Series([0.1, 2], dtype="double[pyarrow]"), [0.1, 2], 64),
        (pd.Series([0.1, True], dtype=object), [0.1, 1], 64),
    ],
)
def test_numbers_of_every_type_are_kept_with_their_precision(column: pd.Series, numbers: list[float], eps: int) -> None:
    matrix = to_matrix("X", pd.DataFrame({"a": column}))
    assert matrix.numbers[:, 0].tolist() == numbers
    assert matrix.eps.tolist() == [EPS[eps]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.Categorical([1, 2]), "no numbers in column 'a' (np.int64(1) in row 1 of 'a')"),
        (pd.Categorical(["x", "y"]), "no numbers in column 'a' ('x' in row 1 of 'a')"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "no numbers in column 'a' (Timestamp("),
        (pd.to_timedelta([1, 2], unit="D"), "no numbers in column 'a' (Timedelta("),
        ([datetime.date(2020, 1, 1), None], "no numbers in column 'a' (datetime.date(2020, 1, 1) in row 1"),
        (["5 %", "6 %"], "no numbers in column 'a' ('5 %' in row 1 of 'a')"),
        (["1.5", "red"], "no numbers in column 'a' ('red' in row 2 of 'a')"),
        (["1.5", "2.5"], "no numbers in column 'a' ('1.5' in row 1 of 'a')"),
        ([1j, 2.0], "no numbers in column 'a' (1j in row 1 of 'a')"),
        ([2**53 + 1, 2], "9007199254740993 in row 1, column 'a' is beyond 2^53 and not exact as float64"),
        (pd.array([2**60, None], dtype="Int64"), "missing in row 2, column 'a'"),
        (pd.array([1, -(2**60)], dtype="Int64"), "-1152921504606846976 in row 2, column 'a' is beyond 2^53"),
        ([10**400, 2], f"{10**39} in row 1, column 'a' is beyond 2^53"),
        ([1.0, None], "missing in row 2, column 'a'"),
        ([1.0, np.inf], "inf in row 2, column 'a'"),
    ],
)
def test_what_is_no_number_is_refused_by_name(values: Any, said: str) -> None:
    huge = any(isinstance(value, int) and abs(value) >= 2**64 for value in values)
    column = pd.Series(values, dtype=object) if huge else values  # older pandas makes no column of them by itself
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        to_matrix("X", pd.DataFrame({"a": column}))
    assert str(refusal.value).startswith(f"X: {said}")


@pytest.mark.parametrize("dtype", ["float32", "int64", "Int64"])
def test_the_types_of_columns_are_asked_once_however_many_there_are(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    dtypes = pd.DataFrame.dtypes.fget

    def counted(frame: pd.DataFrame) -> Any:
        asked.append(frame.shape[1])
        return dtypes(frame)

    monkeypatch.setattr(pd.DataFrame, "dtypes", property(counted))
    calls = {}
    for D in (10, 1000):
        asked.clear()
        to_matrix("X", pd.DataFrame(np.arange(2.0 * D).reshape(2, D)).astype(dtype))
        calls[D] = len(asked)
    assert calls[10] == calls[1000] > 0


def test_a_wide_table_of_any_type_is_read() -> None:
    wide = np.random.default_rng(0).standard_normal((3, 100_000)).astype(np.float32)
    np.testing.assert_array_equal(to_matrix("X", pd.DataFrame(wide)).numbers, wide)
