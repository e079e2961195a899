"""Roots of many equations at once, beside those of scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from implicit_bias.theory.law.roots import roots


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
