"""The law of the min-norm distance against algebra, integration and sampled networks.

Statistical tests draw from fixed seeds; FALSE_ALARM is the rate at which each would fail were its seed redrawn.
"""

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm, null_space
from scipy.optimize import root
from scipy.stats import binomtest, chi2, kstest, norm

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.chi_square import norm_law
from implicit_bias.theory.law.correction import (
    Correction,
    corrected_rms,
    estimate_correction,
    idle_direction,
    marginal_quantile,
    path_free_correction,
    trace_deviation,
)
from implicit_bias.theory.law.distance import Scaling, distance_law
from implicit_bias.theory.law.finite_width import mean_field, mean_spectrum
from implicit_bias.theory.law.limit import (
    asymptotic_rate,
    kernel_change,
    large_width_limit,
    lazy_distance,
    limit_const,
    mode_growth,
    rich_distance,
)
from implicit_bias.theory.law.outputs import (
    excess_risk_law,
    prediction_band,
    unseen_spectrum,
    unseen_spectrum_of_covariance,
)
from implicit_bias.theory.law.prediction import (
    law_before,
    predict_distance,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import velocity

FALSE_ALARM = 1e-4


@cache
def make_problem(r=3, m=1, D=10, spread=1.0, theta=1.0, seed=0):
    """A problem of rank r whose singular values run from 1 down to 1 / spread."""
    rng = np.random.default_rng([seed, r, m, D])
    return Problem(
        n=r,
        sigma=np.geomspace(1, 1 / spread, r),
        Phi1=np.linalg.qr(rng.standard_normal((D, r)))[0],
        Y_tilde=np.geomspace(1, 1 / spread, r)[:, None] * rng.standard_normal((r, m)) * theta / np.sqrt(r),
        loss_floor=0.0,
    )


def block_scalar(problem, a, b):
    return np.diag(np.sqrt(np.repeat([a, b], [problem.r, problem.m])))


def flow_limit(problem, R0, rtol=1e-9, decay=46.0):
    """R(inf) of the reduced flow: DOP853 for decay e-folds of the slowest error mode."""
    rate = asymptotic_rate(problem, large_width_limit(problem, *_scales(problem, R0))) / 2
    shape = R0.shape
    solution = solve_ivp(
        lambda _, y: velocity(problem, y.reshape(shape)).ravel(),
        (0, decay / rate), R0.ravel(), method="DOP853", rtol=rtol, atol=rtol * np.abs(R0).max(),
    )  # fmt: skip
    return solution.y[:, -1].reshape(shape)


def _scales(problem, R0):
    U1, V = R0[: problem.r], R0[problem.r :]
    return np.sum(U1**2) / problem.r, np.sum(V**2) / problem.m


def sampled_run(problem, h, scaling, rng, decay=25.0):
    """(V V^T(inf), U V^T(inf)) of a Gaussian network of width h drawn entry by entry."""
    U = scaling.sigma_U(h) * rng.standard_normal((problem.D, h))
    V = scaling.gain_V * h**-scaling.alpha * rng.standard_normal((problem.m, h))
    state = reduce_network(problem, U, V)
    O = np.linalg.qr(np.vstack([problem.Phi1.T @ U, V]).T)[0]
    R = flow_limit(problem, state.R, decay=decay)
    V_end = R[problem.r :]
    U2 = U @ O - problem.Phi1 @ (problem.Phi1.T @ (U @ O))
    return V_end @ V_end.T, problem.Phi1 @ (R[: problem.r] @ V_end.T) + U2 @ V_end.T


SHAPES = [(3, 1), (4, 2), (2, 3), (1, 1)]
SCALES = [(1.0, 1.0), (9.0, 0.09), (0.09, 9.0), (0.04, 0.04), (1e-9, 1e-9), (1e6, 1e6)]


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


@pytest.mark.parametrize(("gain_U", "gain_V", "alpha"), [(0.5, 3.0, 0.3), (20.0, 0.1, 0.7)])
def test_gram_scales_are_those_of_the_layers(gain_U, gain_V, alpha):
    """trace(U U^T) / sigma_U^2 and trace(V V^T) / sigma_V^2 are chi-squared with h times as many degrees as rows."""
    problem, h, rng = make_problem(3, 2, 10), 10**9, np.random.default_rng(8)
    scaling = Scaling(alpha, gain_U, gain_V)
    state = scaled(standard_normal(problem, h, rng), gain_U * h**-alpha, gain_V * h**-alpha)
    a, b = scaling.gram(h)
    for rows, scale in ((state.U1, a), (state.V, b)):
        law = chi2(len(rows) * h)
        total = np.sum(rows**2) * h / scale
        assert min(law.cdf(total), law.sf(total)) > FALSE_ALARM / 8  # two sides, two layers, two cases
    assert scaling.sigma_U(h) ** 2 * h == pytest.approx(a, rel=1e-14)


def test_distance_is_zero_where_the_data_span_the_inputs():
    problem = make_problem(3, 1, 3)
    law = distance_law(problem, [[2.0]], 0.1)
    assert (law.rms, law.quantile(0.9), law.bound(0.1), float(law.cdf(0.0)), float(law.sf(1.0))) == (0, 0, 0, 1, 0)
    assert limit_const(problem) == 0
    assert width_for_distance(problem, 1e-9, scaling=Scaling(alpha=0.1)) == 1
    assert width_for_prediction(problem, np.ones(3), 1e-9) == 1
    assert unseen_spectrum(problem, np.eye(3)).size == 0


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


LAW_CASES = [(3, 1, 0.5, 3), (3, 1, 0.5, 40), (3, 2, 0.5, 12), (2, 3, 0.3, 60), (3, 1, 0.75, 200)]


@pytest.mark.parametrize(("r", "m", "alpha", "h"), LAW_CASES)
def test_distance_given_the_run_follows_the_chi_square_law(r, m, alpha, h):
    problem, scaling = make_problem(r, m, 9), Scaling(alpha=alpha)
    rng = np.random.default_rng(1)
    uniforms = []
    for _ in range(120):
        VVt, Theta = sampled_run(problem, h, scaling, rng, decay=25)
        law = distance_law(problem, VVt, scaling.sigma_U(h))
        uniforms.append(float(law.cdf(np.linalg.norm(Theta - problem.min_norm_solution))))
    assert kstest(uniforms, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize("m", [1, 2])
def test_the_law_holds_along_gradient_descent(m):
    problem, h, rng = make_problem(3, m, 9), 20, np.random.default_rng(2)
    uniforms = []
    for _ in range(400):
        U, V = h**-0.5 * rng.standard_normal((9, h)), h**-0.5 * rng.standard_normal((m, h))
        X, Y = np.diag(problem.sigma) @ problem.Phi1.T, problem.Y_tilde
        for _ in range(17):
            G = X.T @ (Y - X @ U @ V.T)
            U, V = U + 0.1 * G @ V, V + 0.1 * G.T @ U
        unseen = U - problem.Phi1 @ (problem.Phi1.T @ U)
        uniforms.append(float(distance_law(problem, V @ V.T, h**-0.5).cdf(np.linalg.norm(unseen @ V.T))))
    assert kstest(uniforms, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize(("m", "alpha"), [(1, 0.5), (2, 0.5), (1, 0.35)])
def test_predicted_band_covers_wide_networks_and_the_bound_bounds(m, alpha):
    problem, h, delta = make_problem(3, m, 9), 20_000, 0.2
    rng = np.random.default_rng(3)
    runs = [sampled_run(problem, h, Scaling(alpha=alpha), rng, decay=25)[1] for _ in range(120)]
    distances = np.array([np.linalg.norm(Theta - problem.min_norm_solution) for Theta in runs])
    band = predict_distance(problem, h, Scaling(alpha=alpha), delta)
    inside = int(np.sum((band.lower < distances) & (distances < band.upper)))
    assert binomtest(inside, distances.size, 1 - delta).pvalue > FALSE_ALARM
    exceed = int(np.sum(distances > band.bound))
    assert binomtest(exceed, distances.size, delta, alternative="greater").pvalue > FALSE_ALARM
    assert band.rms[0] == pytest.approx(np.sqrt(np.mean(distances**2)), rel=4 / np.sqrt(2 * 6 * m * distances.size))


@pytest.mark.parametrize("dof", [1, 2, 3, 300, 100_000])
@pytest.mark.parametrize("copies", [1, 3])
def test_equal_weights_are_one_chi_square(dof, copies):
    law = norm_law(np.full(copies, 0.25), dof)
    nearly = norm_law(0.25 * np.linspace(1, 1 + 1e-13, copies), dof)
    for p in (1e-9, 0.025, 0.5, 0.975, 1 - 1e-9):
        expected = np.sqrt(0.25 * chi2.ppf(p, dof * copies))
        assert law.quantile(p) == pytest.approx(expected, rel=1e-12)
        assert nearly.quantile(p) == pytest.approx(expected, rel=1e-10)
        assert float(law.cdf(expected)) == pytest.approx(p, rel=1e-9)
        assert law.upper(p) == pytest.approx(np.sqrt(0.25 * chi2.isf(p, dof * copies)), rel=1e-12)


def hypoexponential_sf(x, weights):
    """P(sum_j w_j chi^2_2 > x) for distinct weights, in 80 digits."""
    with localcontext() as context:
        context.prec = 80
        w = [Decimal(float(v)) for v in weights]
        total = Decimal(0)
        for i, a in enumerate(w):
            term = (-Decimal(float(x)) / (2 * a)).exp()
            for j, b in enumerate(w):
                if j != i:
                    term *= a / (a - b)
            total += term
        return float(total), float(1 - total)


@pytest.mark.parametrize(
    "weights",
    [
        [1, 0.5],
        [1, 0.999],
        [1, 1e-12],
        [1, 0.9, 0.8, 0.1, 0.01],
        [1, 0.1, 0.01, 1e-5, 1e-8],
        list(np.linspace(1, 0.5, 12)),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-120])
def test_two_degrees_of_freedom_match_the_hypoexponential(weights, scale):
    law = norm_law(np.array(weights) * scale, 2)
    for x in (1e-3, 0.01, 0.3, 1, 3, 10, 40, 200):
        sf, cdf = hypoexponential_sf(x, weights)
        assert float(law.sf(np.sqrt(x * scale))) == pytest.approx(sf, rel=1e-10)
        assert float(law.cdf(np.sqrt(x * scale))) == pytest.approx(cdf, rel=1e-10)


@pytest.mark.parametrize(("weights", "dof"), [([1, 0.5, 0.1], 1), ([1, 0.01], 1), ([3, 2, 1], 7), ([1, 1e-3, 1e-6], 3)])
def test_mixture_matches_monte_carlo(weights, dof):
    rng = np.random.default_rng(4)
    law, draws = norm_law(weights, dof), np.sqrt(rng.chisquare(dof, (100_000, len(weights))) @ np.array(weights))
    for p in (0.01, 0.3, 0.5, 0.9, 0.999):
        below = int(np.sum(draws <= law.quantile(p)))
        assert binomtest(below, draws.size, p).pvalue > FALSE_ALARM
    assert law.rms == pytest.approx(np.sqrt(dof * np.sum(weights)), rel=1e-14)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    exponents=st.lists(st.floats(-12, 3), min_size=1, max_size=6),
    dof=st.integers(1, 2000),
    p=st.floats(1e-12, 1, exclude_max=True),
)
def test_quantile_inverts_the_distribution(exponents, dof, p):
    law = norm_law(10.0 ** np.array(exponents), dof)
    assert float(law.cdf(law.quantile(p))) == pytest.approx(p, rel=1e-9)
    assert float(law.sf(law.upper(p))) == pytest.approx(p, rel=1e-9)
    assert law.upper(min(p, 0.99)) <= law.bound(min(p, 0.99)) * (1 + 1e-12)


def test_quantiles_survive_a_swarm_of_tiny_weights():
    swarm = norm_law(np.r_[1.0, np.full(5000, 1e-14)], 1)
    assert swarm.upper(0.05) == pytest.approx(np.sqrt(chi2.isf(0.05, 1)), rel=1e-9)
    assert swarm.quantile(0.05) == pytest.approx(np.sqrt(chi2.ppf(0.05, 1)), rel=1e-7)
    assert (float(swarm.sf(1e200)), float(swarm.cdf(-1.0)), float(swarm.sf(-1.0))) == (0, 0, 1)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    h=st.integers(100, 10**15),  # from 16 (r + m) on deviations fall with the width
    alpha=st.floats(0.26, 2),
    delta=st.floats(1e-6, 0.999),
    m=st.sampled_from([1, 3]),
    gain=st.floats(0.1, 10),
)
def test_width_for_distance_inverts_the_prediction(h, alpha, delta, m, gain):
    problem, scaling = make_problem(3, m), Scaling(alpha, gain, 1 / gain)
    epsilon = predict_distance(problem, h, scaling, 2 * min(delta, 0.499)).upper[0]
    width = width_for_distance(problem, epsilon * (1 + 1e-9), min(delta, 0.499), scaling)
    assert width <= h
    assert width >= h * (1 - 1e-6) - 1


@settings(max_examples=8, deadline=None, derandomize=True)
@given(epsilon=st.floats(1e-2, 10), alpha=st.floats(0.4, 1.5), delta=st.floats(1e-4, 0.9))
def test_widths_are_the_smallest_that_will_do(epsilon, alpha, delta):
    problem, scaling = make_problem(3, 2, 8), Scaling(alpha)
    x = np.random.default_rng(5).standard_normal((4, 8))
    unseen = unseen_spectrum(problem, x)
    energy = np.max(np.sum((x - x @ problem.Phi1 @ problem.Phi1.T) ** 2, axis=1))
    searches = [
        (width_for_distance(problem, epsilon, delta, scaling), None, epsilon, delta),
        (width_for_risk(problem, unseen, epsilon, delta, scaling), unseen, np.sqrt(epsilon), delta),
        (width_for_prediction(problem, x, epsilon, delta, scaling), [energy], epsilon, delta / 4),
    ]
    for width, factors, norm_limit, tail in searches:
        assert isinstance(width, int)
        for h in (width, width - 1) if problem.k < width < 10**12 else (width,):
            law = law_before(problem, *scaling.gram(h), h, factors)
            assert (law.sf(norm_limit) <= tail) == (h == width)


def test_unattainable_widths_say_so():
    problem = make_problem(3, 1)
    with pytest.raises(ValueError, match=r"alpha must be at least 1/4 .* got 0.2"):
        width_for_distance(problem, 1.0, scaling=Scaling(alpha=0.2))
    floor = norm_law([1.0], 7).upper(0.05)
    with pytest.raises(ValueError, match=r"epsilon must be at least .* alpha = 0.25"):
        width_for_distance(problem, 0.99 * floor, scaling=Scaling(alpha=0.25))
    assert width_for_distance(problem, 1.01 * floor, scaling=Scaling(alpha=0.25)) > 1
    with pytest.raises(ValueError, match="epsilon must be at least"):
        width_for_distance(problem, 1e-12)


def test_prediction_band_and_excess_risk_match_simulation():
    problem, h, runs = make_problem(3, 2, 8), 30, 400
    rng = np.random.default_rng(6)
    X_test, noise = rng.standard_normal((5, 8)), rng.standard_normal((5, 2))
    Y_test = X_test @ problem.min_norm_solution + noise
    V = rng.standard_normal((2, h))
    unseen_basis = null_space(problem.Phi1.T)
    band = prediction_band(problem, X_test, V @ V.T, h**-0.5, delta=0.1)
    law = excess_risk_law(problem, unseen_spectrum(problem, X_test), V @ V.T, h**-0.5)
    inside, excess, square = 0, [], []
    for _ in range(runs):
        U2 = h**-0.5 * rng.standard_normal((5, h))
        moved = X_test @ unseen_basis @ U2 @ V.T
        prediction = X_test @ problem.min_norm_solution + moved
        inside += int(band.lower[0, 0] < prediction[0, 0] < band.upper[0, 0])
        square.append(np.sum(moved**2) / 5)
        excess.append((np.sum((Y_test - prediction) ** 2) - np.sum(noise**2)) / 5)
    z = norm.isf(FALSE_ALARM / 2)
    assert binomtest(inside, runs, 0.9).pvalue > FALSE_ALARM
    assert kstest(law.cdf(np.sqrt(square)), "uniform").pvalue > FALSE_ALARM
    assert np.mean(excess) == pytest.approx(law.rms**2, abs=z * np.std(excess) / np.sqrt(runs))
    np.testing.assert_allclose((band.upper - band.center) / band.std, norm.isf(0.05), rtol=1e-12)


def test_unseen_spectrum_of_rows_and_of_their_covariance_agree():
    problem = make_problem(3, 1, 8)
    X_test = np.random.default_rng(7).standard_normal((20, 8))
    rows, covariance = unseen_spectrum(problem, X_test), unseen_spectrum_of_covariance(problem, X_test.T @ X_test / 20)
    np.testing.assert_allclose(rows, covariance, rtol=1e-10)
    basis = null_space(problem.Phi1.T)
    np.testing.assert_allclose(rows, np.linalg.svd(X_test @ basis, compute_uv=False) ** 2 / 20, rtol=1e-12)
    np.testing.assert_array_equal(unseen_spectrum(problem, X_test @ problem.Phi1 @ problem.Phi1.T), 0)


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: large_width_limit(p, -1, 1), "a = sigma_U.* got -1"),
        (lambda p: large_width_limit(p, 1, np.nan), "b = sigma_V.* got nan"),
        (lambda p: Scaling(alpha=-0.1), "alpha must be finite and >= 0"),
        (lambda p: Scaling(gain_U=0), "gain_U must be finite and > 0"),
        (lambda p: Scaling(gain_V=np.inf), "gain_V must be finite and > 0"),
        (lambda p: predict_distance(p, 0.5), "h must be finite and >= 1, got 0.5"),
        (lambda p: predict_distance(p, 10, delta=1.0), r"delta must be in \(0, 1\), got 1.0"),
        (lambda p: distance_law(p, np.eye(2), 1), r"VVt must be a symmetric \(1, 1\)"),
        (lambda p: distance_law(p, [[-1.0]], 1), "VVt must be positive semidefinite"),
        (lambda p: distance_law(p, [[1.0]], 0), "sigma_U must be finite and > 0, got 0"),
        (lambda p: distance_law(p, [[1.0]], 1).quantile(1.5), r"p must be in \(0, 1\)"),
        (lambda p: distance_law(p, [[1.0]], 1).upper(0), r"delta must be in \(0, 1\)"),
        (lambda p: distance_law(p, [[1.0]], 1).bound(-1), r"delta must be in \(0, 1\)"),
        (lambda p: norm_law([1, np.inf], 3), "weights must be finite"),
        (lambda p: norm_law([1.0], -1), "dof must be >= 0"),
        (lambda p: prediction_band(p, [np.nan] * 10, [[1.0]], 1), "x must be finite"),
        (lambda p: prediction_band(p, np.ones(4), [[1.0]], 1), "x must have D = 10 columns"),
        (lambda p: prediction_band(p, np.ones(10), [[1.0]], 1, 0), r"delta must be in \(0, 1\)"),
        (lambda p: width_for_distance(p, 0), "epsilon must be finite and > 0, got 0"),
        (lambda p: width_for_risk(p, [1.0], -1), "epsilon must be finite and > 0, got -1"),
        (lambda p: width_for_prediction(p, np.ones(10), 1, 2), r"delta must be in \(0, 1\), got 2"),
        (lambda p: estimate_correction(p, 1, 1, lambda R: R, pairs=1), "pairs must be at least 2"),
        (lambda p: estimate_correction(p, 1, 1, lambda R: R, step=1), r"step must be in \(0, 0.2\]"),
        (lambda p: path_free_correction(p, 0, 1), "a = sigma_U.* > 0"),
        (lambda p: corrected_rms(p, 1, 1, 2, Correction(-9.0, 0.0)), "h must be above"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(make_problem(3, 1))


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize(
    ("a", "b", "error"), [(1.0, 1.0, 0.025), (5.0, 5.0, 0.02), (0.2, 4.0, 0.005), (10.0, 0.1, 0.05)]
)
def test_mean_of_v_at_widths_comparable_with_the_rank(m, a, b, error):
    """Trained networks at h = 1.5 r: the mean of ||V(inf)||^2 within `error` and what chance allows (FALSE_ALARM)."""
    problem, h = make_problem(30, m, 60, theta=0.5), 45
    rng, traces = np.random.default_rng(7), np.empty(40)
    for i in range(traces.size):
        state = scaled(standard_normal(problem, h, rng, "bartlett"), np.sqrt(a / h), np.sqrt(b / h))
        traces[i] = np.sum(gradient_flow(problem, state, [], Stop(excess=1e-12), "exponential", 1e-6).V[-1] ** 2)
    expected, limit = np.sum(mean_spectrum(problem, a, b, h)), np.sum(large_width_limit(problem, a, b).v)
    chance = norm.isf(FALSE_ALARM / 2) * traces.std(ddof=1) / np.sqrt(traces.size)
    assert abs(traces.mean() - expected) <= chance + error * expected
    assert abs(mean_spectrum(problem, a, b, 10**9).sum() / limit - 1) < 1e-6


@pytest.mark.parametrize(("a", "b", "mu"), [(1.0, 1.0, 0.0), (1.0, 1.0, 0.7), (3.0, 0.2, 2.0), (0.2, 3.0, 0.5)])
def test_mean_field_has_the_closed_form_to_first_order(a, b, mu):
    """d/d(r/h) of the mean field at 0 is the part of the closed-form correction that grows with r."""
    limit = b + mode_growth(np.array([mu]), a, b)[0]
    cosh2 = np.hypot(a + b, 2 * mu) / (a + b)
    slopes = [(mean_field(np.array([mu]), a, b, 1, h)[0] - limit) * h for h in (1e4, 2e4)]
    assert 2 * slopes[1] - slopes[0] == pytest.approx(float(idle_direction(np.array([cosh2]), a, b)[0]), rel=1e-5)


@pytest.mark.parametrize("r", [1, 3, 30])
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
