"""Levels that explore chosen directions alone: the same network, and with few directions the same run."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from implicit_bias.theory.networks.deep.dynamics import heads, tails
from implicit_bias.theory.networks.deep.experiment import train_deep
from implicit_bias.theory.networks.deep.law import end_gram
from implicit_bias.theory.networks.deep.starts import gaussian_deep, infinite_deep, reduce_deep, unfold
from implicit_bias.theory.networks.deep.state import complement
from implicit_bias.theory.networks.deep.unfolding import used
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.oracles import spectrum_problem
from tests.theory.networks.deep.references import dense_layers, distance, random_network, tail_gram, total
from tests.theory.networks.deep.test_sampling import FALSE_ALARM, statistics


def random_choice(state, rng):
    """Some combinations of the open directions of each inner layer, in random position."""

    def some(directions):
        p = directions.shape[1]
        return np.linalg.qr(rng.standard_normal((p, p)))[0][:, : rng.integers(p + 1)] if p else np.zeros((0, 0))

    return tuple((some(rows), some(columns)) for rows, columns in state.open)


def grown(network, rng, rounds: int = 60):
    """The network after levels of random directions, grown until it closes."""
    for _ in range(rounds):
        if network.closed:
            return network
        network.grow(random_choice(network.state(), rng))
    network.grow()
    while not network.closed:
        network.grow()
    return network


@pytest.mark.parametrize(
    "shape", ["three layers", "four layers", "five layers", "bottleneck", "narrower than the data"]
)
def test_any_order_of_directions_ends_with_the_whole_network(shape):
    full = random_network(shape)
    rng, r, m = np.random.default_rng(3), full.problem.r, full.problem.m
    state, whole = grown(unfold(full.problem, full.weights), rng).state(), reduce_deep(full.problem, full.weights)
    assert state.closed
    for ours, theirs in zip(heads(state.layers, r), heads(whole.layers, r), strict=True):
        np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-11)
    for ours, theirs in zip(tails(state.layers, m), tails(whole.layers, m), strict=True):
        np.testing.assert_allclose(ours.T @ ours, theirs.T @ theirs, atol=1e-11)
    ours, theirs = (one.B @ tails(one.layers, m)[0] for one in (state, whole))
    np.testing.assert_allclose(ours.T @ ours, theirs.T @ theirs, atol=1e-11)


@pytest.mark.parametrize("widths", [(9, 30), (6, 3, 8)], ids=str)
def test_networks_sampled_direction_by_direction_are_one_population_with_dense_ones(widths):
    """The choice depends on what has been revealed alone, and must leave the rest Gaussian."""
    r, m, draws = 4, 2, 150
    problem = spectrum_problem(np.ones(r), m)
    rng = np.random.default_rng([5, *widths])
    sampled, dense = [], []
    for _ in range(draws):
        network = grown(gaussian_deep(problem, len(widths) + 1, widths, rng), rng)
        sampled.append(statistics(network.state().layers, r, m))
        dense.append(statistics(dense_layers(rng, r, widths, m), r, m))
    p = [ks_2samp(a, b).pvalue for a, b in zip(np.transpose(sampled), np.transpose(dense), strict=True)]
    assert min(p) > FALSE_ALARM / len(p)


@pytest.mark.parametrize("shape", [(3, 9, 1, (40, 35, 45)), (2, 6, 1, (30, 25, 30, 28))], ids=["L = 4", "L = 5"])
def test_few_directions_make_the_run_of_the_whole_network(shape):
    full = random_network(shape)
    network = unfold(full.problem, full.weights)
    state, run, _ = train_deep(full.problem, network, "flow_explicit", 1.0, Stop(t_max=1.5), 20, 1e-10, 1e-4)
    weights = full.flow(1.5)
    assert sum(state.sizes) < sum(state.widths)
    assert not state.closed
    assert run.leak <= 1e-4
    np.testing.assert_allclose(run.product[-1], full.problem.Phi1.T @ total(weights), atol=1e-6)
    np.testing.assert_allclose(run.V[-1] @ run.V[-1].T, tail_gram(weights), rtol=1e-6)
    apart = np.hypot(
        np.linalg.norm(run.product[-1] - full.problem.min_norm_coordinates), np.linalg.norm(state.B @ run.V[-1].T)
    )
    assert apart == pytest.approx(distance(full, weights), rel=1e-3)


def test_the_directions_that_are_left_out_have_met_less_than_their_share():
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal((2, 7)) * np.geomspace(1, 1e-6, 7) for _ in range(9)]
    ((chosen, _),) = used([[sum(each.T @ each for each in samples), np.zeros((0, 0))]], 1e-3)
    assert 0 < chosen.shape[1] < 7
    np.testing.assert_allclose(chosen.T @ chosen, np.eye(chosen.shape[1]), atol=1e-12)
    rest = complement(chosen)
    assert max(np.linalg.norm(each @ rest) for each in samples) <= 1e-3


def test_levels_of_used_directions_grow_slowly_with_the_depth():
    """The whole tree of six layers has 2^(s / 2) directions; what its run uses has about as many as it has levels."""
    problem = spectrum_problem(np.array([1.0]), 1)
    network = infinite_deep(problem, 6)
    _, run, _ = train_deep(problem, network, "gradient_flow", 1.0, Stop(excess=1e-16), 30, 1e-10, 1e-4)
    assert max(network.state().sizes) < 3 * network.levels
    assert np.sum(run.V[-1] ** 2) == pytest.approx(end_gram(problem, 6, leak_tol=1e-6)[0, 0], rel=1e-6)
