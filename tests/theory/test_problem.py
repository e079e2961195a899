import numpy as np
import pytest

from implicit_bias.theory.checks import as_matrix
from implicit_bias.theory.problem import reparametrize
from tests.support.networks import SHAPES, full_loss, random_case, random_data

EPS = np.finfo(float).eps


@pytest.fixture(params=SHAPES)
def case(request):
    return random_case(request.param)


def test_rank_and_shapes_are_those_of_the_data(case):
    problem = case.problem
    n, D = case.X.shape
    r = np.linalg.matrix_rank(case.X)
    assert (problem.n, problem.D, problem.m, problem.r) == (n, D, case.Y.shape[1], r)
    assert problem.k == r + problem.m
    assert problem.sigma.shape == (r,)
    assert problem.Phi1.shape == (D, r)
    assert problem.Y_tilde.shape == (r, problem.m)


def test_svd_coordinates_are_those_of_the_data(case):
    p = case.problem
    assert np.all(np.diff(p.sigma) <= 0)
    np.testing.assert_allclose(p.Phi1.T @ p.Phi1, np.eye(p.r), atol=1e-14)
    np.testing.assert_allclose((p.Phi1 * p.sigma**2) @ p.Phi1.T, case.X.T @ case.X, atol=1e-13)
    np.testing.assert_allclose(p.sigma[:, None] * p.Y_tilde, p.Phi1.T @ case.X.T @ case.Y, atol=1e-13)
    assert p.cond == pytest.approx((p.sigma.max() / p.sigma.min()) ** 2, rel=1e-14)


def test_min_norm_solution_is_that_of_the_pseudoinverse(case):
    expected = np.linalg.pinv(case.X) @ case.Y
    np.testing.assert_allclose(case.problem.min_norm_solution, expected, atol=1e-12)
    np.testing.assert_allclose(case.problem.Phi1.T @ expected, case.problem.min_norm_coordinates, atol=1e-12)


def test_loss_floor_is_the_least_squares_residual(case):
    best = np.linalg.lstsq(case.X, case.Y, rcond=None)[0]
    assert case.problem.loss_floor == pytest.approx(0.5 * np.sum((case.Y - case.X @ best) ** 2), rel=1e-12, abs=1e-25)
    assert case.problem.y_norm == pytest.approx(np.linalg.norm(case.Y), rel=1e-14)


def test_loss_splits_into_excess_and_floor(case):
    p = case.problem
    E = p.Y_tilde - p.sigma[:, None] * (p.Phi1.T @ case.U @ case.V.T)
    assert 0.5 * np.sum(E**2) + p.loss_floor == pytest.approx(full_loss(case, case.U, case.V), rel=1e-13)


def test_rotated_samples_are_the_same_problem(case):
    Q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((len(case.X),) * 2))
    rotated = reparametrize(Q @ case.X, Q @ case.Y)
    np.testing.assert_allclose(rotated.sigma, case.problem.sigma, rtol=1e-13)
    np.testing.assert_allclose(rotated.min_norm_solution, case.problem.min_norm_solution, atol=1e-12)
    assert rotated.loss_floor == pytest.approx(case.problem.loss_floor, rel=1e-12, abs=1e-25)


def test_rotated_inputs_rotate_the_solution(case):
    Q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((case.problem.D,) * 2))
    rotated = reparametrize(case.X @ Q.T, case.Y)
    np.testing.assert_allclose(rotated.min_norm_solution, Q @ case.problem.min_norm_solution, atol=1e-12)


@pytest.mark.parametrize("a", [1e-120, 1e-3, 7.0, 1e120])
def test_scaled_data_scale_the_solution(case, a):
    scaled = reparametrize(a * case.X, case.Y)
    assert scaled.r == case.problem.r
    np.testing.assert_allclose(scaled.sigma, a * case.problem.sigma, rtol=1e-13)
    np.testing.assert_allclose(a * scaled.min_norm_solution, case.problem.min_norm_solution, atol=1e-12)


def with_spectrum(s, n=6, D=9):
    rng = np.random.default_rng(2)
    W, _ = np.linalg.qr(rng.standard_normal((n, len(s))))
    Phi1, _ = np.linalg.qr(rng.standard_normal((D, len(s))))
    return (W * s) @ Phi1.T, rng.standard_normal((n, 1))


@pytest.mark.parametrize(
    ("rtol", "rank"), [(None, 4), (0.0, 6), (1e-12, 4), (1e-9, 3), (1e-3, 2), (0.4, 2), (0.6, 1), (0.999, 1)]
)
def test_rank_counts_singular_values_above_the_cut(rtol, rank):
    X, Y = with_spectrum([2.0, 1.0, 2e-6, 2e-10, 1e-17, 1e-17])
    assert reparametrize(X, Y, rtol).r == rank


@pytest.mark.parametrize(("n", "D"), [(6, 9), (9, 6), (6, 6)])
def test_default_cut_is_the_larger_dimension_times_epsilon(n, D):
    for factor, rank in ((20, 3), (0.01, 2)):
        X, Y = with_spectrum([1.0, 0.5, factor * max(n, D) * EPS], n, D)
        assert reparametrize(X, Y).r == rank


def test_unreachable_targets_are_left_in_the_floor():
    X = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 0]])
    problem = reparametrize(X, [1.0, 2.0, 3.0])
    assert problem.r == 2
    assert problem.loss_floor == pytest.approx(4.5, rel=1e-15)
    np.testing.assert_allclose(problem.min_norm_solution[:, 0], [1.0, 1.0, 0.0], atol=1e-15)


def test_one_dimensional_targets_are_one_output():
    X, Y = random_data(np.random.default_rng(0), 5, 7, 1, 5)
    np.testing.assert_array_equal(reparametrize(X, Y[:, 0]).Y_tilde, reparametrize(X, Y).Y_tilde)


def test_inputs_are_left_alone():
    X, Y = random_data(np.random.default_rng(0), 5, 7, 2, 5)
    X0, Y0 = X.copy(), Y.copy()
    reparametrize(X, Y)
    np.testing.assert_array_equal(X, X0)
    np.testing.assert_array_equal(Y, Y0)


def test_iteration_k_with_step_eta_is_flow_time_2_eta_k_over_n(case):
    p = case.problem
    np.testing.assert_allclose(p.flow_time([0, 1, 7], 0.3), [0, 0.6 / p.n, 4.2 / p.n], rtol=1e-15)
    np.testing.assert_allclose(p.iterations(p.flow_time([0, 1, 7], 0.3), 0.3), [0, 1, 7], rtol=1e-15)
    averaged = np.sum((case.Y - case.X @ case.U @ case.V.T) ** 2) / len(case.X)
    assert p.averaged(full_loss(case, case.U, case.V)) == pytest.approx(averaged, rel=1e-14)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.zeros((3, 4)), np.ones(3), "X must have rank at least 1, got a zero matrix"),
        (np.ones((3, 4)), np.ones(2), "same number of rows, got 3 and 2"),
        (np.ones((3, 0)), np.ones(3), r"X must be a non-empty matrix, got shape \(3, 0\)"),
        (np.ones((0, 4)), np.ones((0, 1)), "X must be a non-empty matrix"),
        (np.ones((3, 4)), np.ones((3, 1, 1)), r"Y must be a non-empty matrix, got shape \(3, 1, 1\)"),
        (np.ones((3, 4)), 1.0, r"Y must be a non-empty matrix, got shape \(\)"),
        ([[1.0, np.nan], [np.nan, 1.0]], np.ones(2), r"X must be finite, got nan at row 0, column 1 \(2 such"),
        (np.ones((2, 2)), [1.0, -np.inf], "Y must be finite, got -inf at row 1, column 0"),
        ("data", np.ones(2), "X must be a numeric array, got str"),
        ([[1.0, 2.0], [3.0]], np.ones(2), "X must be a numeric array, got list"),
        (np.ones((2, 2)), np.array([1.0, 1j]), "Y must be a numeric array, got ndarray: its entries are complex"),
    ],
)
def test_bad_data_are_refused(X, Y, message):
    with pytest.raises(ValueError, match=message):
        reparametrize(X, Y)


@pytest.mark.parametrize("rtol", [-1e-9, 1.0, 2.0, np.nan])
def test_bad_rank_cuts_are_refused(rtol):
    with pytest.raises(ValueError, match=r"rank_rtol must be in \[0, 1\), got"):
        reparametrize(np.eye(2), np.ones(2), rtol)


def test_as_matrix_accepts_integers_and_lists():
    matrix = as_matrix("Y", [1, 2, 3])
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, [[1.0], [2.0], [3.0]])
