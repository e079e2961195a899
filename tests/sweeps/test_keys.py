"""Keys of points: each depends on its point alone, tells it from all others, and is the name of a file everywhere."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.fields import numeral
from implicit_bias.sweeps.parameters import Cases, Point, Sweep
from implicit_bias.sweeps.records import point_fingerprint, settings_of

NAME_MAX = 255
"""Bytes of the name of a file on the file systems of Linux, macOS and Windows."""
REFUSED = set('<>:"/\\|?*')
"""Characters that Windows does not take in names."""

WIDTHS = st.lists(st.integers(1, 2**53), min_size=1, max_size=4, unique=True)
SCALES = st.floats(1e-3, 1e3)
PAIRS = st.lists(st.tuples(SCALES, SCALES), min_size=1, max_size=3, unique=True)


def by_key(**changes: Any) -> dict[str, Point]:
    settings: dict[str, Any] = {"title": "", "figure": "alpha", "seeds": [0], "step_size": 0.1, "alpha": [0.5]}
    points = Sweep(**settings | changes).points()
    found = {point.key: point for point in points}
    assert len(found) == len(points)
    assert all(len(key.encode()) + len(".npz") <= NAME_MAX and not set(key) & REFUSED for key in found)
    return found


@given(WIDTHS, WIDTHS, st.lists(st.floats(-0.5, 1), min_size=1, max_size=3, unique=True))
def test_more_widths_and_scales_leave_the_keys_of_the_others(
    one: list[int], more: list[int], alpha: list[float]
) -> None:
    few = by_key(widths=one, alpha=alpha[:1])
    many = by_key(widths=list(dict.fromkeys([*more, *one])), alpha=alpha)
    assert few.items() <= many.items()
    widths = [point.width for _, point in sorted(many.items())]
    assert widths == sorted(widths)


def test_more_gains_leave_the_keys_of_the_others_and_are_of_inner_layers_alone() -> None:
    few, many = (by_key(figure="scales", widths=[7], depths=[2, 3], inner_gain=gains) for gains in (1.0, "0.3 1 3"))
    assert few.items() <= many.items()
    assert sorted((point.depth, point.inner_gain) for point in many.values()) == [(2, 1), (3, 0.3), (3, 1), (3, 3)]


@given(PAIRS, PAIRS)
def test_more_cases_leave_the_keys_and_the_records_of_the_others(one: list[Any], more: list[Any]) -> None:
    """Their numbers change, what is computed does not."""
    pairs = list(dict.fromkeys([*more, *one]))
    few, many = (
        by_key(figure="imbalance", alpha=[], widths=[7], cases={"pairs": each, "balanced": False})
        for each in (one, pairs)
    )
    assert few.keys() <= many.keys()
    sweep = Sweep(title="", figure="width", seeds=[0], step_size=0.1, alpha=[0.5], widths=[7])
    for key, point in few.items():
        assert replace(many[key], case=point.case) == point
        prints = {point_fingerprint(TRAINING, each, "data", settings_of(sweep)) for each in (point, many[key])}
        assert len(prints) == 1


def test_a_balanced_start_is_not_that_of_the_first_case() -> None:
    points = by_key(figure="imbalance", alpha=[], widths=[7], cases={"pairs": [(0.1, 0.1)]})
    assert [key for key in points if "balanced" in key] == [
        points[key].key for key in points if points[key].case != "1"
    ]
    sweep = Sweep(title="", figure="width", seeds=[0], step_size=0.1, alpha=[0.5], widths=[7])
    assert len({point_fingerprint(TRAINING, each, "data", settings_of(sweep)) for each in points.values()}) == 2


def test_the_longest_key_is_a_name() -> None:
    longest = {"figure": "imbalance", "alpha": [], "widths": [2**53], "seeds": [2**63 - 1]}
    longest |= {"cases": {"pairs": [(1.2345678901234567e-100, 1.2345678901234567e-100)]}}
    by_key(**longest, solvers=["gradient_descent"], initialization=["invariant_set"], problem="own", redraw_data=True)


@pytest.mark.parametrize(
    "cases", [{"pairs": [(1, 2), (1, 2)]}, {"pairs": [(0.1, 0.1)], "product": 0.01, "ratios": [1]}]
)
def test_cases_of_equal_scales_are_refused(cases: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="initial scales must differ from each other"):
        Cases(**cases)


@pytest.mark.parametrize("gains", ["1 1.0000001", "1e6 1e22 1e-7"])
def test_names_of_points_and_metrics_tell_gains_apart(gains) -> None:
    """MLflow takes no plus sign in the name of a metric."""
    values = [float(gain) for gain in gains.split()]
    names = [numeral(value) for value in values]
    assert [float(name) for name in names] == values
    assert not [name for name in names if "+" in name]
