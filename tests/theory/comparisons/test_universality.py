"""The limit of the distance for entries that are not Gaussian, against networks drawn and trained."""

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.stats import binomtest, norm

from implicit_bias.theory.comparisons.universality import has_limit, limit_law, limit_ratio, seen_weights
from implicit_bias.theory.initialization.registry import INITIALIZATIONS, initial_state
from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.law.limit import large_width_limit
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop

FALSE_ALARM = 1e-4
DENSITY = 0.05

ENTRIES = [name for name in INITIALIZATIONS if has_limit(name)]


def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 9)) * [3, 1, 1, 0.5, 1, 1, 0.2, 1, 2] / 3  # leverage that differs between inputs
    return reparametrize(X, rng.standard_normal((3, 2)))


@pytest.mark.parametrize("entries", ENTRIES)
def test_the_part_of_the_distance_that_knows_the_entries_has_the_mean_square_claimed(entries):
    """||Phi2^T U U^T W||^2 for a W fixed beforehand: no training, so that many networks can be drawn."""
    p, h, runs = problem(), 400, 3000
    W = 0.3 * p.Phi1 @ np.random.default_rng(1).standard_normal((p.r, p.m))
    a = b = 1.0
    rng = np.random.default_rng(2)
    squares = np.empty(runs)
    for i in range(runs):
        state = initial_state(p, h, rng, entries, h**-0.5, h**-0.5, density=DENSITY, sampler="dense")
        squares[i] = np.sum((state.U2 @ (state.U1.T @ (p.Phi1.T @ W))) ** 2) * h
    law = (p.D - p.r) * np.sum(large_width_limit(p, a, b).v)
    claimed = law * (limit_ratio(p, entries, DENSITY, a, b, W) ** 2 - 1) + (p.D - p.r) * np.sum(W**2)
    deviation = norm.isf(FALSE_ALARM / 2) * squares.std() / np.sqrt(runs)
    assert abs(squares.mean() - claimed) <= deviation + 1e-12


def test_gaussian_networks_have_ratio_1_and_weights_the_growth_of_v():
    p = problem()
    for a, b in ((1.0, 1.0), (3.0, 0.1)):
        W = seen_weights(p, a, b)
        assert limit_ratio(p, "gaussian", DENSITY, a, b, W) == 1
        assert limit_ratio(p, "sparse", 1.0, a, b, W) == 1
        assert np.sum(W**2) == pytest.approx(np.sum(large_width_limit(p, a, b).e) / (a + b), rel=1e-6)
        np.testing.assert_allclose(p.Phi1 @ (p.Phi1.T @ W), W, atol=1e-12)


def test_all_entries_are_universal_in_the_lazy_limit():
    p = problem()
    for entries in ENTRIES:
        ratio = limit_ratio(p, entries, DENSITY, 1e6, 1e6, seen_weights(p, 1e6, 1e6))
        assert ratio == pytest.approx(1, abs=1e-9)


def test_the_law_has_the_mean_square_of_the_ratio():
    p = problem()
    W = seen_weights(p, 1.0, 0.5)
    gaussian = limit_law(p, "gaussian", 1.0, 1.0, 0.5, 100.0, W).rms
    for entries in ENTRIES:
        law = limit_law(p, entries, DENSITY, 1.0, 0.5, 100.0, W)
        assert law.rms / gaussian == pytest.approx(limit_ratio(p, entries, DENSITY, 1.0, 0.5, W), rel=1e-6)


def test_sparse_starts_have_the_covariance_of_the_limit_law_and_no_multiple_of_i():
    """U2 V^T of the wide limit V = C U1(0) + G V(0) drawn directly, its covariance along its principal axes."""
    p, h, runs, a, b = reparametrize([[1, 0.25, 0.1]], [[6.0]]), 2000, 1500, 1.0, 1.0
    W = seen_weights(p, a, b)
    law = limit_law(p, "sparse", DENSITY, a, b, h, W)
    G = np.sqrt(1 + W.T @ W)  # D D^T = I + C C^T in O(r, m)
    Phi2 = null_space(p.Phi1.T)
    rng, parts = np.random.default_rng(4), np.empty((runs, 2))
    for i in range(runs):
        U = rng.standard_normal((p.D, h)) * (rng.random((p.D, h)) < DENSITY) / np.sqrt(DENSITY)
        parts[i] = (Phi2.T @ (U @ (U.T @ W) + U @ rng.standard_normal((h, 1)) @ G) / h)[:, 0]
    shape = Phi2.T @ np.diag(W[:, 0] ** 2) @ Phi2
    axes = np.linalg.eigh(shape)[1][:, ::-1]
    squares = (parts @ axes) ** 2
    error = norm.isf(FALSE_ALARM / 4) * squares.std(axis=0) / np.sqrt(runs)
    assert np.all(np.abs(squares.mean(axis=0) - law.weights) <= error)
    assert np.all(np.abs(squares.mean(axis=0) - law.weights.mean()) > error)  # the rescaled law would not pass


def test_distances_of_sparse_starts_with_two_outputs_have_the_quantiles_of_the_limit_law():
    """||U2 V^T|| of the wide limit drawn directly, m = 2: how often it is below quantiles of the law (FALSE_ALARM)."""
    p, h, runs = reparametrize([[1, 0.25, 0.1]], [[6.0, 2.0]]), 2000, 1500
    W = seen_weights(p, 1.0, 1.0)
    law = limit_law(p, "sparse", DENSITY, 1.0, 1.0, h, W)
    G = np.linalg.cholesky(np.eye(2) + W.T @ W)
    Phi2 = null_space(p.Phi1.T)
    rng, distances = np.random.default_rng(6), np.empty(runs)
    for i in range(runs):
        U = rng.standard_normal((p.D, h)) * (rng.random((p.D, h)) < DENSITY) / np.sqrt(DENSITY)
        distances[i] = np.linalg.norm(Phi2.T @ (U @ (U.T @ W) + U @ rng.standard_normal((h, 2)) @ G.T)) / h
    quantiles = (0.1, 0.5, 0.9, 0.99)
    for q in quantiles:
        below = int(np.sum(distances < law.quantile(q)))
        assert binomtest(below, runs, q).pvalue > FALSE_ALARM / len(quantiles)
    gaussian = limit_law(p, "gaussian", 1.0, 1.0, 1.0, h, W)
    rescaled = gaussian.quantile(0.1) * law.rms / gaussian.rms
    assert binomtest(int(np.sum(distances < rescaled)), runs, 0.1).pvalue < FALSE_ALARM  # its shape is another


@pytest.mark.slow
@pytest.mark.parametrize("entries", ["sparse", "orthogonal"])
def test_trained_networks_end_at_the_distance_of_the_limit(entries):
    p, h, runs = problem(), 2000, 150
    expected = limit_ratio(p, entries, DENSITY, 1.0, 1.0, seen_weights(p, 1.0, 1.0)) ** 2
    law = distance_law(p, large_width_limit(p, 1.0, 1.0).VVt, h**-0.5).rms
    rng, squares = np.random.default_rng(3), np.empty(runs)
    for i in range(runs):
        state = initial_state(p, h, rng, entries, h**-0.5, h**-0.5, density=DENSITY, sampler="dense")
        squares[i] = (np.linalg.norm(state.U2 @ gradient_flow(p, state, [], Stop(), tol=1e-5).V[-1].T) / law) ** 2
    deviation = norm.isf(FALSE_ALARM / 2) * squares.std() / np.sqrt(runs)
    finite_width = expected * (1 / DENSITY if entries == "sparse" else 1) * p.k / h
    assert deviation + finite_width < abs(expected - 1)  # the law itself would not pass
    assert squares.mean() == pytest.approx(expected, abs=deviation + finite_width)
