from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.networks.two_layer import State, imbalance_matrix, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.flow import INTEGRATORS, choose_integrator, gradient_flow
from implicit_bias.theory.solvers.stopping import SADDLE, STATIONARY, TIME_LIMIT, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import excess_loss, residual, velocity
from implicit_bias.theory.synthetic import draw_data
from tests.support.networks import SHAPES, full_flow, full_imbalance, full_loss, random_case
from tests.support.oracles import (
    balanced_state,
    conditioned_problem,
    gaussian_state,
    riccati_gram,
    saxe_mode,
    tight_flow,
)

METHODS = tuple(INTEGRATORS)


def bare_state(problem, R, h=None):
    """A state without unseen directions."""
    return State(R=R, U2=np.zeros((0, R.shape[1])), r=problem.r, h=h or R.shape[1])


# The vector field


@pytest.mark.parametrize("shape", SHAPES)
def test_velocity_is_minus_the_numerical_gradient_of_the_full_loss(shape):
    case = random_case(shape)
    p = case.problem

    def slope(dU, dV):  # exact: along a line L is a polynomial of degree 4
        L = [full_loss(case, case.U + s * dU, case.V + s * dV) for s in (-2, -1, 1, 2)]
        return (L[0] - 8 * L[1] + 8 * L[2] - L[3]) / 12

    dU = -np.array([slope(D.reshape(case.U.shape), 0) for D in np.eye(case.U.size)]).reshape(case.U.shape)
    dV = -np.array([slope(0, D.reshape(case.V.shape)) for D in np.eye(case.V.size)]).reshape(case.V.shape)
    np.testing.assert_allclose(case.Phi2.T @ dU, 0, atol=1e-10)
    motion, P = np.vstack([p.Phi1.T @ dU, dV]), np.vstack([p.Phi1.T @ case.U, case.V])
    reduced = velocity(p, case.state.R)
    np.testing.assert_allclose(reduced @ case.state.R.T, motion @ P.T, atol=1e-10)
    np.testing.assert_allclose(reduced @ reduced.T, motion @ motion.T, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_falls_by_the_squared_speed(shape):
    case = random_case(shape)
    p, R = case.problem, case.state.R
    E, dR = residual(p, R), velocity(p, R)
    dE = -p.sigma[:, None] * (dR[: p.r] @ R[p.r :].T + R[: p.r] @ dR[p.r :].T)
    assert np.sum(E * dE) == pytest.approx(-np.sum(dR**2), rel=1e-12)


# Against full networks and exact solutions


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_reduced_flow_is_that_of_the_full_network(shape, method):
    case = random_case(shape)
    U, V = full_flow(case, 3.0)
    trajectory = gradient_flow(case.problem, case.state, [], Stop(t_max=3.0), method, tol=1e-11)
    P = np.vstack([case.problem.Phi1.T @ U, V])
    assert trajectory.t[-1] == 3.0
    np.testing.assert_allclose(trajectory.R @ trajectory.R.T, P @ P.T, atol=1e-8)
    np.testing.assert_allclose(trajectory.product[-1], case.problem.Phi1.T @ U @ V.T, atol=1e-8)
    u2v = np.linalg.norm(case.state.U2 @ trajectory.V[-1].T)
    assert u2v == pytest.approx(np.linalg.norm(case.Phi2.T @ U @ V.T), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_full_flow_conserves_lambda_and_the_unseen_directions(shape):
    case = random_case(shape)
    U, V = full_flow(case, 3.0)
    np.testing.assert_allclose(full_imbalance(case, U, V), full_imbalance(case, case.U, case.V), atol=1e-10)
    np.testing.assert_allclose(case.Phi2.T @ U, case.Phi2.T @ case.U, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_exponential_flow_conserves_lambda_to_rounding_at_any_tolerance(shape):
    case = random_case(shape)
    for tol in (1e-2, 1e-10):
        trajectory = gradient_flow(case.problem, case.state, [0.1, 1.0], Stop(t_max=20.0), "exponential", tol)
        before = imbalance_matrix(case.state.R, case.problem.r)
        after = imbalance_matrix(trajectory.R, case.problem.r)
        np.testing.assert_allclose(after, before, atol=1e-13 * np.sum(trajectory.R**2))
        assert trajectory.drift.max() < 1e-13


@pytest.mark.parametrize("method", METHODS)
def test_dense_output_follows_the_flow(method):
    problem = conditioned_problem(5, 2, 50.0)
    R0 = gaussian_state(5, 2, 30)
    times = np.geomspace(1e-3, 60, 25)
    trajectory = gradient_flow(problem, bare_state(problem, R0), times, Stop(t_max=100.0), method, tol=1e-10)
    exact = tight_flow(problem, R0, times)
    np.testing.assert_array_equal(trajectory.t, [0, *times, 100.0])
    np.testing.assert_allclose(trajectory.V[1:-1], exact[:, 5:], atol=1e-8)
    np.testing.assert_allclose(trajectory.product[1:-1], exact[:, :5] @ np.swapaxes(exact[:, 5:], 1, 2), atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_balanced_flow_solves_the_riccati_equation(method):
    problem = conditioned_problem(4, 2, 1.0)
    R0 = balanced_state(problem, 0.3)
    for t in (0.2, 1.0, 4.0):
        trajectory = gradient_flow(problem, bare_state(problem, R0), [], Stop(t_max=t), method, tol=1e-11)
        np.testing.assert_allclose(trajectory.R @ trajectory.R.T, riccati_gram(problem, R0, t), atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("u0", "v0"), [(0.1, 0.1), (0.9, 0.2), (0.2, 0.9)])
def test_one_mode_follows_saxe(method, u0, v0):
    problem = reparametrize([[1.0]], [[1.7]])
    sign = np.sign(problem.Y_tilde[0, 0])
    times = np.linspace(0.25, 5, 20)
    R0 = np.array([[u0 * sign], [v0]])
    trajectory = gradient_flow(problem, bare_state(problem, R0), times, Stop(t_max=6.0), method, tol=1e-11)
    np.testing.assert_allclose(sign * trajectory.product[1:-1, 0, 0], saxe_mode(1.7, u0, v0, times), atol=1e-8)


def test_scaled_targets_scale_the_flow():
    # U, V -> a U, a V and Y -> a^2 Y run a^2 times as fast
    case, a = random_case("three outputs"), 5.0
    other = reparametrize(case.X, a**2 * case.Y)
    plain = gradient_flow(case.problem, case.state, [], Stop(t_max=2.0), tol=1e-11)
    fast = gradient_flow(other, scaled(case.state, a, a), [], Stop(t_max=2.0 / a**2), tol=1e-11)
    np.testing.assert_allclose(fast.R, a * plain.R, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_units_of_the_data_scale_time_alone(method, unit):
    case = random_case("three outputs")
    other = reparametrize(unit * case.X, unit * case.Y)
    times, t_max = np.array([0.5, 1.0, 3.0]), 5.0
    first = gradient_flow(case.problem, case.state, times, Stop(t_max=t_max), method)
    state = reduce_network(other, case.U, case.V)
    second = gradient_flow(other, state, times / unit**2, Stop(t_max=t_max / unit**2), method)
    np.testing.assert_allclose(second.t * unit**2, first.t)
    np.testing.assert_allclose(other.Phi1 @ second.product, case.problem.Phi1 @ first.product, atol=1e-7)
    assert second.stop_reason == first.stop_reason


@pytest.mark.parametrize("method", METHODS)
def test_transposed_network_swaps_the_layers(method):
    # with Sigma_x = I the flow of (U1, V) on Y~ is that of (V, U1) on Y~^T
    rng = np.random.default_rng(0)
    Y, R0 = rng.standard_normal((3, 4)), rng.standard_normal((7, 7))
    problem = Problem(n=3, sigma=np.ones(3), Phi1=np.eye(3), Y_tilde=Y, loss_floor=0.0)
    other = Problem(n=4, sigma=np.ones(4), Phi1=np.eye(4), Y_tilde=Y.T, loss_floor=0.0)
    swapped = np.vstack([R0[3:], R0[:3]])
    a = gradient_flow(problem, bare_state(problem, R0), [], Stop(t_max=1.5), method, tol=1e-11)
    b = gradient_flow(other, bare_state(other, swapped), [], Stop(t_max=1.5), method, tol=1e-11)
    np.testing.assert_allclose(b.product[-1], a.product[-1].T, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_integrators_agree(shape):
    case = random_case(shape, seed=1)
    runs = [gradient_flow(case.problem, case.state, [0.5, 2.0], Stop(t_max=8.0), m, tol=1e-11) for m in METHODS]
    np.testing.assert_allclose(runs[0].V, runs[1].V, atol=1e-8)
    np.testing.assert_allclose(runs[0].force, runs[1].force, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_flow_leaves_its_start_alone(method):
    for shape in ("one output", "one hidden unit", "three outputs"):
        case = random_case(shape)
        R, U2 = case.state.R.copy(), case.state.U2.copy()
        gradient_flow(case.problem, case.state, [0.5], Stop(t_max=2.0), method)
        np.testing.assert_array_equal(case.state.R, R)
        np.testing.assert_array_equal(case.state.U2, U2)


# The end of a run


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ["one output", "three outputs", "rank deficient", "r < m", "h = r + m"])
@pytest.mark.parametrize("fraction", [0.999, 0.1, 1e-6, 1e-12])
def test_a_run_ends_where_the_excess_loss_meets_the_tolerance(shape, method, fraction):
    case = random_case(shape)
    excess = fraction * excess_loss(case.problem, case.state.R)
    trajectory = gradient_flow(case.problem, case.state, [], Stop(excess=excess), method, tol=1e-11)
    assert trajectory.stop_reason == TOLERANCE
    assert trajectory.excess[-1] == pytest.approx(excess, rel=1e-6)
    assert excess_loss(case.problem, trajectory.R) == pytest.approx(excess, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_time_of_the_end_is_that_of_the_exact_solution(method):
    s, u0 = 1.7, 0.1
    problem = reparametrize([[1.0]], [[s]])
    R0 = np.array([[u0 * np.sign(problem.Y_tilde[0, 0])], [u0]])
    for left in (0.5, 1e-3, 1e-6):  # the residual s - a at the end
        a = s - left
        t = np.log((s / u0**2 - 1) * a / left) / (2 * s)  # inverse of the logistic curve
        trajectory = gradient_flow(problem, bare_state(problem, R0), [], Stop(excess=left**2 / 2), method, tol=1e-12)
        assert trajectory.t[-1] == pytest.approx(t, rel=1e-6)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    digits=st.floats(0.0, 33.0),
    method=st.sampled_from(METHODS),
    shape=st.sampled_from(["one output", "three outputs", "D = r", "one sample"]),
)
def test_any_tolerance_ends_a_run_even_below_rounding(seed, digits, method, shape):
    case = random_case(shape, seed)
    excess = 10**-digits * excess_loss(case.problem, case.state.R)
    trajectory = gradient_flow(case.problem, case.state, [], Stop(excess=excess, t_max=400.0), method)
    if trajectory.stop_reason == TOLERANCE:
        rounding = 4 * np.finfo(float).eps * np.linalg.norm(case.problem.Y_tilde)  # of E
        assert np.sqrt(2 * trajectory.excess[-1]) <= np.sqrt(2 * excess) * (1 + 1e-6) + rounding
        assert trajectory.t[-1] < 400
    else:
        assert digits > 12
        assert (trajectory.stop_reason, trajectory.t[-1]) == (TIME_LIMIT, 400.0) or trajectory.stop_reason == STATIONARY


@pytest.mark.parametrize("method", METHODS)
def test_the_time_limit_ends_a_run(method):
    case = random_case("three outputs")
    for t_max in (1e-9, 0.7, 3.5):
        trajectory = gradient_flow(case.problem, case.state, count(1), Stop(t_max=t_max), method)
        assert (trajectory.stop_reason, trajectory.t[-1]) == (TIME_LIMIT, t_max)
        assert trajectory.excess[-1] == pytest.approx(excess_loss(case.problem, trajectory.R), rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("method", METHODS)
def test_the_earlier_of_tolerance_and_time_limit_ends_a_run(method):
    case = random_case("three outputs")
    excess = 1e-3 * excess_loss(case.problem, case.state.R)
    end = gradient_flow(case.problem, case.state, [], Stop(excess=excess), method, 1e-11).t[-1]
    early = gradient_flow(case.problem, case.state, [], Stop(excess=excess, t_max=0.999 * end), method, 1e-11)
    late = gradient_flow(case.problem, case.state, [], Stop(excess=excess, t_max=1.001 * end), method, 1e-11)
    assert (early.stop_reason, late.stop_reason) == (TIME_LIMIT, TOLERANCE)
    assert early.excess[-1] > excess


@pytest.mark.parametrize("method", METHODS)
def test_a_run_ends_when_nothing_moves(method):
    case = random_case("three outputs")
    stop = Stop(stationary=1e-6)
    trajectory = gradient_flow(case.problem, case.state, [0.5], stop, method, tol=1e-11)
    assert trajectory.stop_reason == STATIONARY
    speed = [np.linalg.norm(velocity(case.problem, R)) for R in (case.state.R, trajectory.R)]
    assert speed[1] <= 1e-6 * speed[0]
    np.testing.assert_allclose(trajectory.product[-1], case.problem.min_norm_coordinates, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("times", [[], [1.0, 2.0], "endless"])
def test_a_run_without_limits_ends_at_the_solution(method, times):
    case = random_case("three outputs")
    times = count(0.25, 0.25) if times == "endless" else times
    trajectory = gradient_flow(case.problem, case.state, times, Stop(), method)
    assert trajectory.stop_reason == STATIONARY
    np.testing.assert_allclose(trajectory.product[-1], case.problem.min_norm_coordinates, atol=1e-6)
    assert len(trajectory.t) < 1000


@pytest.mark.parametrize("method", METHODS)
def test_zero_network_does_not_move(method):
    case = random_case("three outputs", scale_u=0.0, scale_v=0.0)
    trajectory = gradient_flow(case.problem, case.state, count(1), Stop(), method)
    assert (trajectory.stop_reason, trajectory.steps, trajectory.t.tolist()) == (SADDLE, 0, [0.0])
    assert trajectory.excess[0] == pytest.approx(0.5 * np.sum(case.problem.Y_tilde**2))


@pytest.mark.parametrize("method", METHODS)
def test_a_start_below_the_tolerance_takes_no_step(method):
    case = random_case("three outputs")
    excess = excess_loss(case.problem, case.state.R)
    trajectory = gradient_flow(case.problem, case.state, count(1), Stop(excess=excess), method)
    assert (trajectory.stop_reason, trajectory.steps, len(trajectory.t)) == (TOLERANCE, 0, 1)


def test_a_saddle_ends_an_endless_record():
    # U1 is orthogonal to Y~ but for rounding, V = 0: an equilibrium that is no minimum
    problem = Problem(n=2, sigma=np.ones(2), Phi1=np.eye(2), Y_tilde=np.array([[0.1], [0.7]]), loss_floor=0.0)
    R0 = np.array([[0.7 * 0.3], [-0.1 * 0.3], [0.0]])
    assert 0 < np.linalg.norm(velocity(problem, R0)) < 1e-15
    trajectory = gradient_flow(problem, bare_state(problem, R0), islice(count(1), 10_000), Stop())
    assert trajectory.stop_reason == SADDLE
    assert len(trajectory.t) < 10


# Output times


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ["one output", "three outputs", "h < r"])
def test_recorded_times_are_those_asked_for(shape, method):
    case = random_case(shape)
    wanted = [1e-6, 0.1, 0.1 + 1e-9, 0.5, 1.0, 2.0]
    trajectory = gradient_flow(case.problem, case.state, wanted, Stop(t_max=3.0), method)
    assert trajectory.t.tolist() == [0.0, *wanted, 3.0]
    for name in ("excess", "product", "V", "force", "kernel_change", "drift"):
        assert len(getattr(trajectory, name)) == 8


@pytest.mark.parametrize("method", METHODS)
def test_what_is_recorded_does_not_change_the_run(method):
    case = random_case("three outputs")
    bare = gradient_flow(case.problem, case.state, [], Stop(t_max=5.0), method)
    dense = gradient_flow(case.problem, case.state, np.linspace(0.01, 4.99, 77), Stop(t_max=5.0), method)
    np.testing.assert_array_equal(bare.R, dense.R)
    assert bare.steps == dense.steps


@pytest.mark.parametrize("method", METHODS)
def test_times_after_the_end_are_not_recorded(method):
    case = random_case("three outputs")
    trajectory = gradient_flow(case.problem, case.state, [1.0, 5.0, 6.0], Stop(t_max=5.0), method)
    assert trajectory.t.tolist() == [0.0, 1.0, 5.0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("times", [[0.0], [-1.0], [np.nan], [1.0, 0.5], [1.0, 1.0], [1.0, np.nan]])
def test_bad_times_are_refused(times, method):
    case = random_case("three outputs")
    with pytest.raises(ValueError, match="times must be positive and increasing, got"):
        gradient_flow(case.problem, case.state, times, Stop(t_max=5.0), method)


def test_unknown_methods_are_refused():
    case = random_case("one output")
    with pytest.raises(ValueError, match="method must be one of explicit, exponential, got 'euler'"):
        gradient_flow(case.problem, case.state, [], Stop(), "euler")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tol", [0.0, -1e-8, 1.0, np.nan, 1e-14])
def test_bad_tolerances_are_refused(tol, method):
    case = random_case("one output")
    with pytest.raises(ValueError, match="tol must be"):
        gradient_flow(case.problem, case.state, [], Stop(), method, tol)


def test_the_explicit_method_is_chosen_where_its_steps_are_few():
    problem = conditioned_problem(4, 2, 10.0)
    state = bare_state(problem, gaussian_state(4, 2, 30))
    fastest = kernel_range(problem, state.R)[1]
    assert choose_integrator(problem, state, Stop(excess=1e-6), 1 / fastest) == "explicit"
    assert choose_integrator(problem, state, Stop(excess=1e-6), 1e6 / fastest) == "exponential"
    assert choose_integrator(problem, state, Stop(excess=1e-6), np.inf) == "exponential"
    assert choose_integrator(problem, state, Stop(), 1 / fastest) == "exponential"  # nothing but the limit ends it


@pytest.mark.parametrize("cond", [1e2, 1e6, 1e8, 1e10])
def test_exponential_flow_reaches_the_min_norm_product_at_any_conditioning(cond):
    X, Y, _ = draw_data(20, 60, 1, np.random.default_rng(3), "geometric", cond=cond)
    problem = reparametrize(X, Y)
    state = scaled(standard_normal(problem, 1000, np.random.default_rng(4)), 1000**-0.5, 1000**-0.5)
    run = gradient_flow(problem, state, [], Stop(), "exponential", 1e-8)
    missing = np.linalg.norm(run.product[-1] - problem.min_norm_coordinates)
    assert run.t[-1] == np.inf
    assert missing <= 1e-9 * np.linalg.norm(problem.min_norm_coordinates)
