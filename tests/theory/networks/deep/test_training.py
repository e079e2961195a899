"""Flow and descent of deep networks against whole networks, closed forms, and what must not change."""

import numpy as np
import pytest

from implicit_bias.theory.networks.deep.descent import DeepDescent, deep_descent, largest_deep_step
from implicit_bias.theory.networks.deep.dynamics import (
    excess_loss,
    imbalances,
    kernel_largest,
    kernel_matrix,
    kernel_times,
    product,
    tails,
    velocity,
)
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.links import LinkError, gauss_forces, link
from implicit_bias.theory.networks.deep.record import LeakError
from implicit_bias.theory.networks.deep.starts import gaussian_deep, infinite_deep, reduce_deep, unfold
from implicit_bias.theory.networks.deep.state import closed_state, of_two_layers
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.networks.vectors import Shapes, flat
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.descent import DivergenceError, gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.oracles import conditioned_problem, saxe_mode
from tests.theory.networks.deep.references import SHAPES, distance, random_network, tail_gram, total

ENDLESS = Stop(stationary=1e-300)


def start_of(shape, seed: int = 0, scale: float = 1.0):
    full = random_network(shape, seed, scale)
    return full.problem, reduce_deep(full.problem, full.weights)


def scalar_problem(target: float, sigma: float = 1.0) -> Problem:
    return Problem(
        n=1, sigma=np.array([sigma]), Phi1=np.eye(3)[:, :1], Y_tilde=np.array([[sigma * target]]), loss_floor=0.0
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_velocity_is_minus_the_gradient(shape):
    """By central differences of the loss along a random direction."""
    problem, state = start_of(shape)
    shapes, y = Shapes(state.layers), flat(state.layers)
    d = np.random.default_rng(1).standard_normal(y.size)
    up, down = (excess_loss(problem, shapes.weights(y + s * 1e-5 * d)) for s in (1, -1))
    assert flat(velocity(problem, state.layers)) @ d == pytest.approx((down - up) / 2e-5, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("shape", ["one layer", "two layers", "four layers", "bottleneck"])
def test_kernel_moves_the_residual(shape):
    """E' = -K(E), by a difference along the velocity; its matrix and its largest eigenvalue agree with it."""
    problem, state = start_of(shape)
    W, v = state.layers, velocity(problem, state.layers)
    ahead, behind = (
        problem.sigma[:, None] * product(tuple(w + s * 1e-6 * x for w, x in zip(W, v, strict=True)), problem.m)
        for s in (1, -1)
    )
    E = problem.Y_tilde - problem.sigma[:, None] * product(W, problem.m)
    K = kernel_matrix(problem, W)
    np.testing.assert_allclose(kernel_times(problem, W, E), (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(K @ E.ravel(), kernel_times(problem, W, E).ravel(), rtol=1e-10, atol=1e-12)
    largest, _ = kernel_largest(problem, W, np.ones_like(E), rounds=200)
    assert largest == pytest.approx(np.linalg.eigvalsh(K)[-1], rel=1e-6)


@pytest.mark.parametrize("shape", ["three layers", "four layers", "narrower than the outputs"])
def test_the_exponential_flow_is_that_of_the_whole_network(shape):
    full = random_network(shape)
    state = reduce_deep(full.problem, full.weights)
    run = deep_flow(full.problem, state, [], Stop(t_max=1.5, stationary=1e-300), "exponential", 1e-8)
    weights = full.flow(1.5)
    np.testing.assert_allclose(run.product[-1], full.problem.Phi1.T @ total(weights), atol=3e-8)
    np.testing.assert_allclose(run.V[-1] @ run.V[-1].T, tail_gram(weights), atol=1e-6)
    assert run.drift < 2e-15


@pytest.mark.parametrize("depth", [3, 5])
def test_every_imbalance_is_kept_to_rounding_at_any_tolerance(depth):
    problem, state = start_of((4, 9, 2, (12, 9, 11, 10)[: depth - 1]))
    run = deep_flow(problem, state, [], Stop(), "exponential", 1e-5)
    assert run.t[-1] == np.inf
    assert run.excess[-1] < 1e-25
    assert run.drifts.size == depth - 1
    assert run.drift < 2e-15
    explicit = deep_flow(problem, state, [], Stop(), "explicit", 1e-5)
    assert explicit.drift > 10 * run.drift  # what is measured can be seen


def test_links_keep_imbalances_along_any_force_and_are_of_order_four():
    problem, state = start_of("four layers")
    rng = np.random.default_rng(0)
    G0, G1 = 0.3 * rng.standard_normal((2, problem.r, problem.m))

    def end(count: int):
        W, X = state.layers, lambda t: t * G0 + t**2 / 2 * G1
        for i in range(count):
            a, b, c = (X((i + s) / count) for s in (0, 0.5, 1))
            W = link(W, *gauss_forces(b - a, c - a))
        return W

    ends = [end(count) for count in (4, 8, 64)]
    for Lambda, Lambda0 in zip(imbalances(ends[0]), imbalances(state.layers), strict=True):
        np.testing.assert_allclose(Lambda, Lambda0, atol=5e-15)
    gaps = [np.linalg.norm(flat(W) - flat(ends[-1])) for W in ends[:2]]
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(4, abs=0.3)


def test_a_link_that_blows_up_says_so():
    """In X = int F the product of three scalars w' = w^2 is infinite at X = 1 / w."""
    one = np.ones((1, 1))
    with pytest.raises(LinkError, match="does not contract"), np.errstate(over="ignore", invalid="ignore"):
        link((one, one, one), 5 * one, 5 * one)


@pytest.mark.parametrize("cond", [1e4])
def test_errors_of_the_exponential_flow_follow_its_tolerance(cond):
    problem = conditioned_problem(3, 1, cond)
    state = gaussian_deep(problem, 3, (4, 4), np.random.default_rng(1), levels=5).state()
    ends = [deep_flow(problem, state, [], Stop(), "exponential", tol).V[-1] for tol in (1e-5, 1e-7, 1e-9)]
    errors = [np.linalg.norm(end - ends[-1]) / np.linalg.norm(ends[-1]) for end in ends[:2]]
    assert errors[0] < 1e-5
    assert errors[1] < 1e-7


def test_both_integrators_agree_on_mildly_stiff_data():
    problem = conditioned_problem(4, 2, 1e3)
    state = gaussian_deep(problem, 3, (9, 8), np.random.default_rng(0), levels=6).state()
    explicit, exponential = (
        deep_flow(problem, state, [1.0, 30.0], Stop(t_max=300.0), method, tol)
        for method, tol in (("explicit", 1e-10), ("exponential", 1e-8))
    )
    np.testing.assert_allclose(exponential.t, explicit.t)
    np.testing.assert_allclose(exponential.product, explicit.product, atol=1e-7)
    np.testing.assert_allclose(
        exponential.V @ np.swapaxes(exponential.V, 1, 2), explicit.V @ np.swapaxes(explicit.V, 1, 2), rtol=1e-6
    )


@pytest.mark.parametrize("method", ["explicit", pytest.param("exponential", marks=pytest.mark.slow)])
def test_the_stop_is_where_the_loss_is_met(method):
    problem, state = start_of("three layers")
    run = deep_flow(problem, state, [0.5, 1.0], Stop(excess=1e-6), method, 1e-9)
    assert run.stop_reason == "tolerance"
    assert run.excess[-1] == pytest.approx(1e-6, rel=1e-6)
    late = deep_flow(problem, state, [], Stop(excess=1e-16), method, 1e-9)
    full = deep_flow(problem, state, [late.t[-1]], Stop(t_max=2 * late.t[-1], stationary=1e-300), "explicit", 1e-13)
    assert full.excess[1] == pytest.approx(1e-16, rel=3e-2)  # of the difference of numbers near 1, right to 1e-10
    again = deep_flow(problem, state, [], Stop(t_max=run.t[-1]), method, 1e-9)
    assert again.stop_reason == "time limit"
    np.testing.assert_allclose(again.product[-1], run.product[-1], atol=1e-8)


@pytest.mark.parametrize(
    ("method", "depth"), [*(("explicit", L) for L in (1, 2, 3, 4, 6)), *(("exponential", L) for L in (1, 2, 4))]
)
def test_balanced_modes_follow_their_closed_equation(method, depth):
    """s' = L s^(2 - 2/L) (target - s), every layer s^(1/L) (Saxe et al. 2014; Arora, Cohen, Hazan 2018)."""
    target, s0, t = 1.7, 0.2, 0.6
    root = np.full((1, 1), s0 ** (1 / depth))
    layers = (root,) * depth if depth > 1 else (np.full((1, 1), s0),)
    state = closed_state(layers, np.zeros((0, 1)), (1,) * (depth - 1))
    run = deep_flow(scalar_problem(target), state, [], Stop(t_max=t, stationary=1e-300), method, 1e-9)
    s = run.product[-1, 0, 0]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    x = (s + s0) / 2 + (s - s0) / 2 * nodes
    time = (s - s0) / 2 * np.sum(weights / (depth * x ** (2 - 2 / depth) * (target - x)))
    assert time == pytest.approx(t, rel=1e-7)


def test_two_layer_modes_are_saxes():
    state = closed_state((np.array([[0.5]]), np.array([[0.2]])), np.zeros((0, 1)), (1,))
    run = deep_flow(scalar_problem(1.3), state, [0.3, 1.0], Stop(t_max=2.0), "explicit", 1e-11)
    np.testing.assert_allclose(run.product[:, 0, 0], saxe_mode(1.3, 0.5, 0.2, run.t), rtol=1e-9)


@pytest.mark.parametrize("method", ["explicit", "exponential"])
def test_two_layers_are_the_two_layer_engine(method):
    full = random_network("two layers")
    paper = reduce_network(full.problem, full.weights[0], full.weights[1].T)
    times, stop = [0.3, 1.0, 2.0], Stop(t_max=3.0, stationary=1e-300)
    theirs = gradient_flow(full.problem, paper, times, stop, method, 1e-9)
    ours = deep_flow(full.problem, of_two_layers(paper), times, stop, method, 1e-9)
    for name, tol in {"product": 1e-8, "V": 1e-8, "excess": 1e-7, "force": 1e-7, "kernel_change": 1e-7}.items():
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=tol)
    step = 0.02 * full.problem.n / 2
    theirs = gradient_descent(full.problem, paper, step, [7, 40], Stop(excess=1e-6))
    ours = deep_descent(full.problem, of_two_layers(paper), step, [7, 40], Stop(excess=1e-6))
    assert ours.steps == theirs.steps
    np.testing.assert_allclose(ours.product, theirs.product, atol=1e-12)
    np.testing.assert_allclose(ours.V, theirs.V, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_descent_is_that_of_the_whole_network(shape):
    full = random_network(shape)
    state = reduce_deep(full.problem, full.weights)
    weights = full.descent(0.02, 60)
    run = deep_descent(full.problem, state, 0.02 * full.problem.n / 2, [60], Stop(t_max=60 * 0.02, stationary=0.0))
    assert run.steps == 60
    np.testing.assert_allclose(run.product[-1], full.problem.Phi1.T @ total(weights), atol=1e-12)
    apart = np.hypot(
        np.linalg.norm(run.product[-1] - full.problem.min_norm_coordinates), np.linalg.norm(state.B @ run.V[-1].T)
    )
    assert apart == pytest.approx(distance(full, weights), rel=1e-11)


def test_descent_stops_at_the_first_iteration_that_is_low_enough():
    problem, state = start_of("three layers")
    step = 0.03 * problem.n / 2
    run = deep_descent(problem, state, step, [], Stop(excess=1e-5))
    descent = DeepDescent(problem, state.layers, 0.03)
    assert descent.run(run.steps - 1, 0.0) == run.steps - 1
    assert excess_loss(problem, descent.layers) > 1e-5
    descent.run(1, 0.0)
    assert excess_loss(problem, descent.layers) == pytest.approx(run.excess[-1])
    assert run.excess[-1] <= 1e-5


def test_descent_tends_to_the_flow_at_first_order():
    problem, state = start_of("four layers")
    flow = deep_flow(problem, state, [], Stop(t_max=1.0, stationary=1e-300), "explicit", 1e-11)
    gaps = []
    for count in (100, 200, 400):
        run = deep_descent(problem, state, problem.n / 2 / count, [count], Stop(t_max=1.0, stationary=0.0))
        gaps.append(np.linalg.norm(run.product[-1] - flow.product[-1]))
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(1, abs=0.15)
    assert np.log2(gaps[1] / gaps[2]) == pytest.approx(1, abs=0.1)


def test_too_large_a_step_diverges_and_says_what_the_kernel_allows():
    problem, state = start_of("three layers")
    stable = problem.n / np.linalg.eigvalsh(kernel_matrix(problem, state.layers))[-1]
    assert largest_deep_step(problem, state) == pytest.approx(stable, rel=1e-6)
    with pytest.raises(DivergenceError, match="2 / lambda_max"):
        deep_descent(problem, state, 40 * largest_deep_step(problem, state), [], Stop(excess=1e-8))


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_scaling_covariance(depth):
    """Targets c^L times, layers c times: the same path in the time t c^(2 - 2 L)... of L' = c^(2L) L."""
    problem, state = start_of((4, 9, 2, (10, 9, 8)[: depth - 1]))
    c, t = 1.3, 0.8
    larger = Problem(problem.n, problem.sigma, problem.Phi1, c**depth * problem.Y_tilde, 0.0)
    first = deep_flow(problem, state, [], Stop(t_max=t, stationary=1e-300), "explicit", 1e-11)
    scaled = state.moved(tuple(c * W for W in state.layers))
    second = deep_flow(larger, scaled, [], Stop(t_max=t * c ** (2 - 2 * depth), stationary=1e-300), "explicit", 1e-11)
    np.testing.assert_allclose(second.product[-1], c**depth * first.product[-1], atol=1e-8)
    np.testing.assert_allclose(second.V[-1], c ** (depth - 1) * first.V[-1], atol=1e-8)


def test_infinitely_wide_two_layers_reach_the_closed_form():
    from implicit_bias.theory.law.limit import large_width_limit

    problem = start_of("three layers")[0]
    state = infinite_deep(problem, 2, 0.7, 1.6).state()
    run = deep_flow(problem, state, [], Stop(), "exponential", 1e-9)
    np.testing.assert_allclose(run.V[-1] @ run.V[-1].T, large_width_limit(problem, 0.7, 1.6).VVt, atol=1e-7)


def test_a_run_that_leaks_is_ended():
    full = random_network("three layers, wide")
    with pytest.raises(LeakError, match="1 levels leak"):
        deep_flow(full.problem, unfold(full.problem, full.weights, 1).state(), [1.0], Stop(t_max=2.0), leak_tol=1e-3)


def test_networks_at_rest_stay():
    problem, state = start_of("three layers")
    still = state.moved(tuple(0 * W for W in state.layers))
    for method in ("explicit", "exponential"):
        assert deep_flow(problem, still, [], Stop(), method).stop_reason == "saddle"
    rest = deep_descent(problem, still, 0.1, [], Stop())
    assert (rest.stop_reason, rest.steps) == ("saddle", 0)
    assert deep_flow(problem, state, [], Stop(excess=1e9)).stop_reason == "tolerance"


@pytest.mark.parametrize("y", [0.5, -0.5])
def test_a_run_that_stops_between_minima_is_no_arrival(y: float):
    """U = V = diag(1, 1e-12) and the second mode y: on a plateau that the flow leaves, or for ever next to a saddle."""
    problem = reparametrize(np.eye(2, 3), np.diag([1.1, y]))
    layers = [np.vstack([np.diag([1.0, 1e-12]), np.zeros((1, 2))]), np.diag([1.0, 1e-12])]
    state = reduce_deep(problem, layers)
    run = deep_flow(problem, state, [], Stop())
    assert run.stop_reason == "slow"
    assert run.excess[-1] == pytest.approx(0.5 * y**2, rel=1e-6)
    assert deep_descent(problem, state, 0.3, [], Stop(stationary=1e-6)).stop_reason == "slow"


def test_bad_arguments_are_named():
    problem, state = start_of("three layers")
    with pytest.raises(ValueError, match="method must be one of"):
        deep_flow(problem, state, [], Stop(), "euler")
    with pytest.raises(ValueError, match="times must be positive and increasing"):
        deep_flow(problem, state, [1.0, 1.0], Stop(t_max=2.0))
    for method in ("explicit", "exponential"):
        with pytest.raises(ValueError, match="tol must be"):
            deep_flow(problem, state, [], Stop(), method, 2.0)
    with pytest.raises(ValueError, match="step_size must be positive"):
        deep_descent(problem, state, 0.0, [], Stop())
    with pytest.raises(ValueError, match="iterations must increase"):
        deep_descent(problem, state, 0.01, [5, 3], Stop())


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(300, 280), (120, 100, 110), (60, 50, 60, 55)], ids=str)
def test_distance_to_eight_digits_against_whole_networks(widths):
    full = random_network((5, 12, 1, widths), seed=3, scale=1.0)
    network = unfold(full.problem, full.weights)
    from implicit_bias.theory.networks.deep.experiment import train_deep

    state, run, _ = train_deep(
        full.problem, network, "flow_explicit", 1.0, Stop(t_max=3.0, stationary=1e-300), 4, 1e-11, 1e-8
    )
    weights = full.flow(3.0)
    apart = np.hypot(
        np.linalg.norm(run.product[-1] - full.problem.min_norm_coordinates), np.linalg.norm(state.B @ run.V[-1].T)
    )
    assert apart == pytest.approx(distance(full, weights), rel=1e-8)
    np.testing.assert_allclose(run.V[-1] @ run.V[-1].T, tail_gram(weights), rtol=1e-8)
    assert tails(run.state.layers, 1)[0].shape == (state.sizes[0], 1)
