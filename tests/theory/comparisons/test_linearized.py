"""The linearised flow against its own equation, and where the network meets it and the infinite-width flow."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory.comparisons.companions import gaps, infinite_width_companion, linearized_companion
from implicit_bias.theory.comparisons.infinite_width import (
    infinite_width_flow,
    infinite_width_rotation,
    infinite_width_state,
)
from implicit_bias.theory.comparisons.linearized import linearized_flow
from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.law.limit import kernel_change, large_width_limit
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import SHAPES, random_case


@pytest.fixture(params=SHAPES)
def case(request):
    return random_case(request.param)


def integrate_linearized(case, t):
    """End-to-end matrix (D, m) and V (m, h) of the full linearised network at time t, by scipy."""
    shape, split = case.U.shape, case.U.size

    def network(y):
        dU, dV = y[:split].reshape(shape), y[split:].reshape(case.V.shape)
        return case.U @ case.V.T + dU @ case.V.T + case.U @ dV.T, case.V + dV

    def rhs(_, y):
        G = case.X.T @ (case.X @ network(y)[0] - case.Y)
        return -np.concatenate([(G @ case.V).ravel(), (G.T @ case.U).ravel()])

    start = np.zeros(case.U.size + case.V.size)
    return network(solve_ivp(rhs, (0, t), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1])


def test_closed_form_is_the_flow_of_the_linearised_network(case):
    p, flow, t = case.problem, linearized_flow(case.problem, case.state), 1.7
    N, V = integrate_linearized(case, t)
    np.testing.assert_allclose(flow.product(t)[0], p.Phi1.T @ N, atol=1e-9)
    np.testing.assert_allclose(flow.V(t)[0] @ flow.V(t)[0].T, V @ V.T, atol=1e-9)
    assert np.linalg.norm(case.state.U2 @ flow.V(t)[0].T) == pytest.approx(np.linalg.norm(case.Phi2.T @ N), abs=1e-9)
    E = p.Y_tilde - p.sigma[:, None] * (p.Phi1.T @ N)
    assert flow.excess(t)[0] == pytest.approx(0.5 * np.sum(E**2), abs=1e-9)


def test_rates_are_the_eigenvalues_of_the_kernel(case):
    flow = linearized_flow(case.problem, case.state)
    low, high = kernel_range(case.problem, case.state.R)
    assert flow.rates.max() == pytest.approx(high, rel=1e-12)
    assert flow.rates.min() == pytest.approx(low, rel=1e-8, abs=1e-12 * high)


def test_limit_is_reached_and_is_where_the_kernel_can_go(case):
    flow = linearized_flow(case.problem, case.state)
    late, end = flow.V(1e9)[0], flow.V(np.inf)[0]
    np.testing.assert_allclose(late, end, atol=1e-7 * np.abs(end).max())
    assert np.isfinite(end).all()
    if flow.rates.min() > 0:
        np.testing.assert_array_equal(flow.error(np.inf), 0)
        np.testing.assert_allclose(flow.product(np.inf)[0], case.problem.min_norm_coordinates, rtol=1e-14)
    p, state = case.problem, case.state
    unreached, dead = p.m - min(p.m, state.h), p.r - min(p.r, state.h)
    assert np.count_nonzero(flow.rates == 0) == unreached * dead
    E = flow.error(np.inf)[0]
    at_rest = p.sigma[:, None] ** 2 * E @ state.V @ state.V.T
    at_rest += p.sigma[:, None] * (state.U1 @ state.U1.T @ (p.sigma[:, None] * E))
    np.testing.assert_allclose(at_rest, 0, atol=1e-12 * flow.rates.max() * np.linalg.norm(flow.E0))


@pytest.mark.parametrize("v", [1e-3, 1e-8, 1e-12])
def test_outputs_reach_what_u1_does_not_however_small_they_start(v):
    p = reparametrize(np.eye(2, 3), np.array([[1.0], [1.0]]))
    state = State(R=np.array([[1.0], [0.0], [v]]), U2=np.zeros((1, 1)), r=2, h=1)
    flow = linearized_flow(p, state)
    np.testing.assert_allclose(flow.rates, [[1 + v**2, v**2]], rtol=1e-12)
    np.testing.assert_allclose(flow.product(np.inf)[0], p.min_norm_coordinates, rtol=1e-14)


def test_every_mode_decays_at_its_rate_at_any_conditioning():
    sigma, c, a = np.geomspace(1, 1e-7, 8), 0.3, 2.0
    rng = np.random.default_rng(0)
    p = reparametrize(np.hstack([np.diag(sigma), np.zeros((8, 3))]), rng.standard_normal((8, 1)), 0.0)
    R = np.hstack([np.sqrt(a) * np.eye(8), np.zeros((8, 1))])
    R = np.vstack([R, np.sqrt(c) * np.eye(9)[8]]) @ np.linalg.qr(rng.standard_normal((9, 9)))[0]
    flow = linearized_flow(p, State(R=R, U2=np.zeros((0, 9)), r=8, h=9))
    for t in (1e-3, 1.0, 1e13, 1e15):
        expected = p.Y_tilde[:, 0] * np.exp(-(a + c) * p.sigma**2 * t)
        np.testing.assert_allclose(flow.error(t)[0, :, 0], expected, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (3.0, 0.2), (0.2, 3.0)])
def test_linearised_infinite_width_flow_is_single_layer_regression_sped_up_by_a_plus_b(a, b):
    p = random_case("three outputs").problem
    flow = linearized_flow(p, infinite_width_state(p, a, b))
    for t in (0.1, 1.0, 10.0):
        decay = np.exp(-(a + b) * t * p.sigma**2)[:, None]
        np.testing.assert_allclose(flow.product(t)[0], (1 - decay) * p.min_norm_coordinates, atol=1e-13)
    V, M = flow.V(np.inf)[0], p.min_norm_coordinates
    np.testing.assert_allclose(V @ V.T, b * np.eye(p.m) + a / (a + b) ** 2 * M.T @ M, atol=1e-13)


@pytest.mark.parametrize("shape", ["one output", "three outputs", "rank deficient", "r < m"])
def test_a_rotated_infinite_width_start_has_no_gap_to_the_infinite_width_flow(shape):
    p, (a, b) = random_case(shape).problem, (2.0, 0.7)
    rng = np.random.default_rng(3)
    start = infinite_width_state(p, a, b)
    turn = np.linalg.qr(rng.standard_normal((p.k, p.k)))[0]
    state = State(R=start.R @ turn, U2=rng.standard_normal((2, p.k)), r=p.r, h=start.h)
    np.testing.assert_allclose(infinite_width_rotation(p, state, a, b), turn, atol=1e-13)
    run = gradient_flow(p, state, [0.1, 1.0, 5.0], Stop(), tol=1e-10)
    flow = infinite_width_flow(p, a, b, np.array([0.05, 0.1, 0.6, 1.0, 5.0, np.inf]), 1e-10)
    gap = gaps(p, state, run, infinite_width_companion(p, state, flow, a, b, run.t))
    assert max(gap.loss_gap, gap.distance_gap) < 1e-7
    assert flow.kernel_change[-1] == pytest.approx(kernel_change(p, large_width_limit(p, a, b)), rel=1e-6)


def test_a_network_narrower_than_its_data_has_no_infinite_width_start():
    case = random_case("h < r + m")
    with pytest.raises(ValueError, match="needs h >= r \\+ m = 9, got h = 8"):
        infinite_width_rotation(case.problem, case.state, 1.0, 1.0)


def slope(x, y):
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def gap_to_linearised(p, state):
    run = gradient_flow(p, state, _times(p, state), Stop(), tol=1e-12)
    return gaps(p, state, run, linearized_companion(p, state, run.t))


def _times(p, state):
    return np.geomspace(1e-3, 20.0, 40) / kernel_range(p, state.R)[0]


def test_at_infinite_width_the_gap_to_the_linearised_flow_is_of_order_two_in_the_scale():
    p, T = random_case("three outputs").problem, np.array([30.0, 60.0, 120.0, 240.0])
    starts = [infinite_width_state(p, t / 2, t / 2) for t in T]
    measured = [gap_to_linearised(p, replace(start, U2=np.eye(p.k))) for start in starts]
    assert slope(T, [gap.loss_gap for gap in measured]) == pytest.approx(-2, abs=0.05)
    assert slope(T, [gap.distance_gap for gap in measured]) == pytest.approx(-2, abs=0.1)


def drawn(p, h, alpha, seed):
    return scaled(standard_normal(p, h, np.random.default_rng([seed, h]), "bartlett"), h**-alpha, h**-alpha)


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "order"), [(0.0, -1.0), (0.2, -1.0)])
def test_lazy_networks_approach_their_linearised_flow_as_one_over_the_width(alpha, order):
    p, widths = random_case("three outputs").problem, np.array([10**3, 10**4, 10**5, 10**6])
    mean = [np.mean([gap_to_linearised(p, drawn(p, int(h), alpha, s)).loss_gap for s in range(8)]) for h in widths]
    assert slope(widths, mean) == pytest.approx(order, abs=0.25)  # 8 draws a width vary by about a third


@pytest.mark.slow
def test_networks_at_alpha_one_half_approach_the_infinite_width_flow_as_the_root_of_the_width_and_not_the_linearised():
    p, widths = random_case("three outputs").problem, np.array([10**3, 10**5, 10**7, 10**9])
    far, near = [], []
    for h in widths:
        pairs = []
        for seed in range(6):
            state = drawn(p, int(h), 0.5, seed)
            times = _times(p, state)
            run = gradient_flow(p, state, times, Stop(), tol=1e-11)
            flow = infinite_width_flow(p, 1.0, 1.0, np.append(times, np.inf), 1e-11)
            infinite = gaps(p, state, run, infinite_width_companion(p, state, flow, 1.0, 1.0, run.t))
            linear = gaps(p, state, run, linearized_companion(p, state, run.t))
            pairs.append((infinite.loss_gap, infinite.distance_gap, linear.loss_gap))
        loss, distance, linear_loss = np.mean(pairs, axis=0)
        near.append((loss, distance))
        far.append(linear_loss)
    for measured in np.transpose(near):
        assert slope(widths, measured) == pytest.approx(-0.5, abs=0.1)
    assert abs(slope(widths, far)) < 0.1
    assert far[-1] > 100 * near[-1][0]
