import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_bias.theory.bounds import before as bounds
from implicit_bias.theory.initialization.gaussian import balanced, scaled, standard_normal
from implicit_bias.theory.networks.two_layer import Imbalance, imbalance
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import excess_loss, velocity
from tests.support.networks import SHAPES, dense_eigenvalue, full_imbalance, random_case

LEVEL = Imbalance(lambda_r=0.3, lambda_m=-0.1, c=0.3, spread_plus=0.7, spread_minus=0.2)


def decay_rate(case):
    """-d/dt log(L - L*) under the flow: the squared speed over the excess loss."""
    R = case.state.R
    return np.sum(velocity(case.problem, R) ** 2) / excess_loss(case.problem, R)


def singular_value(A, i):
    s = np.linalg.svd(A, compute_uv=False)
    return s[i - 1] if i <= s.size else 0.0


def printed_rate(case, swap=False):
    """Min et al. (2022), Proposition 1, from h x h matrices, as it is printed; or with s_m and s_r exchanged."""
    p = case.problem
    lam = full_imbalance(case, case.U, case.V)
    product = p.Phi1.T @ case.U @ case.V.T
    plus = [max(dense_eigenvalue(lam, i), 0) for i in (1, p.r)]
    minus = [max(dense_eigenvalue(-lam, i), 0) for i in (1, p.m)]
    c, d_plus, d_minus = plus[1] + minus[1], plus[0] - plus[1], minus[0] - minus[1]
    s_m, s_r = singular_value(product, p.m), singular_value(product, p.r)
    if swap:
        s_m, s_r = s_r, s_m
    brace = -d_plus + np.hypot(d_plus + c, 2 * s_m) - d_minus + np.hypot(d_minus + c, 2 * s_r)
    return p.sigma[-1] ** 2 * brace


shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9)).map(
    lambda rmh: (rmh[0] + 1, rmh[0] + 2, rmh[1], rmh[0], rmh[2])
)
scales = st.sampled_from([0.01, 0.3, 1.0, 3.0])
seeds = st.integers(0, 10_000)


@settings(max_examples=30)
@given(shape=shapes, seed=seeds, u=scales, v=scales)
def test_theorem_1_holds(shape, seed, u, v):
    case = random_case(shape, seed, u, v)
    p, start = case.problem, imbalance(case.state)
    rate = 2 * p.sigma[-1] ** 2 * start.c
    assert decay_rate(case) >= rate * (1 - 1e-10)
    t_max = 3 / max(rate, 0.2)
    run = gradient_flow(p, case.state, np.linspace(0, t_max, 12)[1:-1], Stop(t_max=t_max), "explicit", tol=1e-13)
    bound = bounds.theorem_1(p, start, run.t, run.excess[0])
    np.testing.assert_allclose(bound.value, run.excess[0] * np.exp(-rate * run.t), rtol=1e-13)
    assert np.all(run.excess <= bound.value * (1 + 1e-7))
    assert bound.applies == (start.c > 0)


def test_theorem_1_is_tight_for_an_infinitely_unbalanced_network():
    case = random_case((1, 3, 1, 1, 9), scale_u=1.0, scale_v=1e-7)
    rate = 2 * case.problem.sigma[-1] ** 2 * imbalance(case.state).c
    assert decay_rate(case) == pytest.approx(rate, rel=1e-6)


@given(shape=shapes, seed=seeds, u=scales, v=scales)
def test_instantaneous_rate_holds_and_is_the_printed_one(shape, seed, u, v):
    case = random_case(shape, seed, u, v)
    p = case.problem
    rate = bounds.instantaneous_rate(p, imbalance(case.state), case.state.U1 @ case.state.V.T)
    size = p.sigma[0] ** 2 * np.sum(case.state.R**2)
    assert rate == pytest.approx(printed_rate(case), rel=1e-8, abs=1e-11 * size)
    assert decay_rate(case) >= rate - 1e-10 * size
    assert rate >= 2 * p.sigma[-1] ** 2 * imbalance(case.state).c - 1e-10 * size


@pytest.mark.parametrize("shape", ["three outputs", "one output", "rank deficient"])
def test_instantaneous_rate_is_positive_for_balanced_networks(shape):
    case = random_case(shape)
    state = balanced(case.problem, case.state)
    product = state.U1 @ state.V.T
    rate = bounds.instantaneous_rate(case.problem, imbalance(state), product)
    expected = 2 * case.problem.sigma[-1] ** 2 * singular_value(product, case.problem.m)
    assert rate == pytest.approx(expected, rel=1e-6)
    assert rate > 0
    speed = np.sum(velocity(case.problem, state.R) ** 2) / excess_loss(case.problem, state.R)
    assert speed >= rate


@pytest.mark.parametrize(("r", "m"), [(2, 1), (3, 1), (1, 2), (1, 3)])
def test_exchanged_singular_values_are_no_bound(r, m):
    violations = 0
    for seed in range(400):
        case = random_case((r, r + 1, m, r, r + m), seed, *(0.3, 1.5) if r < m else (1.5, 0.3))
        violations += decay_rate(case) < printed_rate(case, swap=True) * (1 - 1e-6)
        assert decay_rate(case) >= printed_rate(case) * (1 - 1e-9)
    assert violations > 0


def test_instantaneous_rate_of_a_run_is_that_of_each_product():
    case = random_case("three outputs")
    level = imbalance(case.state)
    products = np.random.default_rng(0).standard_normal((4, 5, 3))
    together = bounds.instantaneous_rate(case.problem, level, products)
    np.testing.assert_allclose(
        together, [bounds.instantaneous_rate(case.problem, level, product) for product in products], rtol=1e-13
    )


def test_instantaneous_rate_does_not_cancel():
    # spreads of 1e9 hide a rate of order 1e-9: s^2 and c are all that is left
    problem = reparametrize(np.eye(1), np.ones((1, 1)))
    level = Imbalance(lambda_r=0, lambda_m=0, c=0.0, spread_plus=1e9, spread_minus=0.0)
    rate = bounds.instantaneous_rate(problem, level, np.array([[1.0]]))
    assert rate == pytest.approx(2e-9 + 2.0, rel=1e-15)
    assert bounds.instantaneous_rate(problem, level, np.array([[0.0]])) == 0.0


def test_bounds_without_a_rate_stay_where_they_are_for_ever():
    problem = reparametrize(np.eye(2), np.ones((2, 2)))
    nothing = Imbalance(lambda_r=0, lambda_m=0, c=0.0, spread_plus=0.0, spread_minus=0.0)
    t = np.array([0.0, 1.0, np.inf])
    curves = [
        bounds.theorem_1(problem, nothing, t, 3.0),
        bounds.margin_bound(problem, nothing, t, 3.0, residual_norm=10.0),
    ]
    for curve in curves:
        np.testing.assert_array_equal(curve.value, [3.0, 3.0, 3.0])
        assert not curve.applies
    np.testing.assert_array_equal(bounds.theorem_1(problem, LEVEL, t, 3.0).value[[0, 2]], [3.0, 0.0])


def test_margin_bound_without_margin_is_theorem_1():
    case = random_case("three outputs")
    p, t = case.problem, np.linspace(0, 3, 7)
    beyond = 2 * np.linalg.norm(p.Y_tilde)
    margin = bounds.margin_bound(p, imbalance(case.state), t, 2.0, residual_norm=beyond)
    np.testing.assert_allclose(margin.value, bounds.theorem_1(p, imbalance(case.state), t, 2.0).value, rtol=1e-12)


@pytest.mark.parametrize("shape", [name for name, (*_, h) in SHAPES.items() if h >= 4])
def test_margin_bound_holds_along_runs_and_after_restarts(shape):
    case = random_case(shape)
    p, start = case.problem, imbalance(case.state)
    times = np.linspace(0, 8, 33)[1:]
    run = gradient_flow(p, case.state, times, Stop(t_max=9.0), "explicit", tol=1e-13)
    s = np.linalg.svd(p.Y_tilde, compute_uv=False)
    gained = False
    for i in (0, 4, 8, 12):
        size = np.sqrt(2 * run.excess[i])
        bound = bounds.margin_bound(p, start, run.t[i:], run.excess[i], size, run.t[i])
        assert bound.hypotheses["t >= t0"]
        assert np.all(run.excess[i:] <= bound.value * (1 + 1e-6) + 1e-15)
        s_m, s_r = (max((s[j - 1] if j <= s.size else 0) - size, 0) / p.sigma[0] for j in (p.m, p.r))
        brace = (np.hypot(start.spread_plus + start.c, 2 * s_m) - start.spread_plus) + (
            np.hypot(start.spread_minus + start.c, 2 * s_r) - start.spread_minus
        )
        expected = run.excess[i] * np.exp(-(p.sigma[-1] ** 2) * brace * (run.t[i:] - run.t[i]))
        np.testing.assert_allclose(bound.value, expected, rtol=1e-9)
        gained |= bool(s_m > 0 or s_r > 0)
    assert gained


def test_margin_bound_says_nothing_before_its_start():
    problem = reparametrize(np.eye(2), np.ones((2, 1)))
    bound = bounds.margin_bound(problem, LEVEL, [0.0, 2.0], 3.0, 10.0, t0=1.0)
    assert bound.hypotheses["t >= t0"] is False
    assert not bound.applies
    np.testing.assert_array_equal(bound.value, [np.inf, np.inf])
    assert (bound.stated[0], bound.applies) == (np.inf, False)
    assert bound.stated[1] <= 3.0


def test_a_bound_whose_hypothesis_fails_says_nothing():
    bound = bounds.Bound(np.array([2.0, 1.0]), {"a": True, "b": None}, vacuous=3.0)
    assert bound.applies
    np.testing.assert_array_equal(bound.value, [2.0, 1.0])
    failed = bound.assuming("c", False)
    assert (failed.unmet, failed.applies) == (["c"], False)
    np.testing.assert_array_equal(failed.value, [np.inf, np.inf])
    np.testing.assert_array_equal(failed.stated, bound.stated)
    np.testing.assert_array_equal(bounds.Bound(bound.stated, {"a": False}, 3.0).value, [3.0, 3.0])
    assert bounds.lemma_17(PAPER, 100, 0.5).assuming("c", False).value == -np.inf  # it bounds from below


# Lemma 1 and Theorem 2

PAPER = Problem(n=7, sigma=np.array([2.0, 0.5]), Phi1=np.eye(6, 2), Y_tilde=np.ones((2, 3)), loss_floor=1.5)


@pytest.mark.parametrize("h", [10, 10**4, 10**12])
@pytest.mark.parametrize("alpha", [0.3, 0.5])
@pytest.mark.parametrize("delta", [0.01, 0.5])
def test_lemma_1_and_theorem_2_are_those_of_the_paper(h, alpha, delta):
    r, m, D, y_norm = 2, 3, 6, 3.0  # ||Y||^2 = 6 + 2 * 1.5
    deviation = (np.sqrt(m + D) + np.log(2 / delta) / 2) / h ** (2 * alpha - 0.5)
    C = np.exp(1 + 2.0 / 0.25 * y_norm)
    expected = {
        bounds.lemma_18: 2 * np.sqrt(m + r) * deviation,
        bounds.lemma_19: 2 * np.sqrt(m) * deviation,
        bounds.theorem_2: 2 * C ** (1 / h ** (1 - 2 * alpha)) * np.sqrt(m + r) * deviation,
    }
    for bound, value in expected.items():
        assert bound(PAPER, h, alpha, delta).value == pytest.approx(value, rel=1e-12)
    assert bounds.lemma_17(PAPER, h, alpha).value == pytest.approx(h / h ** (2 * alpha), rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "D", "met"), [(0.25, 6, False), (0.26, 6, True), (0.5, 6, True), (0.51, 6, False), (0.5, 2, False)]
)
def test_hypotheses_of_the_paper_are_checked(alpha, D, met):
    problem = Problem(n=7, sigma=PAPER.sigma, Phi1=np.eye(D, 2), Y_tilde=PAPER.Y_tilde, loss_floor=0.0)
    for bound in (
        bounds.lemma_17(problem, 100, alpha),
        bounds.lemma_18(problem, 100, alpha, 0.05),
        bounds.lemma_19(problem, 100, alpha, 0.05),
        bounds.theorem_2(problem, 100, alpha, 0.05),
    ):
        assert bound.applies == met
        assert np.isfinite(bound.value) == met
        assert None in bound.hypotheses.values()  # how wide is wide enough, the paper does not say


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, np.nan])
def test_bad_failure_probabilities_are_refused(delta):
    for bound in (bounds.lemma_18, bounds.lemma_19, bounds.theorem_2):
        with pytest.raises(ValueError, match=r"delta must be in \(0, 1\), got"):
            bound(PAPER, 100, 0.5, delta)


def test_theorem_2_is_infinite_where_it_overflows():
    problem = Problem(n=7, sigma=np.array([1.0, 1e-3]), Phi1=np.eye(6, 2), Y_tilde=PAPER.Y_tilde, loss_floor=0.0)
    assert bounds.theorem_2(problem, 10, 0.5, 0.05).value == np.inf


@pytest.mark.parametrize("alpha", [0.35, 0.5])
def test_lemma_1_and_theorem_2_hold_for_wide_networks(alpha):
    problem, h, delta = random_case("three outputs").problem, 10**8, 0.5
    rng = np.random.default_rng(0)
    for _ in range(10):
        s = scaled(standard_normal(problem, h, rng), h**-alpha, h**-alpha)
        level = imbalance(s)
        run = gradient_flow(problem, s, [], Stop(excess=1e-18))
        distance = np.hypot(
            np.linalg.norm(s.U2 @ run.V[-1].T), np.linalg.norm(run.product[-1] - problem.min_norm_coordinates)
        )
        # each holds by far: the failure probability is used up by the union bound of the paper
        assert level.lambda_r + level.lambda_m > bounds.lemma_17(problem, h, alpha).value
        assert np.linalg.norm(s.R @ s.U2.T) <= bounds.lemma_18(problem, h, alpha, delta).value
        assert np.linalg.norm(s.U1 @ s.V.T) <= bounds.lemma_19(problem, h, alpha, delta).value
        assert distance <= bounds.theorem_2(problem, h, alpha, delta).value
