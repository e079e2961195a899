"""Roots of many equations at once, beside those of scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from implicit_bias.theory.law.roots import newton, roots


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=6))
def test_cubes_are_undone(values: list[float]) -> None:
    x = np.array(values)
    found = roots(lambda y: x - y**3, np.zeros_like(x), np.full_like(x, 1e5))
    np.testing.assert_allclose(found, np.cbrt(x), rtol=1e-14)


@pytest.mark.parametrize("steepness", [1.0, 50.0, 700.0])
def test_roots_are_those_of_brent(steepness: float) -> None:
    shifts = np.array([0.01, 0.4, 0.99])
    found = roots(lambda y: np.expm1(steepness * (y - shifts)), np.zeros(3), np.ones(3))
    expected = [brentq(lambda y, s=s: np.expm1(steepness * (y - s)), 0, 1, xtol=1e-15) for s in shifts]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_end_may_be_the_root() -> None:
    np.testing.assert_array_equal(roots(lambda y: 1 - y, np.array([0.0, 1.0]), np.array([1.0, 3.0])), [1, 1])


@pytest.mark.parametrize(("steepness", "start"), [(1.0, 0.5), (50.0, 0.01), (50.0, 5.0), (700.0, 0.0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_newtons_root_is_found_from_anywhere_in_the_bracket(steepness: float, start: float, sign: int) -> None:
    asked = []

    def f(x: float) -> tuple[float, float]:
        asked.append(x)
        return sign * np.tanh(steepness * (x - 0.4)), sign * steepness / np.cosh(steepness * (x - 0.4)) ** 2

    assert newton(f, start, 0.0, 1.0, rising=sign > 0) == pytest.approx(0.4, rel=1e-13)
    assert min(asked) >= 0
    assert max(asked) <= 1
    assert len(asked) <= 60


def test_where_there_is_no_slope_the_bracket_is_halved() -> None:
    assert newton(lambda x: (np.sign(x - 0.3), 0.0), 0.9, 0.0, 1.0, rising=True) == pytest.approx(0.3, rel=1e-13)
