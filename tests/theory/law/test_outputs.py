"""What trained networks predict, against simulation."""

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.stats import binomtest, kstest, norm

from implicit_bias.theory.law.outputs import (
    excess_risk_law,
    prediction_band,
    unseen_spectrum,
    unseen_spectrum_of_covariance,
)
from tests.support.laws import FALSE_ALARM, make_problem


def test_prediction_band_and_excess_risk_match_simulation():
    problem, h, runs = make_problem(3, 2, 8), 30, 400
    rng = np.random.default_rng(6)
    X_test, noise = rng.standard_normal((5, 8)), rng.standard_normal((5, 2))
    Y_test = X_test @ problem.min_norm_solution + noise
    V = rng.standard_normal((2, h))
    unseen_basis = null_space(problem.Phi1.T)
    band = prediction_band(problem, X_test, V @ V.T, h**-0.5, delta=0.1)
    law = excess_risk_law(problem, unseen_spectrum(problem, X_test), V @ V.T, h**-0.5)
    inside, excess, square = 0, [], []
    for _ in range(runs):
        U2 = h**-0.5 * rng.standard_normal((5, h))
        moved = X_test @ unseen_basis @ U2 @ V.T
        prediction = X_test @ problem.min_norm_solution + moved
        inside += int(band.lower[0, 0] < prediction[0, 0] < band.upper[0, 0])
        square.append(np.sum(moved**2) / 5)
        excess.append((np.sum((Y_test - prediction) ** 2) - np.sum(noise**2)) / 5)
    z = norm.isf(FALSE_ALARM / 2)
    assert binomtest(inside, runs, 0.9).pvalue > FALSE_ALARM
    assert kstest(law.cdf(np.sqrt(square)), "uniform").pvalue > FALSE_ALARM
    assert np.mean(excess) == pytest.approx(law.rms**2, abs=z * np.std(excess) / np.sqrt(runs))
    np.testing.assert_allclose((band.upper - band.center) / band.std, norm.isf(0.05), rtol=1e-12)


def test_unseen_spectrum_of_rows_and_of_their_covariance_agree():
    problem = make_problem(3, 1, 8)
    X_test = np.random.default_rng(7).standard_normal((20, 8))
    rows, covariance = unseen_spectrum(problem, X_test), unseen_spectrum_of_covariance(problem, X_test.T @ X_test / 20)
    np.testing.assert_allclose(rows, covariance, rtol=1e-10)
    basis = null_space(problem.Phi1.T)
    np.testing.assert_allclose(rows, np.linalg.svd(X_test @ basis, compute_uv=False) ** 2 / 20, rtol=1e-12)
    np.testing.assert_array_equal(unseen_spectrum(problem, X_test @ problem.Phi1 @ problem.Phi1.T), 0)
