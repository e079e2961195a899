"""Networks that are never drawn whole have the distribution of those that are."""

import numpy as np
import pytest
from scipy.stats import chi2, ks_2samp, kstest

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.networks.deep.dynamics import product, tails
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.starts import (
    DeepScaling,
    gaussian_deep,
    infinite_deep,
    orthogonal_deep,
    reduce_deep,
)
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.oracles import spectrum_problem
from tests.theory.networks.deep.references import Full, dense_layers, random_network, total

FALSE_ALARM = 1e-3
"""Probability that a right sampler fails one of these tests, were the seed not fixed."""

WIDTHS = [(40, 40), (25, 60), (9, 30), (5, 4), (4, 7), (2, 9), (1, 1), (12, 10, 14), (6, 3, 8)]


def statistics(layers, r: int, m: int):
    """Functions of the network that see several levels of the Krylov spaces: its moves under a force of its own."""
    A, *inner, Z = layers
    forth, back = A, Z
    values = [np.sum(A**2), np.sum(Z**2)]
    for W in inner:
        forth = forth @ W
        values.append(np.sum(forth**2))
    for W in reversed(inner):
        back = W @ back
        values.append(np.sum(back**2))
    values += [
        np.sum((A @ back) ** 2),
        np.sum(((A @ inner[0]) @ inner[0].T) ** 2),
        np.sum((inner[-1].T @ (inner[-1] @ Z)) ** 2),
    ]
    again = (A @ inner[0]) @ inner[0].T @ inner[0]
    return [*values, np.sum(again**2), np.sum((again @ tails((again, *inner[1:], Z), m)[0]) ** 2)]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_dense_and_sampled_networks_are_one_population(widths):
    r, m, draws = 4, 2, 150
    problem = spectrum_problem(np.ones(r), m)
    rng = np.random.default_rng([3, *widths])
    sampled, dense = [], []
    for _ in range(draws):
        state = gaussian_deep(problem, len(widths) + 1, widths, rng, levels=5).state()
        sampled.append(statistics(state.layers, r, m))
        dense.append(statistics(dense_layers(rng, r, widths, m), r, m))
    p = [ks_2samp(a, b).pvalue for a, b in zip(np.transpose(sampled), np.transpose(dense), strict=True)]
    assert min(p) > FALSE_ALARM / len(p)


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(30, 30), (12, 40), (15, 10, 12)], ids=str)
def test_trained_networks_are_one_population(widths):
    full = random_network((3, 6, 1, widths))
    problem, rng, stop = full.problem, np.random.default_rng([9, *widths]), Stop(t_max=4.0)
    ends = []
    for sample in (True, False):
        values = []
        for _ in range(150):
            if sample:
                state = gaussian_deep(problem, len(widths) + 1, widths, rng, levels=8).state()
            else:
                state = reduce_deep(problem, dense_layers(rng, 6, widths, 1))
            run = deep_flow(problem, state, [], stop, "explicit", 1e-6)
            values.append((np.sum(run.V[-1] ** 2), np.sum((state.B @ run.V[-1].T) ** 2)))
        ends.append(np.transpose(values))
    p = [ks_2samp(a, b).pvalue for a, b in zip(*ends, strict=True)]
    assert min(p) > FALSE_ALARM / len(p)


def test_frozen_part_is_gaussian_and_independent_of_the_rest():
    """Given M the squared norm of B M is a chi-square: rows of W_1 outside the data are new ones."""
    full = random_network((3, 9, 1, (20, 20)))
    problem, rng, values = full.problem, np.random.default_rng(4), []
    for _ in range(400):
        state = gaussian_deep(problem, 3, 20, rng, levels=3).state()
        M = tails(state.layers, 1)[0]
        values.append(20 * np.sum((state.B @ M) ** 2) / np.sum(M**2))
    assert kstest(values, chi2(problem.D - problem.r).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("widths", [(50, 40), (12, 9), (9, 8, 10)], ids=str)
def test_a_network_is_the_same_however_it_is_revealed(widths):
    problem = random_network((3, 9, 2, widths)).problem
    depth = len(widths) + 1
    once = gaussian_deep(problem, depth, widths, np.random.default_rng(1), levels=4).state()
    network = gaussian_deep(problem, depth, widths, np.random.default_rng(1))
    for _ in range(4):
        network.state()
        network.grow()
    slowly = network.state()
    for a, b in zip((*once.layers, once.B), (*slowly.layers, slowly.B), strict=True):
        assert np.array_equal(a, b)


def test_exhausted_layers_close():
    problem = spectrum_problem(np.ones(4), 2)
    network = gaussian_deep(problem, 4, (7, 3, 5), np.random.default_rng(0), levels=10)
    state = network.state()
    assert state.sizes == (7, 3, 5)
    assert network.closed
    assert state.closed


@pytest.mark.parametrize("h", [5, 40, 10**6, 10**12])
def test_two_layers_are_todays_draw_to_the_last_bit(h):
    problem = random_network((5, 9, 2, (4,))).problem
    scaling = DeepScaling(Scaling(alpha=0.4, gain_U=2.0, gain_V=0.3))
    ours = gaussian_deep(problem, 2, h, np.random.default_rng(7), scaling).state()
    ends = scaling.ends
    today = scaled(standard_normal(problem, h, np.random.default_rng(7)), ends.sigma_U(h), ends.gain_V * h**-ends.alpha)
    assert np.array_equal(ours.layers[0], today.U1)
    assert np.array_equal(ours.layers[1].T, today.V)
    assert np.array_equal(ours.B, today.U2)


def test_wide_networks_tend_to_the_infinitely_wide_one():
    problem = spectrum_problem(np.array([1.0, 0.6]), 1)
    limit = infinite_deep(problem, 4, 0.36, 1.96, (0.7, 1.3))
    for _ in range(3):
        limit.grow()
    scaling = DeepScaling(Scaling(gain_U=0.6, gain_V=1.4), inner=(0.7, 1.3))
    wide = gaussian_deep(problem, 4, 10**14, np.random.default_rng(0), scaling, levels=3).state()
    for a, b in zip(limit.state().layers, wide.layers, strict=True):
        np.testing.assert_allclose(np.abs(b), a, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_orthogonal_inner_layers_close_at_once(depth):
    """The whole network, with inner layers that are Haar orthogonal, against r + m directions a layer."""
    full = random_network((4, 9, 2, (30,) * (depth - 1)))
    rng = np.random.default_rng(depth)
    weights = [full.weights[0], *(np.linalg.qr(rng.standard_normal((30, 30)))[0] for _ in range(depth - 2))]
    weights.append(full.weights[-1])
    state = reduce_deep(full.problem, weights)
    assert state.sizes == (6,) * (depth - 1)
    assert state.levels <= depth - 1
    drawn = orthogonal_deep(full.problem, depth, 30, rng).state()
    assert drawn.sizes == state.sizes
    assert drawn.closed
    for W in drawn.inner:
        assert np.array_equal(W, np.eye(6))


def test_orthogonal_start_trains_as_the_whole_network_does():
    """Rotated bases: W_1, Q, W_3 against W_1 Q, I, W_3, whose reduction the sampler draws."""
    rng = np.random.default_rng(2)
    full = random_network((4, 9, 2, (20, 20)))
    Q = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    turned = Full(full.X, full.Y, [full.weights[0], Q, full.weights[2]])
    straight = Full(full.X, full.Y, [full.weights[0] @ Q, np.eye(20), full.weights[2]])
    np.testing.assert_allclose(total(turned.flow(1.0)), total(straight.flow(1.0)), atol=1e-9)


def test_depth_one_is_regression():
    problem = random_network("one layer").problem
    state = gaussian_deep(problem, 1, 100, np.random.default_rng(0)).state()
    assert state.depth == 1
    assert state.layers[0].shape == (problem.r, problem.m)
    assert np.std(state.layers[0]) < 0.3  # scale 100^(-1/2)
    np.testing.assert_allclose(product(state.layers, problem.m), state.layers[0])


@pytest.mark.parametrize(
    ("depth", "widths", "message"),
    [
        (0, 5, "depth must be an integer of at least 1, got 0"),
        (3, (5,), "has 2 hidden widths, got 1"),
        (3, 0, "width h must be an integer"),
        (3, 2**60, "width h must be an integer"),
        (4, (3, 3.5, 3), "width h must be an integer"),
    ],
)
def test_bad_shapes_are_named(depth, widths, message):
    with pytest.raises(ValueError, match=message):
        gaussian_deep(spectrum_problem(np.ones(2), 1), depth, widths, np.random.default_rng(0))


def test_bad_gains_are_named():
    problem = spectrum_problem(np.ones(2), 1)
    for inner in ((1.0,), -1.0, float("nan")):
        with pytest.raises(ValueError, match="inner must"):
            gaussian_deep(problem, 4, 9, np.random.default_rng(0), DeepScaling(inner=inner))
    with pytest.raises(ValueError, match="depth of at least 2"):
        orthogonal_deep(problem, 1, 9, np.random.default_rng(0))
