"""The reduced network against the whole one, and what the reduction says of its own error."""

from itertools import pairwise

import numpy as np
import pytest

from implicit_bias.theory.networks.deep.dynamics import beyond, heads, imbalances, leak, product, tails
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.starts import reduce_deep, unfold
from implicit_bias.theory.networks.deep.state import balanced_deep, of_two_layers
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.solvers.stopping import Stop
from tests.theory.networks.deep.references import SHAPES, distance, random_network, tail_gram, total


@pytest.mark.parametrize("shape", SHAPES)
def test_the_flow_of_the_closed_reduction_is_that_of_the_whole_network(shape):
    full = random_network(shape)
    problem, state = full.problem, reduce_deep(full.problem, full.weights)
    assert state.closed
    assert all(size <= h for size, h in zip(state.sizes, state.widths, strict=True))
    run = deep_flow(problem, state, [], Stop(t_max=2.0, stationary=1e-300), "explicit", 1e-10)
    weights = full.flow(2.0)
    np.testing.assert_allclose(run.product[-1], problem.Phi1.T @ total(weights), atol=2e-10)
    np.testing.assert_allclose(run.V[-1] @ run.V[-1].T, tail_gram(weights), rtol=1e-9)
    apart = np.hypot(
        np.linalg.norm(run.product[-1] - problem.min_norm_coordinates), np.linalg.norm(state.B @ run.V[-1].T)
    )
    assert apart == pytest.approx(distance(full, weights), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_closed_reduction_holds_the_whole_network_at_the_start(shape):
    full = random_network(shape)
    state, m, r = reduce_deep(full.problem, full.weights), full.problem.m, full.problem.r
    np.testing.assert_allclose(product(state.layers, m), full.problem.Phi1.T @ total(full.weights), atol=1e-13)
    seen = [full.problem.Phi1.T @ full.weights[0], *full.weights[1:]]
    for P, S, l in zip(heads(state.layers, r), tails(state.layers, m), range(len(seen)), strict=True):
        whole_P = np.eye(r)
        for W in seen[:l]:
            whole_P = whole_P @ W
        whole_S = np.eye(m)
        for W in reversed(seen[l + 1 :]):
            whole_S = W @ whole_S
        np.testing.assert_allclose(P @ P.T, whole_P @ whole_P.T, atol=1e-12)
        np.testing.assert_allclose(S.T @ S, whole_S.T @ whole_S, atol=1e-12)


def test_the_first_and_last_layers_of_two_are_the_papers_to_the_last_bit():
    full = random_network("two layers")
    U, V = full.weights[0], full.weights[1].T
    state, paper = reduce_deep(full.problem, full.weights), reduce_network(full.problem, U, V)
    assert np.array_equal(state.layers[0], paper.U1)
    assert np.array_equal(state.layers[1], paper.V.T)
    assert np.array_equal(state.B, paper.U2)


def test_error_of_the_law_falls_like_the_square_of_the_leak():
    """M^T M misses what leaves the bases and comes back: twice across the edge."""
    full = random_network("three layers, wide")
    problem, stop = full.problem, Stop(t_max=3.0, stationary=1e-300)
    exact = deep_flow(problem, reduce_deep(problem, full.weights), [], stop, "explicit", 1e-11)
    truth = np.sum(exact.V[-1] ** 2)
    leaks, errors = [], []
    network = unfold(problem, full.weights, 2)
    for _ in range(5):
        run = deep_flow(problem, network.state(), [], stop, "explicit", 1e-11)
        leaks.append(run.leak)
        errors.append(abs(np.sum(run.V[-1] ** 2) - truth) / truth)
        network.grow()
    assert all(after < before / 4 for before, after in pairwise(leaks))
    assert all(error <= leak**2 for error, leak in zip(errors, leaks, strict=True))
    assert errors[-1] < 1e-8


def test_growing_keeps_what_was_there():
    full = random_network("four layers")
    network = unfold(full.problem, full.weights, 2)
    before = network.state()
    network.grow()
    after = network.state()
    for old, new in zip(before.layers, after.layers, strict=True):
        assert np.array_equal(new[: old.shape[0], : old.shape[1]], old)
    once = unfold(full.problem, full.weights, 3).state()
    assert all(np.array_equal(a, b) for a, b in zip(once.layers, after.layers, strict=True))


def test_directions_that_the_start_lacks_are_absent():
    """Inner layers of rank 2 lead to at most two new directions, repeated neurons and zero layers to none."""
    full = random_network((6, 12, 2, (30, 25)))
    rng = np.random.default_rng(5)
    low = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 25))
    state = reduce_deep(full.problem, [full.weights[0], low, full.weights[2]])
    assert state.closed
    assert state.sizes == (8, 4)  # r and two, m and two
    twins = np.repeat(full.weights[0][:, :3], 10, axis=1)
    assert reduce_deep(full.problem, [twins, np.ones((30, 25)), full.weights[2]]).sizes == (3, 3)
    assert reduce_deep(full.problem, [0 * full.weights[0], 0 * low, full.weights[2]]).sizes == (0, 2)


def test_leak_is_seen_at_the_start_where_levels_are_missing():
    full = random_network("four layers")
    leaks = []
    for levels in (1, 3):
        state = unfold(full.problem, full.weights, levels).state()
        cut = beyond(state, heads(state.layers, full.problem.r), tails(state.layers, full.problem.m))
        leaks.append(leak(cut))
    assert leaks[0] == pytest.approx(1.0)
    assert leaks[1] < 1e-12


@pytest.mark.parametrize("shape", ["two layers", "three layers", "four layers"])
def test_balanced_start_is_balanced_and_maps_alike(shape):
    full = random_network(shape)
    state = reduce_deep(full.problem, full.weights)
    even = balanced_deep(full.problem, state)
    m = full.problem.m
    np.testing.assert_allclose(product(even.layers, m), product(state.layers, m), atol=1e-12)
    before, after = (one.B @ tails(one.layers, m)[0] for one in (state, even))
    np.testing.assert_allclose(after.T @ after, before.T @ before, atol=1e-12)
    for Lambda in imbalances(even.layers):
        np.testing.assert_allclose(Lambda, 0, atol=1e-13)


def test_balanced_start_of_two_layers_is_the_papers():
    from implicit_bias.theory.initialization.gaussian import balanced

    full = random_network("two layers")
    paper = reduce_network(full.problem, full.weights[0], full.weights[1].T)
    ours, theirs = balanced_deep(full.problem, of_two_layers(paper)), balanced(full.problem, paper)
    np.testing.assert_allclose(np.abs(ours.layers[0]), np.abs(theirs.U1), atol=1e-12)
    np.testing.assert_allclose(ours.B.T @ ours.B, theirs.U2.T @ theirs.U2, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([np.ones((3, 4)), np.ones((4, 2))], "W_1 must have 11 rows"),
        ([np.ones((11, 4)), np.ones((5, 2))], "W_2 must have 4 rows"),
        ([np.ones((11, 4)), np.ones((4, 3))], "must have m = 2 columns"),
        ([np.full((11, 2), np.nan)], "W_1 must be finite"),
    ],
)
def test_layers_that_do_not_fit_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        reduce_deep(random_network("three layers").problem, weights)


def test_balanced_start_needs_room_for_the_outputs():
    full = random_network("narrower than the outputs")
    with pytest.raises(ValueError, match="needs widths >= m = 3, got 2"):
        balanced_deep(full.problem, reduce_deep(full.problem, full.weights))
