"""The end of the flow at large width, against the flow and the dense kernel."""

import numpy as np
import pytest

from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.limit import (
    asymptotic_rate,
    kernel_change,
    large_width_limit,
    lazy_distance,
    limit_const,
    mode_growth,
    rich_distance,
)
from implicit_bias.theory.law.prediction import (
    predict_distance,
)
from implicit_bias.theory.problem import Problem
from tests.support.laws import (
    SCALES,
    SHAPES,
    block_scalar,
    flow_limit,
    make_problem,
)


@pytest.mark.parametrize(("r", "m"), SHAPES)
@pytest.mark.parametrize(("a", "b"), SCALES)
def test_closed_form_is_an_orbit_point_of_the_conservation_group(r, m, a, b):
    problem = make_problem(r, m)
    limit = large_width_limit(problem, a, b)
    mu = np.linalg.svd(problem.min_norm_coordinates, compute_uv=False)
    theta = np.arcsinh(2 * mu / (a + b)) / 2
    A, B = limit.A, limit.B
    cosh = np.cosh(theta) - 1
    Phi = np.block([
        [np.eye(r) + (A * cosh) @ A.T, (A * np.sinh(theta)) @ B.T],
        [(B * np.sinh(theta)) @ A.T, np.eye(m) + (B * cosh) @ B.T],
    ])  # fmt: skip
    J = np.diag(np.repeat([1.0, -1.0], [r, m]))
    scale = np.linalg.norm(Phi) ** 2
    np.testing.assert_allclose(Phi @ J @ Phi.T, J, atol=1e-15 * scale)
    G = Phi @ block_scalar(problem, a, b) ** 2 @ Phi.T
    atol = 1e-14 * (a + b) * scale
    np.testing.assert_allclose(G[:r, :r], limit.U1U1t, atol=atol)
    np.testing.assert_allclose(G[r:, r:], limit.VVt, atol=atol)
    np.testing.assert_allclose(G[:r, r:], problem.min_norm_coordinates, atol=atol)


@pytest.mark.parametrize(("r", "m"), SHAPES)
@pytest.mark.parametrize(("a", "b"), SCALES[:4])
def test_closed_form_is_the_matrix_square_root_formula(r, m, a, b):
    problem = make_problem(r, m)
    M = problem.min_norm_coordinates
    w, Q = np.linalg.eigh((a + b) ** 2 * np.eye(m) + 4 * M.T @ M)
    expected = (b - a) / 2 * np.eye(m) + (Q * np.sqrt(w)) @ Q.T / 2
    np.testing.assert_allclose(large_width_limit(problem, a, b).VVt, expected, atol=1e-14 * (a + b + 1))
    np.testing.assert_allclose(
        large_width_limit(problem, a, b).v, np.linalg.eigvalsh(expected)[::-1], atol=1e-14 * (a + b + 1)
    )


@pytest.mark.parametrize(
    ("r", "m", "spread", "theta", "a", "b"),
    [
        (3, 1, 1, 1, 1, 1),
        (4, 1, 10, 5, 1, 1),
        (4, 3, 3, 2, 1, 1),
        (3, 2, 3, 1, 9, 0.09),
        (3, 2, 3, 1, 0.09, 9),
        (2, 3, 2, 3, 0.3, 0.2),
    ],
)
def test_closed_form_equals_the_integrated_flow_to_ten_digits(r, m, spread, theta, a, b):
    problem = make_problem(r, m, spread=spread, theta=theta)
    R = flow_limit(problem, block_scalar(problem, a, b), rtol=1e-13, decay=30)
    limit = large_width_limit(problem, a, b)
    U1, V = R[:r], R[r:]
    np.testing.assert_allclose(V @ V.T, limit.VVt, atol=1e-10 * np.abs(limit.VVt).max())
    np.testing.assert_allclose(U1 @ U1.T, limit.U1U1t, atol=1e-10 * np.abs(limit.U1U1t).max())


def test_growth_has_its_lazy_and_rich_limits_and_never_overflows():
    mu = np.array([1e150, 1.0, 1e-150, 0.0])
    np.testing.assert_array_equal(mode_growth(mu, 0, 0), mu)
    np.testing.assert_allclose(mode_growth(mu[1:2], 1e9, 1e9), 0.5e-9, rtol=1e-15)
    np.testing.assert_allclose(mode_growth(mu[:1], 1e-300, 0), 1e150, rtol=1e-15)
    np.testing.assert_array_equal(mode_growth(mu, 1e308, 1e308) <= 1, True)
    np.testing.assert_array_equal(mode_growth(np.zeros(2), 0, 0), 0)


def test_constant_of_the_sqrt_law_and_its_lazy_and_rich_limits():
    problem = make_problem(3, 2, 10, theta=4)
    Theta = problem.min_norm_solution
    eigenvalues = np.linalg.eigvalsh(Theta.T @ Theta)
    expected = np.sqrt(7 * np.sum(np.sqrt(1 + eigenvalues)))
    assert limit_const(problem) == pytest.approx(expected, rel=1e-13)
    assert predict_distance(problem, [1e12]).rms[0] == pytest.approx(expected * 1e-6, rel=1e-10)
    for gain, reference in ((1e6, lazy_distance(problem, 1.0, 1e12)), (1e-6, rich_distance(problem, 1e-12))):
        scaling = Scaling(gain_U=gain, gain_V=gain)
        assert predict_distance(problem, [1e12], scaling).rms[0] == pytest.approx(reference, rel=1e-10)
    silent = Problem(4, problem.sigma, problem.Phi1, np.zeros((3, 2)), 0.0)
    assert limit_const(silent) == pytest.approx(np.sqrt(14), rel=1e-15)


@pytest.mark.parametrize(("r", "m"), SHAPES)
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.1, 3.0)])
def test_kernel_rate_and_movement_match_the_dense_kernel(r, m, a, b):
    problem = make_problem(r, m, spread=7.0)
    limit = large_width_limit(problem, a, b)
    S = np.diag(problem.sigma)

    def dense(U1U1t, VVt):
        return np.kron(S @ S, VVt) + np.kron(S @ U1U1t @ S, np.eye(m))

    start, end = dense(a * np.eye(r), b * np.eye(m)), dense(limit.U1U1t, limit.VVt)
    assert asymptotic_rate(problem, limit) == pytest.approx(2 * np.linalg.eigvalsh(end)[0], rel=1e-12)
    expected = np.linalg.norm(end - start) / np.linalg.norm(start)
    assert kernel_change(problem, limit) == pytest.approx(expected, rel=1e-12)


def test_rate_keeps_its_digits_at_extreme_conditioning_and_is_zero_without_a_kernel():
    problem = make_problem(3, 1, spread=1e12, theta=0.0)
    assert asymptotic_rate(problem, large_width_limit(problem, 1, 1)) == pytest.approx(4e-24, rel=1e-12)
    assert asymptotic_rate(problem, large_width_limit(problem, 0, 0)) == 0
    assert kernel_change(make_problem(3, 2), large_width_limit(make_problem(3, 2), 0, 0)) == np.inf
