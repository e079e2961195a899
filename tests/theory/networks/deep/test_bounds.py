"""What a deep run certifies holds, at every time, for any start; what is measured has its names."""

from itertools import pairwise

import numpy as np
import pytest

from implicit_bias.theory.networks.deep import bounds
from implicit_bias.theory.networks.deep.dynamics import kernel_matrix, tails
from implicit_bias.theory.networks.deep.evaluation import distance_curves, evaluate_deep
from implicit_bias.theory.networks.deep.experiment import kernel_ends, train_deep
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.law import END, end_gram
from implicit_bias.theory.networks.deep.starts import (
    Fixed,
    gaussian_deep,
    infinite_deep,
    orthogonal_deep,
    reduce_deep,
    unfold,
)
from implicit_bias.theory.networks.deep.state import balanced_deep
from implicit_bias.theory.networks.two_layer import imbalance, reduce_network
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.oracles import spectrum_problem
from tests.theory.networks.deep.references import SHAPES, random_network

STARTS = [shape for shape in SHAPES if shape != "one layer"]


def run_of(shape, seed=0, balance=False, points=30):
    full = random_network(shape, seed, 0.7)
    state = reduce_deep(full.problem, full.weights)
    state = balanced_deep(full.problem, state) if balance else state
    times = np.geomspace(1e-3, 3, points)
    return (
        full.problem,
        state,
        deep_flow(full.problem, state, times, Stop(t_max=4.0, stationary=1e-300), "explicit", 1e-9),
    )


@pytest.mark.parametrize("shape", STARTS)
def test_the_instantaneous_rate_is_below_the_kernels_and_the_measured_one(shape):
    problem, state, run = run_of(shape)
    rates = bounds.instantaneous_rates(problem, run)
    assert rates[0] <= 2 * kernel_ends(problem, state.layers)[0] * (1 + 1e-9) + 1e-12
    measured = -np.diff(np.log(run.excess)) / np.diff(run.t)
    assert np.all(np.minimum(rates[:-1], rates[1:]) <= measured * 1.1 + 1e-6)
    assert np.linalg.eigvalsh(kernel_matrix(problem, run.state.layers))[0] * 2 >= rates[-1] * (1 - 1e-9) - 1e-12


@pytest.mark.parametrize(
    "shape", ["one layer", "two layers", "three layers", "three layers, wide", (3, 9, 1, (60, 70)), (3, 9, 2, (5, 4))]
)
def test_imbalances_bound_the_kernel_at_all_times(shape):
    problem, state, run = run_of(shape)
    rate = bounds.imbalance_rate(problem, state)
    for layers in (state.layers, run.state.layers):
        assert rate <= 2 * np.linalg.eigvalsh(kernel_matrix(problem, layers))[0] + 1e-12
    assert np.all(run.excess <= bounds.imbalance_bound(problem, state, run).value * (1 + 1e-9))
    fewer = unfold(problem, random_network(shape, 0, 0.7).weights, 2).state()
    assert bounds.imbalance_rate(problem, fewer) <= rate * (1 + 1e-9)


def test_imbalances_of_two_layers_are_theorem_1():
    full = random_network((4, 9, 2, (30,)))
    state = reduce_deep(full.problem, full.weights)
    c = imbalance(reduce_network(full.problem, full.weights[0], full.weights[1].T)).c
    assert c > 0
    assert bounds.imbalance_rate(full.problem, state) == pytest.approx(2 * full.problem.sigma[-1] ** 2 * c)


def test_imbalances_of_infinitely_wide_layers_leave_a_quarter():
    """A spike of size 1 beside -W W^T of Marchenko and Pastur (1967) stands at 1/2: 1 = int d mu(x) / (1/2 + x)."""
    problem = spectrum_problem(np.ones(2), 1)
    network, rates = infinite_deep(problem, 3), []
    for _ in range(24):
        network.grow()
        rates.append(bounds.imbalance_rate(problem, network.state()))
    assert rates[-1] == pytest.approx(2 / 4, rel=1e-6)
    assert all(before <= after + 1e-12 for before, after in pairwise(rates))


def test_nothing_is_known_of_four_layers_from_their_imbalances():
    problem, state, run = run_of("four layers")
    bound = bounds.imbalance_bound(problem, state, run)
    assert not bound.applies
    assert np.all(bound.value == run.excess[0])


@pytest.mark.parametrize("shape", STARTS)
@pytest.mark.parametrize("balance", [False, True])
def test_certificates_hold(shape, balance):
    if balance and shape in ("narrower than the outputs", "one neuron wide"):
        pytest.skip("no balanced start: narrower than the outputs")
    problem, state, run = run_of(shape, 1, balance)
    _, u2v = distance_curves(problem, state, run)
    for bound in (bounds.certified_curve(problem, run), bounds.local_bound(problem, run)):
        assert np.all(run.excess <= bound.value * (1 + 1e-9))
    frozen = np.linalg.norm(state.B, 2) if state.B.size else 0.0
    path = bounds.path_certificate(problem, run, u2v[0], frozen)
    assert np.all(u2v <= path.value * (1 + 1e-9))
    few = deep_flow(problem, state, [0.5], Stop(t_max=4.0, stationary=1e-300), "explicit", 1e-9)
    coarse = bounds.certified_curve(problem, few)
    at = np.searchsorted(run.t, few.t[1:-1])
    assert np.all(run.excess[at] <= coarse.stated[1] * (1 + 1e-9)) or few.t.size == 2


def test_the_certified_curve_tightens_with_samples():
    few, many = (
        bounds.certified_curve(*[run_of("three layers", points=count)[i] for i in (0, 2)]) for count in (10, 200)
    )
    assert many.stated[-1] < few.stated[-1]
    assert many.applies


def test_a_start_near_a_solution_has_a_bound_before_training():
    """Targets near to what the network maps to: a ball holds the run, also to t = infinity."""
    full = random_network((4, 9, 1, (40, 40)))
    near = full.X @ np.linalg.multi_dot(full.weights)
    full.Y[:] = near + 1e-3 * full.Y
    close = type(full)(full.X, full.Y, full.weights)
    state = reduce_deep(close.problem, close.weights)
    run = deep_flow(close.problem, state, [1.0, 3.0], Stop(), "exponential", 1e-8)
    bound = bounds.local_bound(close.problem, run)
    assert bound.applies
    assert np.all(run.excess <= bound.stated * (1 + 1e-9) + 1e-28)  # at infinity both are 0, but for rounding
    assert bound.stated[-1] == 0
    _, moved = bounds.local_kernel(close.problem, run)
    apart = [np.linalg.norm(a - b) for a, b in zip(run.state.layers, state.layers, strict=True)]
    assert np.hypot.reduce(apart) <= moved[0]
    far = bounds.local_bound(*[run_of("three layers")[i] for i in (0, 2)])
    assert far.unmet == ["a ball holds the run"]


def test_a_ball_holds_all_networks_within_it():
    """Kernels of random networks at the radius are above the bound."""
    problem, state, run = run_of((4, 9, 1, (30, 30)))
    rng, radius = np.random.default_rng(0), 0.05
    bound = bounds._least_kernel(problem, run, slice(0, 1), np.array([radius]))[0]
    assert bound > 0
    for _ in range(20):
        step = [rng.standard_normal(W.shape) for W in state.layers]
        size = np.sqrt(sum(np.sum(d * d) for d in step))
        layers = tuple(W + radius / size * d for W, d in zip(state.layers, step, strict=True))
        assert np.linalg.eigvalsh(kernel_matrix(problem, layers))[0] >= bound


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("solver", ["gradient_flow", "gradient_descent"])
def test_a_deep_point_is_measured_as_any_other(depth, solver):
    problem = random_network((3, 9, 1, (9,))).problem
    network = gaussian_deep(problem, depth, 400, np.random.default_rng(depth))
    state, run, method = train_deep(problem, network, solver, 0.02, Stop(excess=1e-10), 20, 1e-8, 1e-4)
    gram = end_gram(problem, depth, leak_tol=1e-3)
    measured = evaluate_deep(problem, state, run, 400**-0.5, 0.05, gram, flow=solver == "gradient_flow")
    m = measured.metrics
    assert method in ("explicit", "exponential", "gradient_descent")
    assert m["depth"] == depth
    assert m["distance"] ** 2 == pytest.approx(
        m["u2v"] ** 2 + np.sum((run.product[-1] - problem.min_norm_coordinates) ** 2)
    )
    assert m["loss"] == pytest.approx(2 / problem.n * (1e-10 + problem.loss_floor), rel=0.3)
    assert m["leak"] <= 1e-4
    assert m["levels"] == state.levels
    assert m["law_rms"] == pytest.approx(m["law_rms_run"], rel=0.2)
    assert 0.3 < m["u2v"] / m["law_rms_run"] < 2
    assert m["imbalance_drift"] < (1e-7 if solver == "gradient_flow" else 0.1)
    assert all(f"imbalance/{l}" in m for l in range(1, depth))
    assert bool(m["met/path"]) == (solver == "gradient_flow")
    assert all(curve.shape == run.t.shape for curve in measured.curves.values())


def test_orthogonal_networks_train_without_levels():
    problem = random_network((3, 9, 1, (9,))).problem
    network = orthogonal_deep(problem, 5, 10**6, np.random.default_rng(0))
    _, run, _ = train_deep(problem, network, "gradient_flow", 1.0, END, 4)
    assert isinstance(network, Fixed)
    assert run.leak == 0
    assert run.excess[-1] < 1e-15
    M = tails(run.state.layers, 1)[0]
    assert np.sum(run.V[-1] ** 2) == pytest.approx(np.sum(M * M))


@pytest.mark.parametrize("method", ["explicit", "exponential"])
def test_layers_too_narrow_for_the_target_are_named_and_come_to_rest(method):
    full = random_network("narrower than the outputs", scale=0.8)
    state = reduce_deep(full.problem, full.weights)
    run = deep_flow(full.problem, state, [], Stop(t_max=1e4), method, 1e-7)
    measured = evaluate_deep(full.problem, state, run, 1.0, 0.05, gaussian=False)
    assert measured.metrics["met/reach"] == 0
    assert measured.unmet["reach"] == ["widths >= 3, the rank of Theta^ (the narrowest layer has 2)"]
    assert np.linalg.matrix_rank(run.product[-1], tol=1e-6) == 2
    least = np.linalg.svd(full.problem.Y_tilde, compute_uv=False)[-1]
    assert run.excess[-1] >= 0.5 * least**2 * (1 - 1e-9)  # Eckart and Young: the best of rank 2
