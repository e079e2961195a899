"""The law of the distance given the run, against sampled networks; arguments out of range are named."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.chi_square import norm_law
from implicit_bias.theory.law.correction import (
    Correction,
    corrected_rms,
    estimate_correction,
    path_free_correction,
)
from implicit_bias.theory.law.distance import Scaling, distance_law
from implicit_bias.theory.law.limit import (
    large_width_limit,
    limit_const,
)
from implicit_bias.theory.law.outputs import (
    prediction_band,
    unseen_spectrum,
)
from implicit_bias.theory.law.prediction import (
    predict_distance,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from tests.support.laws import FALSE_ALARM, make_problem, sampled_run


@pytest.mark.parametrize(("gain_U", "gain_V", "alpha"), [(0.5, 3.0, 0.3), (20.0, 0.1, 0.7)])
def test_gram_scales_are_those_of_the_layers(gain_U, gain_V, alpha):
    """trace(U U^T) / sigma_U^2 and trace(V V^T) / sigma_V^2 are chi-squared with h times as many degrees as rows."""
    problem, h, rng = make_problem(3, 2, 10), 10**9, np.random.default_rng(8)
    scaling = Scaling(alpha, gain_U, gain_V)
    state = scaled(standard_normal(problem, h, rng), gain_U * h**-alpha, gain_V * h**-alpha)
    a, b = scaling.gram(h)
    for rows, scale in ((state.U1, a), (state.V, b)):
        law = chi2(len(rows) * h)
        total = np.sum(rows**2) * h / scale
        assert min(law.cdf(total), law.sf(total)) > FALSE_ALARM / 8  # two sides, two layers, two cases
    assert scaling.sigma_U(h) ** 2 * h == pytest.approx(a, rel=1e-14)


def test_distance_is_zero_where_the_data_span_the_inputs():
    problem = make_problem(3, 1, 3)
    law = distance_law(problem, [[2.0]], 0.1)
    assert (law.rms, law.quantile(0.9), law.bound(0.1), float(law.cdf(0.0)), float(law.sf(1.0))) == (0, 0, 0, 1, 0)
    assert limit_const(problem) == 0
    assert width_for_distance(problem, 1e-9, scaling=Scaling(alpha=0.1)) == 1
    assert width_for_prediction(problem, np.ones(3), 1e-9) == 1
    assert unseen_spectrum(problem, np.eye(3)).size == 0


LAW_CASES = [(3, 1, 0.5, 3), (3, 1, 0.5, 40), (3, 2, 0.5, 12), (2, 3, 0.3, 60), (3, 1, 0.75, 200)]


@pytest.mark.parametrize(("r", "m", "alpha", "h"), LAW_CASES)
def test_distance_given_the_run_follows_the_chi_square_law(r, m, alpha, h):
    problem, scaling = make_problem(r, m, 9), Scaling(alpha=alpha)
    rng = np.random.default_rng(1)
    uniforms = []
    for _ in range(120):
        VVt, Theta = sampled_run(problem, h, scaling, rng, decay=25)
        law = distance_law(problem, VVt, scaling.sigma_U(h))
        uniforms.append(float(law.cdf(np.linalg.norm(Theta - problem.min_norm_solution))))
    assert kstest(uniforms, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize("m", [1, 2])
def test_the_law_holds_along_gradient_descent(m):
    problem, h, rng = make_problem(3, m, 9), 20, np.random.default_rng(2)
    uniforms = []
    for _ in range(400):
        U, V = h**-0.5 * rng.standard_normal((9, h)), h**-0.5 * rng.standard_normal((m, h))
        X, Y = np.diag(problem.sigma) @ problem.Phi1.T, problem.Y_tilde
        for _ in range(17):
            G = X.T @ (Y - X @ U @ V.T)
            U, V = U + 0.1 * G @ V, V + 0.1 * G.T @ U
        unseen = U - problem.Phi1 @ (problem.Phi1.T @ U)
        uniforms.append(float(distance_law(problem, V @ V.T, h**-0.5).cdf(np.linalg.norm(unseen @ V.T))))
    assert kstest(uniforms, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: large_width_limit(p, -1, 1), "a = sigma_U.* got -1"),
        (lambda p: large_width_limit(p, 1, np.nan), "b = sigma_V.* got nan"),
        (lambda p: Scaling(alpha=-0.1), "alpha must be finite and >= 0"),
        (lambda p: Scaling(gain_U=0), "gain_U must be finite and > 0"),
        (lambda p: Scaling(gain_V=np.inf), "gain_V must be finite and > 0"),
        (lambda p: predict_distance(p, 0.5), "h must be finite and >= 1, got 0.5"),
        (lambda p: predict_distance(p, 10, delta=1.0), r"delta must be in \(0, 1\), got 1.0"),
        (lambda p: distance_law(p, np.eye(2), 1), r"VVt must be a symmetric \(1, 1\)"),
        (lambda p: distance_law(p, [[-1.0]], 1), "VVt must be positive semidefinite"),
        (lambda p: distance_law(p, [[1.0]], 0), "sigma_U must be finite and > 0, got 0"),
        (lambda p: distance_law(p, [[1.0]], 1).quantile(1.5), r"p must be in \(0, 1\)"),
        (lambda p: distance_law(p, [[1.0]], 1).upper(0), r"delta must be in \(0, 1\)"),
        (lambda p: distance_law(p, [[1.0]], 1).bound(-1), r"delta must be in \(0, 1\)"),
        (lambda p: norm_law([1, np.inf], 3), "weights must be finite"),
        (lambda p: norm_law([1.0], -1), "dof must be >= 0"),
        (lambda p: prediction_band(p, [np.nan] * 10, [[1.0]], 1), "x must be finite"),
        (lambda p: prediction_band(p, np.ones(4), [[1.0]], 1), "x must have D = 10 columns"),
        (lambda p: prediction_band(p, np.ones(10), [[1.0]], 1, 0), r"delta must be in \(0, 1\)"),
        (lambda p: width_for_distance(p, 0), "epsilon must be finite and > 0, got 0"),
        (lambda p: width_for_risk(p, [1.0], -1), "epsilon must be finite and > 0, got -1"),
        (lambda p: width_for_prediction(p, np.ones(10), 1, 2), r"delta must be in \(0, 1\), got 2"),
        (lambda p: estimate_correction(p, 1, 1, lambda R: R, pairs=1), "pairs must be at least 2"),
        (lambda p: estimate_correction(p, 1, 1, lambda R: R, step=1), r"step must be in \(0, 0.2\]"),
        (lambda p: path_free_correction(p, 0, 1), "a = sigma_U.* > 0"),
        (lambda p: corrected_rms(p, 1, 1, 2, Correction(-9.0, 0.0)), "h must be above"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(make_problem(3, 1))
