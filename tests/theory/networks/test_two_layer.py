import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.theory.networks.hidden import row_space
from implicit_bias.theory.networks.two_layer import (
    imbalance,
    imbalance_matrix,
    imbalance_spectrum,
    ordered_eigenvalue,
    reduce_network,
    triangular_factor,
)
from tests.support.networks import SHAPES, dense_eigenvalue, full_imbalance, random_case


@pytest.fixture(params=SHAPES)
def case(request):
    return random_case(request.param)


def test_reduction_keeps_every_product_of_the_network(case):
    p, s = case.problem, case.state
    U1, U2 = p.Phi1.T @ case.U, case.Phi2.T @ case.U
    P = np.vstack([U1, case.V])
    assert s.R.shape == (p.k, min(s.h, p.k))
    assert s.U2.shape == (min(p.D - p.r, s.R.shape[1]), s.R.shape[1])
    assert s.h == case.U.shape[1]
    np.testing.assert_allclose(s.R @ s.R.T, P @ P.T, atol=1e-12)
    np.testing.assert_allclose(s.U1 @ s.V.T, U1 @ case.V.T, atol=1e-12)
    cross = U2 @ P.T
    reduced = s.U2 @ s.R.T
    np.testing.assert_allclose(reduced.T @ reduced, cross.T @ cross, atol=1e-11)


def test_reduction_does_not_see_rotations_of_the_hidden_layer(case):
    h = case.state.h
    Q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((h, h)))
    rotated = case.reduced(case.U @ Q, case.V @ Q)
    np.testing.assert_allclose(rotated.R @ rotated.R.T, case.state.R @ case.state.R.T, atol=1e-12)
    assert np.linalg.norm(rotated.U2 @ rotated.V.T) == pytest.approx(
        np.linalg.norm(case.state.U2 @ case.state.V.T), rel=1e-11, abs=1e-13
    )
    np.testing.assert_allclose(imbalance_spectrum(rotated), imbalance_spectrum(case.state), atol=1e-12)


def test_idle_hidden_units_change_nothing(case):
    padded = case.reduced(np.pad(case.U, ((0, 0), (0, 5))), np.pad(case.V, ((0, 0), (0, 5))))
    np.testing.assert_allclose(padded.R @ padded.R.T, case.state.R @ case.state.R.T, atol=1e-12)
    for i in range(1, case.state.h + 1):
        sizes = ordered_eigenvalue(imbalance_spectrum(case.state), case.state.h, i)
        if sizes > 1e-12:
            assert ordered_eigenvalue(imbalance_spectrum(padded), padded.h, i) == pytest.approx(sizes, rel=1e-11)


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 4), (1, 5), (5, 1)])
def test_triangular_factor_has_the_same_gram_matrix(shape):
    A = np.random.default_rng(0).standard_normal(shape)
    factor = triangular_factor(A)
    assert factor.shape == (min(shape), shape[1])
    np.testing.assert_array_equal(factor, np.triu(factor))
    np.testing.assert_allclose(factor.T @ factor, A.T @ A, atol=1e-13)


@given(
    r=st.integers(1, 5),
    m=st.integers(1, 5),
    h=st.integers(1, 16),
    unbalance=st.sampled_from([1e-3, 0.3, 1.0, 3.0, 1e3]),
    seed=st.integers(0, 1000),
)
def test_imbalance_is_that_of_the_h_by_h_matrix(r, m, h, unbalance, seed):
    case = random_case((r + 1, r + 2, m, r, h), seed, scale_u=0.7 * unbalance, scale_v=0.7)
    lam = full_imbalance(case, case.U, case.V)
    size = np.linalg.norm(lam, 2)
    close = {"rel": 1e-10, "abs": 1e-12 * size}
    spectrum = imbalance_spectrum(case.state)
    assert np.all(np.diff(spectrum) <= 0)
    for i in range(1, h + 3):
        assert ordered_eigenvalue(spectrum, h, i) == pytest.approx(dense_eigenvalue(lam, i), **close)
        assert ordered_eigenvalue(-spectrum, h, i) == pytest.approx(dense_eigenvalue(-lam, i), **close)
    lambda_r, lambda_m = dense_eigenvalue(lam, r), dense_eigenvalue(-lam, m)
    plus, minus = max(lambda_r, 0), max(lambda_m, 0)
    measured = imbalance(case.state)
    assert measured.lambda_r == pytest.approx(lambda_r, **close)
    assert measured.lambda_m == pytest.approx(lambda_m, **close)
    assert measured.c == pytest.approx(plus + minus, **close)
    assert measured.spread_plus == pytest.approx(max(dense_eigenvalue(lam, 1), 0) - plus, **close)
    assert measured.spread_minus == pytest.approx(max(dense_eigenvalue(-lam, 1), 0) - minus, **close)


def test_imbalance_matrix_has_the_trace_and_norm_of_lambda(case):
    lam = full_imbalance(case, case.U, case.V)
    reduced = imbalance_matrix(case.state.R, case.state.r)
    assert np.trace(reduced) == pytest.approx(np.trace(lam), abs=1e-12)
    assert np.linalg.norm(reduced) == pytest.approx(np.linalg.norm(lam), rel=1e-13)


@pytest.mark.parametrize(
    ("spectrum", "h", "expected"),
    [
        ([3.0, 1.0, -2.0], 3, [3, 1, -2, 0, 0]),
        ([3.0, 1.0, -2.0], 5, [3, 1, 0, 0, -2, 0]),
        ([-2.0, 1.0, 3.0], 4, [3, 1, 0, -2, 0]),
        ([-1.0, -4.0], 4, [0, 0, -1, -4, 0]),
        ([2.0, 1.0], 4, [2, 1, 0, 0, 0]),
        ([1.0], 10**12, [1, 0, 0]),
    ],
)
def test_missing_eigenvalues_are_zeros_in_their_place(spectrum, h, expected):
    assert [ordered_eigenvalue(np.array(spectrum), h, i + 1) for i in range(len(expected))] == expected


def test_a_wide_network_has_the_negative_eigenvalues_at_the_end():
    spectrum, h = np.array([1.0, -5.0, -3.0]), 10**12
    assert ordered_eigenvalue(spectrum, h, h) == -5.0
    assert ordered_eigenvalue(spectrum, h, h - 1) == -3.0
    assert ordered_eigenvalue(spectrum, h, h - 2) == 0.0


def test_c_follows_the_definition_where_the_width_undercuts_r_and_m():
    # U1^T U1 - V^T V = 4 with h = 1: lambda_1 exists, lambda_2 does not
    case = random_case("one hidden unit")
    p = case.problem
    V = np.zeros_like(case.V)
    assert p.r > 1
    assert imbalance(reduce_network(case.problem, case.U, V)).c == 0.0
    assert imbalance(case.reduced(case.U, V)).spread_plus == pytest.approx(np.sum((p.Phi1.T @ case.U) ** 2), rel=1e-12)


@given(
    k=st.integers(1, 12),
    more=st.integers(0, 40),
    scales=st.integers(0, 280),
    tie=st.floats(1e-9, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_hidden_directions_are_orthonormal_whatever_the_scales_and_the_condition(k, more, scales, tie, seed):
    rng = np.random.default_rng(seed)
    P = rng.standard_normal((k, k + more))
    P[-1] = P[0] + tie * P[-1]  # from independent rows to nearly equal ones
    P *= 10.0 ** rng.uniform(-scales / 2, scales / 2, (k, 1))
    R, O = row_space(P)
    np.testing.assert_allclose(O.T @ O, np.eye(O.shape[1]), atol=1e-12)  # k eps over the least condition, squared
    size = np.linalg.norm(P, axis=1, keepdims=True)
    np.testing.assert_allclose(R @ O.T / size, P / size, atol=1e-13)


@pytest.mark.parametrize("width", [4, 40])
def test_a_row_that_is_nothing_but_rounding_is_no_direction(width):
    rng = np.random.default_rng(width)
    P = rng.standard_normal((3, width)) * [[1.0], [1.0], [1e-17]]
    size = np.ones_like(P)
    assert row_space(P)[0].shape == (3, 3)
    R, O = row_space(P, lambda: size)
    assert R.shape == (3, 2)
    np.testing.assert_allclose(R @ O.T, P, atol=1e-14)
