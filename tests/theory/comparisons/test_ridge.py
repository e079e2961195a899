"""Early stopping beside ridge regression."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from implicit_bias.theory.comparisons.infinite_width import infinite_width_state
from implicit_bias.theory.comparisons.linearized import linearized_flow
from implicit_bias.theory.comparisons.ridge import (
    FLOW_OVER_RIDGE,
    nearest_ridge,
    network_risk,
    regression_flow,
    ridge_path,
    seen_risk,
)
from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from tests.support.networks import SHAPES, complement, random_case


@pytest.fixture(params=["one output", "three outputs", "rank deficient", "r < m", "D = r"])
def case(request):
    return random_case(request.param)


@pytest.mark.parametrize("penalty", [1e-6, 0.3, 40.0])
def test_the_ridge_path_solves_the_normal_equations(case, penalty):
    p = case.problem
    theta = np.linalg.solve(case.X.T @ case.X + penalty * np.eye(p.D), case.X.T @ case.Y)
    np.testing.assert_allclose(p.Phi1 @ ridge_path(p, penalty)[0], theta, atol=1e-8)


def test_the_ends_of_the_ridge_path_are_the_min_norm_solution_and_zero(case):
    p = case.problem
    np.testing.assert_allclose(ridge_path(p, 0.0)[0], p.min_norm_coordinates, rtol=1e-14)
    np.testing.assert_array_equal(ridge_path(p, np.inf)[0], 0)


def test_single_layer_gradient_flow_is_the_linearised_flow_of_an_infinitely_wide_network_sped_up(case):
    p, (a, b), t = case.problem, (2.0, 0.5), np.array([0.0, 0.2, 3.0, np.inf])
    expected = linearized_flow(p, infinite_width_state(p, a, b)).product(t)
    np.testing.assert_allclose(regression_flow(p, (a + b) * t), expected, atol=1e-13)


@given(st.floats(-12, 12))
def test_a_mode_of_the_flow_is_at_least_that_of_ridge_and_at_most_the_constant_times_it(log_x):
    x = np.exp(log_x)  # sigma^2 t, for which the modes are 1 - exp(-x) and x / (1 + x)
    assert 1 - 1e-12 <= -np.expm1(-x) * (1 + x) / x <= FLOW_OVER_RIDGE


def test_the_constant_is_attained_to_its_digits():
    x = np.linspace(1, 3, 10_001)
    assert np.max(-np.expm1(-x) * (1 + x) / x) == pytest.approx(FLOW_OVER_RIDGE, abs=1e-4)


def test_the_flow_keeps_within_the_constant_of_the_ridge_path_at_every_time(case):
    p, t = case.problem, np.geomspace(1e-4, 1e4, 60)
    flow, ridge = regression_flow(p, t), ridge_path(p, 1 / t)
    difference, size = np.linalg.norm(flow - ridge, axis=(1, 2)), np.linalg.norm(ridge, axis=(1, 2))
    assert np.all(difference <= (FLOW_OVER_RIDGE - 1) * size)
    _, gap = nearest_ridge(p, flow)
    assert np.all(gap * np.linalg.norm(p.min_norm_coordinates) <= difference * (1 + 1e-9) + 1e-12)


def test_ridge_solutions_are_found_again(case):
    p, penalties = case.problem, np.array([1e-5, 0.02, 1.0, 300.0])
    found, gap = nearest_ridge(p, ridge_path(p, penalties))
    np.testing.assert_allclose(found, penalties, rtol=1e-3)
    assert gap.max() < 1e-5
    found, gap = nearest_ridge(p, ridge_path(p, [0.0, np.inf]))
    np.testing.assert_array_equal(found, [0.0, np.inf])
    np.testing.assert_allclose(gap, 0, atol=1e-14)


def test_the_nearest_ridge_solution_is_nearer_than_any_of_a_fine_grid(case):
    p, rng = case.problem, np.random.default_rng(0)
    N = p.min_norm_coordinates * rng.uniform(0, 1.2, (p.r, 1)) + 0.1 * rng.standard_normal((p.r, p.m))
    _, gap = nearest_ridge(p, N[None])
    grid = np.linalg.norm(ridge_path(p, np.geomspace(1e-7, 1e7, 4000)) - N, axis=(1, 2)).min()
    assert gap[0] * np.linalg.norm(p.min_norm_coordinates) <= grid * (1 + 1e-9)


def test_of_a_problem_without_signal_every_penalty_gives_zero():
    case = random_case("one output")
    p = replace(case.problem, Y_tilde=np.zeros_like(case.problem.Y_tilde))
    _, gap = nearest_ridge(p, np.zeros((1, p.r, p.m)))
    np.testing.assert_array_equal(gap, 0)


@pytest.mark.parametrize("shape", ["three outputs", "D = r"])
def test_the_network_s_risk_is_the_mean_over_rotations_of_what_the_data_do_not_see(shape):
    case, rng = random_case(shape), np.random.default_rng(0)
    p = case.problem
    X_test, Y_test = rng.standard_normal((7, p.D)), rng.standard_normal((7, p.m))
    Phi2, N = complement(p.Phi1), rng.standard_normal((p.r, p.m))
    unseen = rng.standard_normal((p.D - p.r, p.m))
    risks = []
    for _ in range(2000):
        G = ortho_group.rvs(p.D - p.r, random_state=rng) @ unseen if p.D > p.r else unseen
        theta = p.Phi1 @ N + Phi2 @ G
        risks.append(np.mean(np.sum((Y_test - X_test @ theta) ** 2, axis=1)))
    expected = network_risk(p, X_test, Y_test, N[None], np.array([np.linalg.norm(unseen)]))[0]
    assert abs(np.mean(risks) - expected) <= 3.9 * np.std(risks) / np.sqrt(len(risks)) + 1e-12  # false alarms: 1e-4
    assert seen_risk(p, X_test, Y_test, N[None])[0] <= expected


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_a_nearest_ridge_solution(shape):
    p = random_case(shape).problem
    state = scaled(standard_normal(p, 30, np.random.default_rng(0)), 0.1, 0.1)
    lam, gap = nearest_ridge(p, (state.U1 @ state.V.T)[None])
    assert lam[0] >= 0
    assert np.isfinite(gap).all()
