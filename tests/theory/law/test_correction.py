"""The 1/h correction, against differences of its definition and sampled networks."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import root
from scipy.stats import binomtest, norm

from implicit_bias.theory.law.correction import (
    Correction,
    corrected_rms,
    estimate_correction,
    marginal_quantile,
    path_free_correction,
    trace_deviation,
)
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.limit import (
    large_width_limit,
)
from implicit_bias.theory.problem import reparametrize
from tests.support.laws import (
    FALSE_ALARM,
    block_scalar,
    flow_limit,
    make_problem,
    sampled_run,
)


def trace_after_the_boost(problem, G):
    """tr of the V block of p G p^T, p the symmetric positive definite element of O(r, m) that takes G to U1 V^T = M."""
    r, m = problem.r, problem.m

    def moved(delta):
        S = np.zeros((r + m, r + m))
        S[:r, r:] = delta.reshape(r, m)
        p = expm(S + S.T)
        return p @ G @ p

    start = (problem.min_norm_coordinates - G[:r, r:]) / np.mean(np.diag(G)) / 2
    miss = root(lambda d: (moved(d)[:r, r:] - problem.min_norm_coordinates).ravel(), start.ravel(), tol=1e-14)
    return np.trace(moved(miss.x)[r:, r:])


def second_order(problem, a, b, trace, step=2e-3):
    """Half the Laplacian of `trace` at the block-scalar Gram matrix under the covariance of the Wishart fluctuation."""
    D, k = block_scalar(problem, a, b), problem.k
    center, total = trace(problem, D @ D), 0.0
    for i in range(k):
        for j in range(i + 1):
            Z = np.zeros((k, k))
            Z[i, j] = Z[j, i] = step
            pair = sum(trace(problem, D @ (np.eye(k) + sign * Z) @ D) for sign in (1, -1))
            total += (1 + (i == j)) * (pair - 2 * center) / (2 * step**2)
    return total


@pytest.mark.parametrize(
    ("r", "m", "theta", "a", "b"), [(3, 1, 2, 1, 1), (2, 2, 1, 1, 0.5), (3, 2, 3, 1, 1), (1, 3, 1, 2, 1)]
)
def test_path_free_correction_matches_differences_of_its_definition(r, m, theta, a, b):
    problem = make_problem(r, m, theta=theta)
    expected = second_order(problem, a, b, trace_after_the_boost)
    assert path_free_correction(problem, a, b).value == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    ("r", "m", "theta", "a", "b"), [(2, 1, 1.0, 1.0, 0.3), (2, 2, 0.7, 0.2, 2.0), (1, 3, 1.5, 1.0, 3.0)]
)
def test_trace_deviation_matches_differences_over_the_wishart_fluctuation(r, m, theta, a, b):
    problem, step, variance = make_problem(r, m, theta=theta), 1e-4, 0.0
    D = block_scalar(problem, a, b)
    for i in range(r + m):
        for j in range(i + 1):
            Z = np.zeros((r + m, r + m))
            Z[i, j] = Z[j, i] = step
            up, down = (trace_after_the_boost(problem, D @ (np.eye(r + m) + sign * Z) @ D) for sign in (1, -1))
            variance += (1 + (i == j)) * ((up - down) / (2 * step)) ** 2
    assert trace_deviation(problem, a, b) == pytest.approx(np.sqrt(variance), rel=1e-5)


def trace_after_the_flow(problem, G):
    return np.sum(flow_limit(problem, np.linalg.cholesky(G), rtol=1e-11, decay=30)[problem.r :] ** 2)


@pytest.mark.parametrize(
    ("r", "m", "theta", "spread", "tolerance"), [(2, 1, 0.5, 1, 3e-3), (2, 2, 0.5, 2, 6e-3), (2, 1, 6, 1, 0.3)]
)
def test_estimated_correction_matches_differences_of_the_flow(r, m, theta, spread, tolerance):
    problem = make_problem(r, m, theta=theta, spread=spread)
    expected = second_order(problem, 1, 1, trace_after_the_flow)
    estimate = estimate_correction(problem, 1, 1, lambda R: flow_limit(problem, R, rtol=1e-11, decay=30), pairs=60)
    assert estimate.value == pytest.approx(expected, abs=norm.isf(FALSE_ALARM / 2) * estimate.standard_error)
    assert path_free_correction(problem, 1, 1).value == pytest.approx(expected, rel=tolerance)


def test_lazy_correction_is_minus_half_the_rank_per_output():
    problem = make_problem(4, 3, 12)
    assert path_free_correction(problem, 1e6, 1e6).value / 1e6 == pytest.approx(-4 * 3 / 2, rel=1e-9)
    assert path_free_correction(problem, 3e6, 1e6).value / 1e6 == pytest.approx(-3 / 4 * 12, rel=1e-9)
    assert trace_deviation(problem, 1e6, 1e6) / 1e6 == pytest.approx(np.sqrt(2 * 3), rel=1e-9)


def test_corrected_law_meets_sampled_networks():
    problem, h, runs = make_problem(3, 1, 9), 30, 250
    rng = np.random.default_rng(8)
    sampled = [sampled_run(problem, h, Scaling(), rng, decay=20) for _ in range(runs)]
    traces = np.array([np.trace(VVt) for VVt, _ in sampled])
    distances = np.array([np.linalg.norm(Theta - problem.min_norm_solution) for _, Theta in sampled])
    correction = path_free_correction(problem, 1, 1)
    rms, error = corrected_rms(problem, 1, 1, h, correction)
    mean = rms**2 * h / 6
    z = norm.isf(FALSE_ALARM / 2)
    assert traces.mean() == pytest.approx(mean, abs=z * traces.std() / np.sqrt(runs))
    assert traces.std() * np.sqrt(h) == pytest.approx(trace_deviation(problem, 1, 1), rel=0.25)
    assert error == 0
    for p in (0.1, 0.5, 0.9):
        below = int(np.sum(distances < marginal_quantile(problem, 1, 1, h, correction, p)))
        assert binomtest(below, runs, p).pvalue > FALSE_ALARM
    assert marginal_quantile(make_problem(3, 1, 3), 1, 1, h, correction, 0.5) == 0


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 4.0)])
def test_marginal_quantile_is_that_of_the_lognormal_mixture(a, b):
    problem, h, correction = make_problem(3, 1, 200), 10, Correction(-0.5, 0.0)
    mean = np.sum(large_width_limit(problem, a, b).v) + correction.value / h
    spread = np.sqrt(np.log1p(trace_deviation(problem, a, b) ** 2 / h / mean**2))
    rng = np.random.default_rng(9)
    traces = mean * np.exp(spread * rng.standard_normal(100_000) - spread**2 / 2)
    distances = np.sqrt(a / h * traces * rng.chisquare(197, traces.size))
    for p in (0.01, 0.5, 0.99):
        below = int(np.sum(distances < marginal_quantile(problem, a, b, h, correction, p)))
        assert binomtest(below, traces.size, p).pvalue > FALSE_ALARM
    rms = corrected_rms(problem, a, b, h, correction)[0]
    assert rms == pytest.approx(np.sqrt(np.mean(distances**2)), rel=norm.isf(FALSE_ALARM / 2) * spread / 600)


@pytest.mark.slow
def test_left_end_of_figure_1_is_met_by_the_corrected_curve():
    rng = np.random.default_rng(0)
    X, Theta = rng.standard_normal((100, 400)) / 20, rng.standard_normal((400, 1)) / 20
    problem = reparametrize(X, X @ Theta + 0.01 * rng.standard_normal((100, 1)))

    def solve(R):
        return flow_limit(problem, R, decay=20)

    correction = estimate_correction(problem, 1, 1, solve, pairs=32)
    assert -0.48 < correction.value / problem.k < -0.36
    limit = np.sum(large_width_limit(problem, 1, 1).v)
    for h in (500, 750, 1000):
        traces = []
        for _ in range(60):
            P = rng.standard_normal((problem.k, h)) / np.sqrt(h)
            traces.append(np.sum(solve(np.linalg.qr(P.T, mode="r").T)[problem.r :] ** 2))
        error = np.hypot(np.std(traces) / np.sqrt(60), correction.standard_error / h)
        assert np.mean(traces) == pytest.approx(limit + correction.value / h, abs=norm.isf(FALSE_ALARM / 2) * error)


@pytest.mark.parametrize("r", [1, 3, 30])
@pytest.mark.slow
def test_standard_error_of_the_estimated_correction_is_that_of_its_draws(r):
    """A solver whose ||V||^2 is g_VV^2 + ||g_1V||^2 of the initial Gram matrix has coefficient 2 + r, exactly."""
    problem, runs = make_problem(r, 1, r + 3), 400

    def solve(R):
        gram = R @ R.T
        return np.pad([[0.0] * (r + 1)], ((r, 0), (0, 0))) + np.sqrt(
            np.pad([[gram[r, r] ** 2 + np.sum(gram[:r, r] ** 2)]], ((r, 0), (r, 0)))
        )

    estimates = [estimate_correction(problem, 1.0, 1.0, solve, seed=seed) for seed in range(runs)]
    squares = np.array([((each.value - 2 - r) / each.standard_error) ** 2 for each in estimates])
    assert abs(squares.mean() - 1) <= 0.1 + norm.isf(FALSE_ALARM / 2) * squares.std(ddof=1) / np.sqrt(runs)
    errors = np.array([each.value - 2 - r for each in estimates])
    assert abs(errors.mean()) <= norm.isf(FALSE_ALARM / 2) * errors.std(ddof=1) / np.sqrt(runs)
