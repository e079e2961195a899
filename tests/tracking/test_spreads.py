"""Spreads and what they tell apart, against exact arithmetic."""

import math
import statistics
import sys
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.tracking.spreads import agreement, grouped, moments, separation

numbers = st.floats(allow_nan=False, allow_infinity=False, max_value=1e308, min_value=-1e308)


@given(st.lists(numbers, min_size=2, max_size=8))
def test_a_spread_is_that_of_exact_arithmetic(values: list[float]) -> None:
    """Within rounding of the largest value, at any size: squares of the values neither overflow nor underflow."""
    found = moments(values)
    exact = [Fraction(value) for value in values]
    largest = max(map(abs, exact), default=Fraction(0))
    slack = Fraction(2) ** -48 * largest + Fraction(sys.float_info.min)
    assert found["count"] == len(values)
    assert abs(Fraction(found["mean"]) - statistics.mean(exact)) <= slack
    variance = statistics.variance(exact)
    if math.isfinite(found["sd"]):
        assert max(Fraction(found["sd"]) - slack, 0) ** 2 <= variance <= (Fraction(found["sd"]) + slack) ** 2
    else:
        assert variance > (Fraction(sys.float_info.max) - slack) ** 2


def test_infinity_as_mlflow_stores_it() -> None:
    stored = moments([1.0, sys.float_info.max])
    assert stored["mean"] == math.inf
    assert math.isnan(stored["sd"])
    assert math.isnan(moments([-sys.float_info.max, math.inf])["mean"])
    assert moments([3.0]) == {"mean": 3.0, "sd": None, "count": 1}


def pair(a: float, b: float, sd: float | None = None) -> list[dict[str, float | None]]:
    return [{"mean": a, "sd": sd}, {"mean": b, "sd": sd}]


def test_how_far_two_means_are_apart() -> None:
    assert separation(pair(1.0, 1.0)) == 0
    assert separation(pair(math.nan, math.nan)) == 0
    assert separation(pair(math.inf, math.inf)) == 0
    assert separation(pair(1.0, math.inf, 1.0)) == math.inf
    assert separation(pair(1.0, 2.0)) == math.inf
    assert separation([None, {"mean": 1.0, "sd": 0.1}]) == math.inf
    assert separation(pair(1.0, 4.0, 1.0)) == pytest.approx(3 / math.sqrt(2))
    assert separation(pair(-1.7e308, 1.7e308)) == math.inf


def test_widths_are_compared_with_each_other() -> None:
    """Over all widths the spread hides a factor of two, at every width it is plain."""
    rows = [(h, seed, (1 + seed) / h) for h in (1, 100) for seed in (0.0, 0.01)]
    first = pd.DataFrame(rows, columns=["width", "seed", "distance"])
    second = first.assign(distance=2 * first["distance"])
    whole = {"distance": [moments(first["distance"].tolist()), moments(second["distance"].tolist())]}
    groups = grouped([first, second], ("width",), ("distance",))
    assert [group["group"] for group in groups] == [{"width": 1}, {"width": 100}]
    assert agreement(whole, [])["within_spread"] == ["distance"]
    assert agreement(whole, groups)["differ"] == ["distance"]


def test_sweeps_that_vary_different_things_have_no_groups() -> None:
    width = pd.DataFrame({"width": [1, 2], "alpha": [1, 1], "distance": [1.0, 2.0]})
    alpha = pd.DataFrame({"width": [1, 1], "alpha": [1, 2], "distance": [1.0, 2.0]})
    assert grouped([width, alpha], ("width", "alpha"), ("distance",)) == []
