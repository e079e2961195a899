from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from implicit_bias.theory.initialization.gaussian import scaled
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import Descent, DivergenceError, gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, SADDLE, STATIONARY, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import excess_loss, residual
from tests.support.networks import SHAPES, full_descent, full_imbalance, random_case


def run(case, iterations, step_size, last=None, **stop):
    """Gradient descent recorded at `iterations`, up to `last`."""
    p = case.problem
    t_max = float(p.flow_time(last or iterations[-1], step_size))
    return gradient_descent(p, case.state, step_size, iterations, Stop(t_max=t_max, **stop))


def safe_step(case):
    """A tenth of the largest step of the linearised descent, on the averaged loss."""
    return 0.1 * largest_step_estimate(case.problem, case.state)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("iterations", [1, 1000])
def test_reduced_descent_is_that_of_the_full_network(shape, iterations):
    case = random_case(shape)
    p, step = case.problem, safe_step(case)
    U, V = full_descent(case, step, iterations)
    trajectory = run(case, [iterations], step)
    U1 = p.Phi1.T @ U
    P = np.vstack([U1, V])
    np.testing.assert_allclose(trajectory.R @ trajectory.R.T, P @ P.T, atol=2e-12)
    np.testing.assert_allclose(trajectory.product[-1], U1 @ V.T, atol=1e-12)
    u2v = np.linalg.norm(case.state.U2 @ trajectory.V[-1].T)
    assert u2v == pytest.approx(np.linalg.norm(case.Phi2.T @ U @ V.T), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", SHAPES)
def test_descent_leaves_its_start_alone(shape, order):
    case = random_case(shape)
    state = replace(case.state, R=np.array(case.state.R, order=order))
    gradient_descent(case.problem, state, safe_step(case), [5, 10], Stop(t_max=1.0))
    np.testing.assert_array_equal(state.R, case.state.R)
    np.testing.assert_array_equal(state.U2, case.state.U2)


def test_unseen_directions_do_not_move():
    case = random_case("three outputs")
    U, _ = full_descent(case, safe_step(case), 100)
    np.testing.assert_allclose(case.Phi2.T @ U, case.Phi2.T @ case.U, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_imbalance_drift_of_one_step_is_second_order_and_known(shape):
    case = random_case(shape)
    p, R, eta = case.problem, case.state.R, 0.05
    descent = Descent(p, R, eta)
    assert descent.run(1, 0.0) == 1
    F = p.sigma[:, None] * residual(p, R)
    S = np.block([[np.zeros((p.r, p.r)), F], [F.T, np.zeros((p.m, p.m))]])
    J = np.diag(np.repeat([1.0, -1.0], [p.r, p.m]))
    drift = imbalance_matrix(descent.R, p.r) - imbalance_matrix(R, p.r)
    np.testing.assert_allclose(drift, eta**2 * R.T @ S @ J @ S @ R, atol=1e-13)


def test_full_network_drifts_as_much():
    case = random_case("three outputs")
    step = safe_step(case)
    trajectory = run(case, list(range(1, 301)), step)
    drift = full_imbalance(case, *full_descent(case, step, 300)) - full_imbalance(case, case.U, case.V)
    largest = max(np.sum(np.square(case.state.R)), np.sum(np.square(trajectory.R)))
    measured = trajectory.drift[-1] * largest  # the loss falls and ||P|| with it or against it: see the next assertion
    norms = [np.sum(np.square(run(case, [k], step).R)) for k in (1, 50, 100, 200, 300)]
    assert max(norms) <= largest * (1 + 1e-12)
    assert measured == pytest.approx(np.linalg.norm(drift), rel=1e-8)


@pytest.mark.parametrize("shape", ["one output", "three outputs", "h < r", "r < m"])
def test_recorded_iterations_are_those_asked_for(shape):
    case = random_case(shape)
    step = safe_step(case)
    wanted = [1, 2, 5, 17, 40]
    trajectory = run(case, wanted, step, last=60)
    np.testing.assert_allclose(case.problem.iterations(trajectory.t, step), [0, *wanted, 60], rtol=1e-13)
    assert (trajectory.steps, trajectory.stop_reason) == (60, ITERATION_LIMIT)
    for k, excess, product in zip(wanted, trajectory.excess[1:], trajectory.product[1:], strict=False):
        alone = run(case, [k], step)
        np.testing.assert_allclose(product, alone.product[-1], atol=1e-14)
        assert excess == pytest.approx(alone.excess[-1], rel=1e-12)


def brute_force_stop(case, step, excess):
    """The first iteration at or below an excess loss, one full step at a time."""
    U, V = case.U, case.V
    for k in count():
        if excess_loss(case.problem, case.reduced(U, V).R) <= excess:
            return k
        moved = type(case)(case.X, case.Y, U, V)
        U, V = full_descent(moved, step, 1)


@pytest.mark.parametrize("shape", ["one output", "three outputs", "rank deficient", "r < m"])
@pytest.mark.parametrize("fraction", [0.9, 0.3, 0.01])
@pytest.mark.parametrize("recorded", [[], [1, 2, 3], [4000], list(range(1, 4000))])
def test_descent_stops_at_the_first_iteration_at_or_below_the_tolerance(shape, fraction, recorded):
    case = random_case(shape)
    step = safe_step(case)
    excess = fraction * excess_loss(case.problem, case.state.R)
    trajectory = gradient_descent(case.problem, case.state, step, recorded, Stop(excess=excess))
    expected = brute_force_stop(case, step, excess)
    assert (trajectory.steps, trajectory.stop_reason) == (expected, TOLERANCE)
    assert case.problem.iterations(trajectory.t[-1], step) == pytest.approx(expected, rel=1e-13)
    assert trajectory.excess[-1] <= excess
    assert trajectory.excess[-1] == pytest.approx(excess_loss(case.problem, trajectory.R), rel=1e-10)
    assert np.all(np.diff(trajectory.t) > 0)


def test_tolerance_met_at_the_last_iteration_counts():
    case = random_case("one output")
    step = safe_step(case)
    excess = 0.3 * excess_loss(case.problem, case.state.R)
    first = brute_force_stop(case, step, excess)
    assert run(case, [first], step, excess=excess).stop_reason == TOLERANCE
    early = run(case, [first - 1], step, excess=excess)
    assert (early.stop_reason, early.steps) == (ITERATION_LIMIT, first - 1)


def test_a_start_below_the_tolerance_takes_no_step():
    case = random_case("one output")
    excess = excess_loss(case.problem, case.state.R)
    trajectory = gradient_descent(case.problem, case.state, 0.1, [1, 2], Stop(excess=excess))
    assert (trajectory.steps, trajectory.stop_reason, len(trajectory.t)) == (0, TOLERANCE, 1)


def test_zero_network_rests_at_the_saddle_where_it_starts():
    case = random_case("one output", scale_u=0.0, scale_v=0.0)
    for iterations in ([], [10, 20], count(1)):
        trajectory = gradient_descent(case.problem, case.state, 0.1, iterations, Stop())
        assert (trajectory.steps, trajectory.stop_reason) == (0, SADDLE)
        assert trajectory.t.tolist() == [0.0]


@pytest.mark.parametrize("iterations", [[], [3], range(1, 5)])
def test_a_run_without_limits_ends_when_nothing_moves(iterations):
    case = random_case("three outputs")
    step = 3 * safe_step(case)
    trajectory = gradient_descent(case.problem, case.state, step, iterations, Stop(stationary=1e-10))
    assert trajectory.stop_reason == STATIONARY
    assert trajectory.excess[-1] < 1e-16
    assert len(trajectory.t) == len(list(iterations)) + 2
    early = Stop(stationary=1e-10, t_max=float(case.problem.flow_time(trajectory.steps // 8, step)))
    still_moving = gradient_descent(case.problem, case.state, step, [], early)
    assert still_moving.stop_reason == ITERATION_LIMIT


def test_a_time_limit_below_one_step_takes_none():
    case = random_case("one output")
    for _ in range(20):  # the state of a fresh buffer must not matter
        trajectory = gradient_descent(case.problem, case.state, 0.1, [1], Stop(t_max=1e-9))
        assert (trajectory.steps, trajectory.stop_reason) == (0, ITERATION_LIMIT)


def test_the_limit_is_the_last_iteration_within_the_time():
    case = random_case("one output")
    step = 1e-3 * safe_step(case)
    for k in (1, 7, 100, 12345):
        assert run(case, [k], step).steps == k
        beyond = Stop(t_max=float(case.problem.flow_time(k + 0.7, step)), stationary=1e-300)
        assert gradient_descent(case.problem, case.state, step, [], beyond).steps == k


@pytest.mark.parametrize("iterations", [[5, 3], [-1]])
def test_decreasing_iterations_are_refused(iterations):
    case = random_case("one output")
    with pytest.raises(ValueError, match="iterations must increase, got"):
        gradient_descent(case.problem, case.state, 0.01, iterations, Stop())


@pytest.mark.parametrize("step_size", [0.0, -1.0, np.inf, np.nan])
def test_bad_step_sizes_are_refused(step_size):
    case = random_case("one output")
    with pytest.raises(ValueError, match="step_size must be positive and finite, got"):
        gradient_descent(case.problem, case.state, step_size, [1], Stop())


@pytest.mark.parametrize("recorded", [[10**6], list(range(1, 1000))])
def test_divergence_is_reported_with_the_step_that_would_do(recorded):
    case = random_case("three outputs", scale_u=1.0, scale_v=1.0)
    allowed = 2 / (kernel_range(case.problem, case.state.R)[1] * 2 / len(case.X))
    assert largest_step_estimate(case.problem, case.state) == pytest.approx(allowed, rel=1e-14)
    with pytest.raises(DivergenceError, match=rf"2 / lambda_max = {allowed:.3g}".replace("+", r"\+")):
        gradient_descent(case.problem, case.state, 10 * allowed, recorded, Stop())


def test_the_step_estimate_separates_contraction_from_divergence_in_the_lazy_regime():
    case = random_case("three outputs", scale_u=30.0, scale_v=30.0)
    allowed = largest_step_estimate(case.problem, case.state)
    # a start near the solution, where the kernel stays what it is
    p = case.problem
    near = reparametrize(case.X, case.X @ case.U @ case.V.T + 1e-3 * np.ones_like(case.Y))
    below = gradient_descent(near, case.state, 0.98 * allowed, [2000], Stop(t_max=float(p.flow_time(2000, allowed))))
    assert below.excess[-1] < 1e-6 * below.excess[0]
    above = gradient_descent(near, case.state, 1.02 * allowed, [100], Stop(t_max=float(p.flow_time(100, allowed))))
    assert above.excess[-1] > 10 * above.excess[0]


@pytest.mark.parametrize("shape", ["one output", "three outputs", "rank deficient"])
def test_descent_tends_to_the_flow_at_first_order(shape):
    case = random_case(shape)
    p = case.problem
    t = 4 / kernel_range(p, case.state.R)[1]
    flow = gradient_flow(p, case.state, [], Stop(t_max=t), tol=1e-12)
    errors = []
    for iterations in (100, 200, 400, 800):
        step = float(t * p.n / (2 * iterations))
        descent = run(case, [iterations], step)
        assert descent.t[-1] == pytest.approx(t, rel=1e-12)
        errors.append(np.linalg.norm(descent.R - flow.R))
    orders = -np.diff(np.log2(errors))
    np.testing.assert_allclose(orders, 1.0, atol=0.05)


def test_scaling_the_targets_scales_the_run():
    # U, V -> a U, a V and Y -> a^2 Y turn the descent with step eta into that with step eta / a^2
    case, a = random_case("three outputs"), 3.0
    step = safe_step(case)
    scaled_problem = reparametrize(case.X, a**2 * case.Y)
    plain = run(case, [200], step)
    other = gradient_descent(
        scaled_problem, scaled(case.state, a, a), step / a**2, [200], Stop(t_max=plain.t[-1] / a**2)
    )
    np.testing.assert_allclose(other.R, a * plain.R, atol=1e-11)
