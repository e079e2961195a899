"""The law at any depth: its constants, its exactness given the run, and what is predicted of it."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from implicit_bias.theory.law import limit as paper_law
from implicit_bias.theory.law.distance import Scaling, distance_law
from implicit_bias.theory.networks.deep.experiment import LevelBudgetError, train_deep
from implicit_bias.theory.networks.deep.law import (
    END,
    deep_width_for_distance,
    end_gram,
    limit_const,
    simulate_distance,
)
from implicit_bias.theory.networks.deep.starts import DeepScaling, gaussian_deep, infinite_deep
from implicit_bias.theory.problem import Problem
from tests.support.oracles import spectrum_problem
from tests.theory.networks.deep.references import random_network


def scalar_problem(mu: float) -> Problem:
    return Problem(n=1, sigma=np.ones(1), Phi1=np.eye(4)[:, :1], Y_tilde=np.array([[mu]]), loss_floor=0.0)


CONSTANTS = {  # independent solves of the infinitely wide chain and tree, r = m = 1
    3: {0.1: 1.00996814, 0.5: 1.23301699, 1.0: 1.80724009, 2.0: 3.43939863, 5.0: 9.96380940, 10.0: 23.687127},
    4: {0.1: 1.014941734, 0.3: 1.130622412},
    5: {0.1: 1.01990825},
}


@pytest.mark.parametrize(("depth", "mu"), [(L, mu) for L, each in CONSTANTS.items() for mu in each])
def test_constants_of_one_mode(depth, mu):
    value = end_gram(scalar_problem(mu), depth, tol=1e-9, leak_tol=1e-4)[0, 0]
    assert value == pytest.approx(CONSTANTS[depth][mu], rel=1e-7 if depth < 5 else 1e-6)


@pytest.mark.slow
def test_constant_of_four_layers_at_a_larger_mode():
    assert end_gram(scalar_problem(1.0), 4)[0, 0] == pytest.approx(2.183773292, rel=1e-7)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_small_targets(depth):
    """M^T M = 1 + (L - 1) mu^2 / 2 + O(mu^4): each layer takes its share mu / L of the way."""
    for mu in (0.02, 0.04):
        value = end_gram(scalar_problem(mu), depth, leak_tol=1e-3)[0, 0]
        assert value - 1 == pytest.approx((depth - 1) * mu**2 / 2, abs=2 * mu**4 + 1e-7)


def test_ends_of_the_depths():
    problem = random_network((5, 12, 2, (3,))).problem
    assert np.array_equal(end_gram(problem, 1), np.eye(2))
    assert limit_const(problem, 1) == pytest.approx(np.sqrt((problem.D - problem.r) * 2))
    assert limit_const(problem) == paper_law.limit_const(problem)
    np.testing.assert_allclose(end_gram(problem, 2, 0.3, 2.0), paper_law.large_width_limit(problem, 0.3, 2.0).VVt)


def test_the_end_depends_on_the_path_but_weakly():
    """Unlike two layers: the same Theta^ from other spectra, 3.8806 to 3.8871 in an independent solve."""
    target = np.array([[1.0], [0.8]])

    def value(sigma):
        problem = Problem(2, np.array(sigma), np.eye(3)[:, :2], np.array(sigma)[:, None] * target, 0.0)
        return end_gram(problem, 3)[0, 0]

    even, steep = value([1.0, 1.0]), value([1.0, 0.3])
    assert even != pytest.approx(steep, rel=1e-5)
    assert even == pytest.approx(steep, rel=1e-2)


def test_rotations_of_outputs_and_data_rotate_the_end():
    problem = spectrum_problem(np.ones(3), 2, seed=1)
    rng = np.random.default_rng(0)
    Q, P = (np.linalg.qr(rng.standard_normal((size, size)))[0] for size in (2, 3))
    turned = Problem(3, problem.sigma, problem.Phi1, P @ problem.Y_tilde @ Q.T, 0.0)
    np.testing.assert_allclose(end_gram(turned, 3), Q @ end_gram(problem, 3) @ Q.T, atol=1e-6)


def test_training_never_sees_what_the_data_do_not():
    """The same trained layers with new rows of W_1 outside the data: the law is exact given the run."""
    problem = random_network((3, 10, 2, (25, 25))).problem
    _, run, _ = train_deep(
        problem, gaussian_deep(problem, 3, 25, np.random.default_rng(1)), "gradient_flow", 1.0, END, 2
    )
    M, rng = run.V[-1].T, np.random.default_rng(2)
    law = distance_law(problem, M.T @ M, 0.2)
    distances = [np.linalg.norm(0.2 * rng.standard_normal((problem.D - problem.r, len(M))) @ M) for _ in range(500)]
    assert kstest(distances, law.cdf).pvalue > 1e-3
    assert np.mean(np.square(distances)) == pytest.approx(law.rms**2, rel=0.15)


def test_networks_of_any_width_follow_the_law():
    """Distances of whole draws, standardised by their own runs, are chi-square (false alarm 1e-3)."""
    problem = random_network((2, 8, 1, (9,))).problem
    values = []
    for rng in np.random.default_rng(6).spawn(30):
        state, run, _ = train_deep(
            problem, gaussian_deep(problem, 3, 10**9, rng), "flow_explicit", 1.0, END, 2, 1e-6, 1e-3
        )
        V = run.V[-1]
        values.append(1e9 * np.sum((state.B @ V.T) ** 2) / np.sum(V**2))
    assert kstest(values, chi2(problem.D - problem.r).cdf).pvalue > 1e-3


def test_simulation_tends_to_the_constant():
    problem = random_network((3, 9, 1, (9,))).problem
    wide = simulate_distance(problem, 3, 10**8, 2, np.random.default_rng(0))
    assert wide.rms * 1e4 == pytest.approx(limit_const(problem, 3), rel=1e-3)
    assert wide.standard_error < 1e-3 * wide.rms
    narrow = simulate_distance(problem, 3, (12, 15), 8, np.random.default_rng(0))
    assert 0.005 < narrow.standard_error / narrow.rms < 0.3
    upper = narrow.upper(0.1)
    assert narrow.sf(upper) == pytest.approx(0.1, abs=1e-6)
    assert upper > narrow.rms
    with pytest.raises(ValueError, match="draws must be at least 2"):
        simulate_distance(problem, 3, 10, 1, np.random.default_rng(0))


@pytest.mark.parametrize("depth", [1, 3])  # two layers are planned by the law of finite width, see tests/theory/law
def test_planned_widths_are_the_smallest_that_do(depth):
    problem = random_network((3, 9, 1, (9,))).problem
    h = deep_width_for_distance(problem, 0.05, depth, 0.1)
    M = end_gram(problem, depth, tol=1e-8)
    assert distance_law(problem, M, h**-0.5).upper(0.1) <= 0.05 * (1 + 1e-9)
    assert distance_law(problem, M, (h - 1) ** -0.5).upper(0.1) > 0.05 * (1 - 1e-9)


def test_planned_widths_at_another_scale():
    problem = random_network((1, 6, 1, (9,))).problem
    scaling = DeepScaling(Scaling(alpha=0.45))
    h = deep_width_for_distance(problem, 0.3, 3, 0.1, scaling)
    a, b = scaling.ends.gram(h)
    assert distance_law(problem, end_gram(problem, 3, a, b), h**-0.45).upper(0.1) == pytest.approx(0.3, rel=1e-2)
    with pytest.raises(ValueError, match="epsilon must be"):
        deep_width_for_distance(problem, 1e-3, 3, 0.1, DeepScaling(Scaling(alpha=0.0)))


def test_levels_are_added_until_the_run_stays_inside():
    problem = random_network((3, 9, 1, (9,))).problem
    counts = []
    for leak_tol in (1e-1, 1e-4, 1e-8):
        network = gaussian_deep(problem, 3, 10**6, np.random.default_rng(1))
        state, run, _ = train_deep(problem, network, "flow_explicit", 1.0, END, 4, 1e-8, leak_tol)
        assert run.leak <= leak_tol
        counts.append(state.levels)
    assert counts[0] < counts[1] < counts[2]


def test_an_exhausted_budget_says_what_to_change():
    problem = random_network((4, 9, 2, (9,))).problem
    with pytest.raises(LevelBudgetError, match=r"most_weights = 200: allow more weights or a larger leak_tol"):
        train_deep(problem, infinite_deep(problem, 4), "flow_explicit", 1.0, END, 4, most_weights=200)
    with pytest.raises(ValueError, match="leak_tol must be positive"):
        train_deep(problem, infinite_deep(problem, 3), "flow_explicit", 1.0, END, 4, leak_tol=0.0)
    with pytest.raises(ValueError, match="solver must be one of"):
        train_deep(problem, infinite_deep(problem, 3), "adam", 1.0, END, 4)


@pytest.mark.parametrize("solver", ["flow_explicit", "flow_exponential", "gradient_descent"])
@pytest.mark.parametrize("gain", [1e60, 1e160])
def test_extreme_gains_are_named(solver, gain):
    problem = random_network((3, 9, 1, (9,))).problem
    network = gaussian_deep(problem, 3, 50, np.random.default_rng(0), DeepScaling(Scaling(gain_U=gain, gain_V=gain)))
    with pytest.raises(ArithmeticError, match="leaves the range of floating point in training"):
        train_deep(problem, network, solver, 0.01, END, 4)
