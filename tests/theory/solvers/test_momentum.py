"""Momentum on the reduced state, against the full network, and against what is known of it on quadratics."""

import numpy as np
import pytest

from implicit_bias.theory.measure import evaluate
from implicit_bias.theory.networks.two_layer import imbalance_matrix, reduce_network
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import DivergenceError, gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.momentum import momentum_descent
from implicit_bias.theory.solvers.stopping import STATIONARY, TOLERANCE, Stop
from tests.support.networks import SHAPES, full_gradient, full_imbalance, random_case


def full_momentum(case, step_size, iterations, beta, nesterov):
    """U, V of the full network, by the textbook recursion on the averaged loss."""
    U, V, n = case.U, case.V, len(case.X)
    W, Z = np.zeros_like(U), np.zeros_like(V)
    for _ in range(iterations):
        dU, dV = full_gradient(case, U + beta * W, V + beta * Z) if nesterov else full_gradient(case, U, V)
        W, Z = beta * W - step_size * (2 / n) * dU, beta * Z - step_size * (2 / n) * dV
        U, V = U + W, V + Z
    return U, V


def run(case, step_size, iterations, beta, nesterov=False, **stop):
    p = case.problem
    stop = Stop(t_max=float(p.flow_time(iterations[-1], step_size)), **stop)
    return momentum_descent(p, case.state, step_size, iterations, stop, beta, nesterov)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_reduced_momentum_is_that_of_the_full_network(shape, nesterov):
    case, count = random_case(shape), 200
    p, step = case.problem, 0.05 * largest_step_estimate(case.problem, case.state)
    U, V = full_momentum(case, step, count, 0.8, nesterov)
    trajectory = run(case, step, [count], 0.8, nesterov)
    P = np.vstack([p.Phi1.T @ U, V])
    np.testing.assert_allclose(trajectory.R @ trajectory.R.T, P @ P.T, atol=1e-10)
    np.testing.assert_allclose(case.Phi2.T @ U, case.Phi2.T @ case.U, atol=1e-12)  # U2 does not move
    u2v = np.linalg.norm(case.state.U2 @ trajectory.V[-1].T)
    assert u2v == pytest.approx(np.linalg.norm(case.Phi2.T @ U @ V.T), rel=1e-9, abs=1e-11)
    drift = np.linalg.norm(full_imbalance(case, U, V) - full_imbalance(case, case.U, case.V))
    ours = np.linalg.norm(imbalance_matrix(trajectory.R, p.r) - imbalance_matrix(case.state.R, p.r))
    assert ours == pytest.approx(drift, rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("nesterov", [False, True])
def test_without_momentum_it_is_gradient_descent(nesterov):
    case = random_case("three outputs")
    step = 0.1 * largest_step_estimate(case.problem, case.state)
    plain = gradient_descent(case.problem, case.state, step, [10, 100], Stop(t_max=case.problem.flow_time(100, step)))
    ours = run(case, step, [10, 100], 0.0, nesterov)
    np.testing.assert_allclose(ours.excess, plain.excess, rtol=1e-11)
    np.testing.assert_allclose(ours.product, plain.product, atol=1e-13)


def test_small_steps_follow_the_flow_at_the_speed_that_momentum_gives_them():
    """As eta -> 0 heavy ball at step eta follows the flow at time 2 eta k / (n (1 - beta)), up to O(eta)."""
    case, beta, t = random_case("one output"), 0.9, 0.5
    gaps = []
    for count in (500, 1000, 2000):
        step = t * (1 - beta) * len(case.X) / (2 * count)
        gaps.append(np.abs(run(case, step, [count], beta).product[-1] - ends_of_flow(case, t)).max())
    order = np.log2(np.array(gaps[:-1]) / gaps[1:])
    np.testing.assert_allclose(order, 1, atol=0.15)


def ends_of_flow(case, t):
    from implicit_bias.theory.solvers.flow import gradient_flow

    return gradient_flow(case.problem, case.state, [], Stop(t_max=t), tol=1e-11).product[-1]


def test_the_imbalance_drifts_less_with_smaller_steps_and_is_reported():
    case = random_case("three outputs")
    step = 0.2 * largest_step_estimate(case.problem, case.state)
    coarse, fine = (run(case, step / part, [100 * part], 0.8).drift.max() for part in (1, 10))
    assert fine > 1e-9  # not conserved: far above rounding
    assert fine < 0.5 * coarse


@pytest.mark.parametrize("nesterov", [False, True])
def test_runs_end_at_their_tolerance_or_at_a_minimum(nesterov):
    case = random_case("three outputs")
    step = 0.1 * largest_step_estimate(case.problem, case.state)
    ended = run(case, step, [10**5], 0.5, nesterov, excess=1e-6)
    assert ended.stop_reason == TOLERANCE
    assert ended.excess[-1] <= 1e-6
    settled = run(case, step, range(500, 10**5, 500), 0.5, nesterov)
    assert settled.stop_reason == STATIONARY
    assert settled.excess[-1] < 1e-20


def test_nothing_is_certified_of_a_run_with_momentum():
    case = random_case("three outputs")
    trajectory = run(case, 0.01, [10, 50], 0.9)
    found = evaluate(case.problem, case.state, trajectory, 0.5, 0.5, 0.5, 0.05, step=0.01, kind="other")
    assert not {"certified", "restart", "stepwise", "path"} & found.curves.keys()
    assert found.metrics["met/bound"] == found.metrics["met/margin"] == found.metrics["met/thm2"] == 0
    assert {"law", "bound", "margin"} <= found.curves.keys()
    assert found.metrics["imbalance_drift"] > 0


def test_bad_arguments_are_refused_and_divergence_is_told():
    case = random_case("one output")
    for beta in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got"):
            run(case, 0.01, [1], beta)
    with pytest.raises(ValueError, match="step_size must be positive and finite"):
        momentum_descent(case.problem, case.state, 0.0, [1], Stop())
    with pytest.raises(DivergenceError):
        run(case, 100 * largest_step_estimate(case.problem, case.state), [10**4], 0.9)


def test_a_network_of_deficient_rank_keeps_its_directions():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((5, 8)), rng.standard_normal((5, 2))
    problem = reparametrize(X, Y)
    u, v = rng.standard_normal((8, 1)), rng.standard_normal((2, 1))
    state = reduce_network(problem, np.repeat(u, 4, axis=1), np.repeat(v, 4, axis=1))
    ended = momentum_descent(problem, state, 1e-3, [100], Stop(t_max=problem.flow_time(100, 1e-3)))
    assert np.linalg.matrix_rank(ended.R) == 1
