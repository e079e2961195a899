"""`plan --depth`: the width that a deep network needs, by the law at large width."""

import numpy as np
import pytest

from implicit_bias.cli.width import answer_plan
from implicit_bias.theory import limit_const, reparametrize


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 12)) / 3
    return X, X @ rng.standard_normal((12, 1))


def test_two_layers_are_the_answer_without_depth(data):
    assert answer_plan(*data, 0.3, 0.05, depth=2) == answer_plan(*data, 0.3, 0.05)
    problem = reparametrize(*data)
    assert limit_const(problem, 2) == limit_const(problem)


def test_a_deeper_network_needs_the_width_at_which_its_law_attains_epsilon(data):
    answer = answer_plan(*data, 0.05, 0.1, depth=3)
    rows = {row["width"]: row for row in answer["predicted"]}
    at = rows[answer["widths"]["distance"]]
    assert at["bound"] <= 0.05 * (1 + 1e-7)
    assert at["bound"] * (1 + 0.5 / at["width"]) > 0.05 * (1 - 1e-6)  # one neuron fewer does not do
    for width, row in rows.items():
        assert row["rms"] * width**0.5 == pytest.approx(answer["limit_const"], rel=1e-7)
        assert row["lower"] < row["rms"] < row["upper"]
    assert answer["limit_const"] > answer_plan(*data, 0.05, 0.1)["limit_const"]
    assert answer["reasons"].keys() == {"prediction", "risk"}


def test_depth_1_is_regression_from_its_own_start(data):
    problem = reparametrize(*data)
    answer = answer_plan(*data, 0.3, 0.05, depth=1)
    assert answer["limit_const"] == pytest.approx((problem.D - problem.r) ** 0.5, rel=1e-12)
