"""Initialisations against full networks, and samplers against each other.

Statistical tests draw from fixed seeds; each would fail at the rate FALSE_ALARM were its seed redrawn.
"""

import numpy as np
import pytest
from scipy.stats import chi2, ks_2samp, kstest, norm

from implicit_bias.theory.initialization.gaussian import (
    DENSE_ENTRIES,
    balanced,
    bartlett_factor,
    end_to_end_orthogonal,
    in_invariant_set,
    orthogonal_layers,
    scaled,
    standard_normal,
)
from implicit_bias.theory.networks.two_layer import imbalance, imbalance_spectrum
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import SHAPES, dense_eigenvalue, full_descent, full_flow, full_imbalance, random_case

FALSE_ALARM = 1e-4
BALANCEABLE = [name for name, (_, _, m, r, h) in SHAPES.items() if m <= min(r, h)]


def gap_to_min_norm(problem, state, trajectory):
    """||U V^T - Theta^||_F at the end of a run, from its two orthogonal parts."""
    along = trajectory.product[-1] - problem.min_norm_coordinates
    return np.hypot(np.linalg.norm(along), np.linalg.norm(state.U2 @ trajectory.V[-1].T))


# Scaled and balanced


@pytest.mark.parametrize("shape", SHAPES)
def test_scaled_state_is_that_of_the_scaled_network(shape):
    case = random_case(shape)
    expected = case.reduced(0.3 * case.U, 7.0 * case.V)
    state = scaled(case.state, 0.3, 7.0)
    np.testing.assert_allclose(state.R @ state.R.T, expected.R @ expected.R.T, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(state.U2 @ state.V.T), np.linalg.norm(expected.U2 @ expected.V.T))
    np.testing.assert_allclose(np.linalg.norm(state.U2), np.linalg.norm(expected.U2))


def test_scaled_leaves_its_argument_alone():
    state = random_case("one output").state
    R, U2 = state.R.copy(), state.U2.copy()
    scaled(state, 0.5, 2.0)
    np.testing.assert_array_equal(state.R, R)
    np.testing.assert_array_equal(state.U2, U2)


def full_balanced(case, Q):
    """The paper's formula: U = Theta0 M^{-1/4} Q^T, V = M^{1/4} Q^T, M = Theta0^T Phi1 Phi1^T Theta0."""
    Theta0 = case.U @ case.V.T
    w, q = np.linalg.eigh(Theta0.T @ case.problem.Phi1 @ case.problem.Phi1.T @ Theta0)
    return Theta0 @ (q * w**-0.25) @ q.T @ Q.T, (q * w**0.25) @ q.T @ Q.T


@pytest.mark.parametrize("shape", BALANCEABLE)
def test_balanced_state_has_no_imbalance_and_the_same_end_to_end_matrix(shape):
    case = random_case(shape)
    state = balanced(case.problem, case.state)
    size = np.sum(state.R**2)
    assert state.h == case.state.h
    assert np.abs(imbalance_spectrum(state)).max() < 1e-13 * size
    assert imbalance(state).c < 1e-13 * size
    np.testing.assert_allclose(state.U1 @ state.V.T, case.state.U1 @ case.state.V.T, atol=1e-13)
    u2v, before = state.U2 @ state.V.T, case.state.U2 @ case.state.V.T
    np.testing.assert_allclose(u2v.T @ u2v, before.T @ before, atol=1e-11)


@pytest.mark.parametrize("shape", BALANCEABLE)
@pytest.mark.parametrize("seed", [0, 1])
def test_training_from_a_balanced_network_does_not_depend_on_q(shape, seed):
    case = random_case(shape)
    h, m = case.U.shape[1], case.problem.m
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((h, m)))
    full = type(case)(case.X, case.Y, *full_balanced(case, Q))
    np.testing.assert_allclose(full.U @ full.V.T, case.U @ case.V.T, atol=1e-12)
    step = 0.02 * len(case.X)
    U, V = full_descent(full, step, 50)
    trajectory = gradient_descent(
        case.problem, balanced(case.problem, case.state), step, [50], Stop(t_max=case.problem.flow_time(50, step))
    )
    np.testing.assert_allclose(trajectory.product[-1], case.problem.Phi1.T @ U @ V.T, atol=1e-11)
    state = balanced(case.problem, case.state)
    u2v = np.linalg.norm(state.U2 @ trajectory.V[-1].T)
    assert u2v == pytest.approx(np.linalg.norm(case.Phi2.T @ U @ V.T), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "message"),
    [("h < m", "needs width h >= m = 3, got h = 2"), ("r < m", r"full column rank m = 5.*rank of the data r = 3")],
)
def test_balanced_says_why_it_does_not_exist(shape, message):
    case = random_case(shape)
    with pytest.raises(ValueError, match=message):
        balanced(case.problem, case.state)


def test_balanced_refuses_a_singular_end_to_end_matrix():
    case = random_case("three outputs")
    V = case.V.copy()
    V[2] = V[0] + V[1]
    with pytest.raises(ValueError, match="full column rank"):
        balanced(case.problem, case.reduced(case.U, V))


# Orthogonality


@pytest.mark.parametrize("shape", SHAPES)
def test_invariant_set_gives_the_min_norm_solution_exactly(shape):
    case = random_case(shape)
    state = in_invariant_set(case.state)
    assert not (state.U2 @ state.R.T).any()
    np.testing.assert_array_equal(state.R, case.state.R)
    trajectory = gradient_flow(case.problem, state, [], Stop(t_max=300.0), "explicit", tol=1e-12)
    converged = trajectory.excess[-1] < 1e-20
    assert converged or min(case.U.shape[1], case.problem.m, case.problem.r) == case.U.shape[1]  # too narrow a network
    if converged:
        assert gap_to_min_norm(case.problem, state, trajectory) < 1e-9


def test_full_flow_from_the_invariant_set_reaches_the_pseudoinverse_solution():
    case = random_case("three outputs", scale_u=0.8, scale_v=0.8)
    P = np.vstack([case.problem.Phi1.T @ case.U, case.V])
    U2 = case.Phi2.T @ case.U
    U2 -= U2 @ np.linalg.pinv(P) @ P
    case = type(case)(case.X, case.Y, case.problem.Phi1 @ case.problem.Phi1.T @ case.U + case.Phi2 @ U2, case.V)
    assert np.linalg.norm(U2) > 1
    U, V = full_flow(case, 100.0)
    np.testing.assert_allclose(U @ V.T, np.linalg.pinv(case.X) @ case.Y, atol=1e-9)


def test_orthogonality_of_u2_and_v_alone_does_not_survive_training():
    case = random_case("three outputs")
    state = end_to_end_orthogonal(case.state)
    assert np.linalg.norm(state.U2 @ state.V.T) < 1e-14
    assert np.linalg.norm(state.U2 @ state.U1.T) > 0.1
    trajectory = gradient_flow(case.problem, state, [], Stop())
    assert trajectory.excess[-1] < 1e-20
    assert gap_to_min_norm(case.problem, state, trajectory) > 0.01


def test_end_to_end_orthogonal_is_the_projection_of_the_full_network():
    case = random_case("three outputs")
    state = end_to_end_orthogonal(case.state)
    U2 = case.Phi2.T @ case.U
    U2 -= U2 @ np.linalg.pinv(case.V) @ case.V
    assert np.linalg.norm(state.U2 @ state.U1.T) == pytest.approx(
        np.linalg.norm(U2 @ case.U.T @ case.problem.Phi1), rel=1e-12
    )


@pytest.mark.parametrize("shape", [name for name, (_, _, m, r, h) in SHAPES.items() if h >= r + m])
def test_orthogonal_layers_decouple_the_imbalance(shape):
    case = random_case(shape)
    p, state = case.problem, orthogonal_layers(case.state)
    U1 = p.Phi1.T @ case.U
    V = case.V - case.V @ np.linalg.pinv(U1) @ U1
    np.testing.assert_allclose(state.U1 @ state.V.T, 0, atol=1e-13)
    expected = dense_eigenvalue(U1 @ U1.T, p.r) + dense_eigenvalue(V @ V.T, p.m)
    assert imbalance(state).c == pytest.approx(expected, rel=1e-11)
    U = p.Phi1 @ U1 + case.Phi2 @ (case.Phi2.T @ case.U)
    lam = full_imbalance(case, U, V)
    assert imbalance(state).c == pytest.approx(dense_eigenvalue(lam, p.r) + dense_eigenvalue(-lam, p.m), rel=1e-11)
    assert np.linalg.norm(state.U2 @ state.V.T) == pytest.approx(
        np.linalg.norm(case.Phi2.T @ U @ V.T), rel=1e-10, abs=1e-13
    )


def test_orthogonal_layers_need_room():
    case = random_case("h < r")
    with pytest.raises(ValueError, match="needs width h > r = 6, got h = 4"):
        orthogonal_layers(case.state)


# Samplers


def problem_of_shape(n, D, m, r):
    return random_case((n, D, m, r, 1)).problem


def observables(problem, h, sampler, draws, seed):
    """name -> (draws,) functions of a network that do not depend on how it was reduced."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(draws):
        s = standard_normal(problem, h, rng, sampler)
        found = imbalance(s)
        gram = s.R @ s.R.T
        cross = s.U2 @ s.R.T
        rows.append(
            {
                "c": found.c,
                "lambda_r": found.lambda_r,
                "lambda_m": found.lambda_m,
                "distance_init": np.linalg.norm(s.U2 @ s.V.T),
                "U1 U2^T": np.linalg.norm(cross[:, : problem.r]),
                "gram 00": gram[0, 0],
                "gram mm": gram[-1, -1],
                "gram 01": gram[0, 1],
                "gram 0m": gram[0, -1],
                "cross angle": (cross.T @ cross)[0, -1],
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(
    ("shape", "h"),
    [
        ((3, 12, 2, 3), 1),
        ((3, 12, 2, 3), 2),
        ((3, 12, 2, 3), 4),
        ((3, 12, 2, 3), 5),
        ((3, 12, 2, 3), 7),
        ((3, 12, 2, 3), 100),
        ((3, 5, 2, 3), 3),  # D - r < min(h, k)
        ((3, 5, 2, 3), 100),
        ((2, 6, 4, 2), 3),
    ],
)
def test_bartlett_and_dense_draws_have_the_same_distribution(shape, h):
    problem = problem_of_shape(*shape)
    dense = observables(problem, h, "dense", 500, 1)
    bartlett = observables(problem, h, "bartlett", 500, 2)
    for name in dense:
        if np.ptp(dense[name]) == 0:  # c is 0 where the width leaves it undefined
            assert np.ptp(bartlett[name]) == 0, name
        else:
            assert ks_2samp(dense[name], bartlett[name]).pvalue > FALSE_ALARM, name


def test_the_comparison_of_samplers_can_tell_widths_apart():
    problem = problem_of_shape(3, 12, 2, 3)
    narrow, wide = observables(problem, 5, "bartlett", 500, 1), observables(problem, 6, "bartlett", 500, 2)
    assert ks_2samp(narrow["gram 00"], wide["gram 00"]).pvalue < FALSE_ALARM


@pytest.mark.slow
def test_bartlett_and_dense_draws_agree_at_width_10000():
    problem = problem_of_shape(3, 12, 2, 3)
    dense = observables(problem, 10_000, "dense", 300, 1)
    bartlett = observables(problem, 10_000, "bartlett", 300, 2)
    for name in dense:
        assert ks_2samp(dense[name], bartlett[name]).pvalue > FALSE_ALARM, name


@pytest.mark.parametrize("h", [10**4, 10**8, 10**12, 2**53])
@pytest.mark.parametrize("D", [5, 40])
def test_wide_draws_follow_their_chi_square_laws(h, D):
    problem = problem_of_shape(3, D, 1, 3)
    rng = np.random.default_rng([h, D])
    norms, angles, unseen, correlation = [], [], [], []
    for _ in range(400):
        s = standard_normal(problem, h, rng, "bartlett")
        gram = s.R @ s.R.T
        norms.append((gram[3, 3] - h) / np.sqrt(2 * h))
        angles.append(gram[0, 3] / np.sqrt(gram[0, 0]))
        cross = s.U2 @ s.R.T
        unseen.append(np.sum(cross[:, 3] ** 2) / gram[3, 3])
        correlation.append(np.sum(cross[:, 0] ** 2) / gram[0, 0])
    tests = {
        "||V||^2 is chi-square with h degrees": kstest(norms, lambda z: norm.cdf(z))
        if h > 10**6
        else kstest(h + np.sqrt(2 * h) * np.array(norms), chi2(h).cdf),
        "u.v / ||u|| is normal": kstest(angles, norm.cdf),
        "||U2 v||^2 / ||v||^2 is chi-square with D - r degrees": kstest(unseen, chi2(D - 3).cdf),
        "||U2 u||^2 / ||u||^2 is chi-square with D - r degrees": kstest(correlation, chi2(D - 3).cdf),
    }
    for name, test in tests.items():
        assert test.pvalue > FALSE_ALARM, name


@pytest.mark.parametrize(("rows", "columns"), [(4, 2), (4, 4), (4, 30)])
def test_bartlett_factor_is_lower_trapezoidal_with_a_wishart_gram(rows, columns):
    rng = np.random.default_rng([rows, columns])
    factors = np.array([bartlett_factor(rows, columns, rng) for _ in range(4000)])
    assert factors.shape[1:] == (rows, min(rows, columns))
    np.testing.assert_array_equal(factors, np.tril(factors))
    grams = factors @ np.swapaxes(factors, 1, 2)
    variance = columns * (np.ones((rows, rows)) + np.eye(rows))  # of each entry of a Wishart matrix
    z = (grams.mean(0) - columns * np.eye(rows)) / np.sqrt(variance / len(grams))
    assert np.abs(z).max() < norm.isf(FALSE_ALARM / rows**2 / 2)


@pytest.mark.parametrize("sampler", ["dense", "bartlett"])
@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_states_have_the_shapes_of_reduced_networks(shape, sampler):
    case = random_case(shape)
    state = standard_normal(case.problem, case.state.h, np.random.default_rng(0), sampler)
    assert (state.R.shape, state.U2.shape) == (case.state.R.shape, case.state.U2.shape)
    assert (state.r, state.h) == (case.state.r, case.state.h)


def test_dense_draw_is_the_reduction_of_its_entries():
    case = random_case("three outputs")
    rng = np.random.default_rng(5)
    U, V = rng.standard_normal((9, 14)), rng.standard_normal((3, 14))
    drawn = standard_normal(case.problem, 14, np.random.default_rng(5), "dense")
    np.testing.assert_array_equal(drawn.R, case.reduced(U, V).R)


@pytest.mark.parametrize("D", [4, 40])
def test_auto_samples_densely_up_to_a_number_of_entries(D):
    problem = problem_of_shape(2, D, 1, 2)
    widest = DENSE_ENTRIES // (D + 1)
    for h, sampler in ((widest, "dense"), (widest + 1, "bartlett")):
        drawn = standard_normal(problem, h, np.random.default_rng(0))
        np.testing.assert_array_equal(drawn.R, standard_normal(problem, h, np.random.default_rng(0), sampler).R)


@pytest.mark.parametrize("h", [0, -3, 2.5, 2**53 + 2, np.inf, np.nan])
def test_bad_widths_are_refused(h):
    problem = problem_of_shape(2, 4, 1, 2)
    with pytest.raises(ValueError, match=r"width h must be an integer in \[1, 2\*\*53\]"):
        standard_normal(problem, h, np.random.default_rng(0))


def test_unknown_samplers_are_refused():
    with pytest.raises(ValueError, match="sampler must be one of auto, dense, bartlett, got 'sobol'"):
        standard_normal(problem_of_shape(2, 4, 1, 2), 5, np.random.default_rng(0), "sobol")


def test_large_width_limit_of_the_reduced_state_is_the_identity():
    problem = reparametrize(np.eye(3, 8), np.ones((3, 2)))
    h = 10**12
    state = scaled(standard_normal(problem, h, np.random.default_rng(0)), h**-0.5, h**-0.5)
    np.testing.assert_allclose(state.R, np.eye(5), atol=1e-5)
