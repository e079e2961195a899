import numpy as np
import pytest

from implicit_bias.theory.comparisons import step_size as steps
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import full_descent, random_case

DEPTH, LIMIT = 1e-16, 20_000


def lazy_case():
    """A network near its solution and so large that its kernel stays what it is: descent is linear there."""
    case = random_case("three outputs", scale_u=30.0, scale_v=30.0)
    return reparametrize(case.X, case.X @ case.U @ case.V.T + 1e-3 * np.ones_like(case.Y)), case.state


def test_a_linear_descent_keeps_what_its_kernel_promises():
    problem, state = lazy_case()
    promised = steps.forecast(problem, state.R)
    assert promised.largest == pytest.approx(largest_step_estimate(problem, state), rel=1e-12)
    # at (1 + x) of the largest step the fastest mode grows by 1 + 2 x an iteration, below it shrinks by 1 - 2 x
    depth = 1e-10  # rounding of the large products is not far below
    assert steps.largest_stable_step(problem, state, depth, LIMIT) == pytest.approx(promised.largest, rel=0.005)
    best = steps.descend_to(problem, state, promised.best, depth, LIMIT)
    assert best.rate == pytest.approx(promised.rate, rel=0.05)
    for factor in (0.7, 1.05):
        assert steps.descend_to(problem, state, factor * promised.best, depth, LIMIT).rate < best.rate


def test_forecast_of_equal_eigenvalues_is_one_step():
    # one hidden unit, one sample: a single mode
    problem = reparametrize([[2.0]], [[1.0]])
    promised = steps.forecast(problem, np.array([[0.3], [0.4]]))
    kernel = 4 * (0.3**2 + 0.4**2)
    assert (promised.largest, promised.best) == pytest.approx((1 / kernel, 0.5 / kernel))
    assert (promised.rate, promised.kappa) == (np.inf, 1.0)


def test_a_network_without_weights_takes_any_step_and_none_moves_it():
    case = random_case("three outputs", scale_u=0.0, scale_v=0.0)
    promised = steps.forecast(case.problem, case.state.R)
    assert (promised.largest, promised.best, promised.rate) == (np.inf, np.inf, 0.0)
    assert np.isnan(promised.kappa)
    assert largest_step_estimate(case.problem, case.state) == np.inf
    assert np.isnan(steps.largest_stable_step(case.problem, case.state, DEPTH, LIMIT))


@pytest.mark.parametrize("shape", ["one output", "three outputs", "rank deficient"])
def test_descended_counts_iterations_of_the_full_network(shape):
    case = random_case(shape)
    p = case.problem
    eta = 0.2 * largest_step_estimate(p, case.state)
    result = steps.descend_to(p, case.state, eta, 1e-8, LIMIT)
    assert result.arrived
    floor, start = 2 * p.loss_floor, np.sum((case.Y - case.X @ case.U @ case.V.T) ** 2)
    losses = []
    for k in (int(result.iterations) - 1, int(result.iterations)):
        U, V = full_descent(case, eta, k)
        losses.append((np.sum((case.Y - case.X @ U @ V.T) ** 2) - floor) / (start - floor))
    assert losses[0] > 1e-8 * (1 - 1e-6)
    assert losses[1] <= 1e-8 * (1 + 1e-6)
    assert result.distance == pytest.approx(np.linalg.norm(case.Phi2.T @ U @ V.T), rel=1e-9)


def test_a_step_that_does_not_arrive_says_so():
    case = random_case("three outputs")
    estimate = largest_step_estimate(case.problem, case.state)
    for step, limit in ((50 * estimate, LIMIT), (1e-6 * estimate, 10)):
        result = steps.descend_to(case.problem, case.state, step, DEPTH, limit)
        assert not result.arrived
        assert np.isnan(result.rate)
    assert np.isnan(steps.largest_stable_step(case.problem, case.state, DEPTH, limit=2))


@pytest.mark.parametrize("shape", ["one output", "three outputs", "h < r + m"])
def test_steps_around_the_border_fall_on_their_sides(shape):
    case = random_case(shape)
    largest = steps.largest_stable_step(case.problem, case.state, DEPTH, LIMIT)
    assert steps.descend_to(case.problem, case.state, largest, DEPTH, LIMIT).arrived
    beyond = np.linspace(1, 1 + steps.PRECISION, 20)[1:] * largest
    assert not all(steps.descend_to(case.problem, case.state, step, DEPTH, LIMIT).arrived for step in beyond)


@pytest.mark.parametrize("shape", ["one output", "three outputs", "r < m"])
def test_descent_departs_from_the_flow_at_first_order(shape):
    case = random_case(shape)
    p = case.problem
    first = 0.25 * largest_step_estimate(p, case.state)
    t_max = 6 / (p.n / largest_step_estimate(p, case.state))
    found = steps.step_gaps(p, case.state, first, t_max, 5)
    np.testing.assert_allclose(found.step_sizes, first / 2 ** np.arange(6))
    assert steps.observed_order(found.apart) == pytest.approx(1, abs=0.05)
    flow = gradient_flow(p, case.state, found.t[1:-1], Stop(t_max=float(found.t[-1])), "explicit", tol=1e-12)
    np.testing.assert_allclose(found.flow, flow.excess, rtol=1e-8)
    np.testing.assert_allclose(found.descents[-1], flow.excess, rtol=0.1)


def test_runs_that_arrive_exactly_stay_where_they_are():
    # one mode: in floating point flow and descents end at E = 0, each at a time of its own
    problem = reparametrize([[2.0]], [[1.0]])
    state = State(R=np.array([[0.3], [0.7]]), U2=np.zeros((0, 1)), r=1, h=1)
    found = steps.step_gaps(problem, state, 0.25 * largest_step_estimate(problem, state), 60.0, 3)
    assert np.isfinite(found.t).all()
    assert found.descents.shape == (4, found.t.size)
    assert found.flow.shape == found.t.shape
    assert found.flow[-1] < 1e-25
    assert np.all(found.descents[:, -1] < 1e-25)
    assert np.all(np.diff(found.apart) < 0)


def test_observed_order_is_that_of_a_power():
    h = 2.0 ** -np.arange(5)
    assert steps.observed_order(-3 * h**2) == pytest.approx(2)
    assert np.isnan(steps.observed_order(h[:1]))
