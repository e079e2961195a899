"""The frozen law: weights do not know of it, predictions follow it, and what breaks it breaks it."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from implicit_bias.theory.law.outputs import excess_risk_law, unseen_spectrum
from implicit_bias.theory.law.outputs import prediction_band as linear_band
from implicit_bias.theory.networks.activation.descent import gradient_descent
from implicit_bias.theory.networks.activation.frozen import (
    deviation_law,
    fresh_predictions,
    frozen_law,
    joint_covariance,
    prediction_band,
)
from implicit_bias.theory.solvers.stopping import Stop
from tests.theory.networks.activation.activation_networks import EVERY, case

FALSE_ALARM = 1e-4
SIGMA_U = 0.6


def fresh(c, rng):
    """U with another draw of its frozen part."""
    Phi1 = c.model.samples.problem.Phi1
    other = SIGMA_U * rng.standard_normal(c.U.shape)
    return Phi1 @ (Phi1.T @ c.U) + other - Phi1 @ (Phi1.T @ other)


def trained(c, iterations=40):
    step = 0.02
    stop = Stop(t_max=float(c.model.samples.problem.flow_time(iterations, step)))
    return gradient_descent(c.model, c.reduced(), step, [], stop, 0.5).R


@pytest.mark.parametrize("name", EVERY)
def test_whole_networks_with_fresh_frozen_parts_follow_the_law(name):
    """Trained anew from each fresh frozen part: the same weights, and predictions distributed as the law's draws."""
    rng = np.random.default_rng(3)
    c = case(name)
    R, start = trained(c), c.U
    own = []
    for _ in range(80):
        c.U = fresh(c, rng)
        U, V = c.descent(0.02, 40, 0.5)
        np.testing.assert_allclose(c.reduced(U, V), R, atol=1e-12)
        own.append(c.predict(U, V))
    c.U = start
    law = frozen_law(c.model, R, c.read, SIGMA_U)
    draws = fresh_predictions(c.model, R, c.read, SIGMA_U, 4000, rng)
    deviations = np.sqrt(np.mean(np.sum((np.array(own) - law.mean) ** 2, axis=2), axis=1))
    reference = np.sqrt(np.mean(np.sum((draws - law.mean) ** 2, axis=2), axis=1))
    assert kstest(deviations, reference).pvalue > FALSE_ALARM
    for point, output in ((0, 0), (3, 1)):
        assert kstest(np.array(own)[:, point, output], draws[:, point, output]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("name", EVERY)
def test_mean_and_covariance_are_those_of_draws(name):
    """Each entry within five standard errors of 10,000 draws, and the joint covariance too."""
    c = case(name, h=20)
    R = c.reduced()
    draws = fresh_predictions(c.model, R, c.read, SIGMA_U, 10_000, np.random.default_rng(5))
    law = frozen_law(c.model, R, c.read, SIGMA_U)
    flat = draws.reshape(len(draws), -1)
    np.testing.assert_array_less(np.abs(flat.mean(0) - law.mean.ravel()), 5 * flat.std(0) / 100 + 1e-12)
    covariance, error = joint_covariance(c.model, R, c.read, SIGMA_U)
    centred = flat - law.mean.ravel()
    products = centred[:, :, None] * centred[:, None, :]
    allowed = 5 * products.std(axis=0) / 100 + error
    assert error < 0.05 * covariance.max()
    np.testing.assert_array_less(np.abs(products.mean(axis=0) - covariance), allowed)
    np.testing.assert_allclose(law.rms, deviation_law(c.model, R, c.read, SIGMA_U).rms, rtol=1e-10)


def test_the_linear_law_is_that_of_the_linear_engine():
    c = case("linear", count=7)
    R = trained(c)
    problem, V = c.model.samples.problem, R[c.model.samples.problem.r :]
    ours, theirs = (
        deviation_law(c.model, R, c.read, SIGMA_U),
        excess_risk_law(problem, unseen_spectrum(problem, c.points), V @ V.T, SIGMA_U),
    )
    np.testing.assert_allclose(ours.weights[: theirs.weights.size], theirs.weights, rtol=1e-9)
    assert ours.weights[theirs.weights.size :].sum() < 1e-12
    band, reference = (
        prediction_band(c.model, R, c.read, SIGMA_U, 0.1),
        linear_band(problem, c.points, V @ V.T, SIGMA_U, 0.1),
    )
    np.testing.assert_allclose(band.std, reference.std, rtol=1e-9)
    np.testing.assert_allclose(band.upper - band.center, reference.upper - reference.center, rtol=1e-9)


@pytest.mark.parametrize("name", ["relu", "quadratic", "gelu"])
def test_the_band_covers_what_it_says(name):
    """20,000 draws of a network of width 60: coverage within four standard errors and the band's own h^(-3/2)."""
    c = case(name, h=60)
    R, delta, draws = c.reduced(), 0.1, 20_000
    band = prediction_band(c.model, R, c.read, SIGMA_U, delta)
    values = fresh_predictions(c.model, R, c.read, SIGMA_U, draws, np.random.default_rng(7))
    for outside in (np.mean(values > band.upper, axis=0), np.mean(values < band.lower, axis=0)):
        np.testing.assert_allclose(outside, delta / 2, atol=4 * (delta / 2 / draws) ** 0.5 + 60**-1.5)
    plain = band.center + norm.ppf(1 - delta / 2) * band.std
    if name == "quadratic":
        assert np.abs(np.mean(values > plain, axis=0) - delta / 2).max() > 2 * 60**-1.5


def test_the_deviation_law_is_the_limit_of_many_neurons():
    c = case("relu", h=3000, m=1)
    R = c.reduced()
    law = frozen_law(c.model, R, c.read, SIGMA_U)
    draws = fresh_predictions(c.model, R, c.read, SIGMA_U, 500, np.random.default_rng(1))
    deviations = np.sqrt(np.mean(np.sum((draws - law.mean) ** 2, axis=2), axis=1))
    assert kstest(deviations, deviation_law(c.model, R, c.read, SIGMA_U).cdf).pvalue > FALSE_ALARM


def test_points_in_the_span_of_the_data_have_no_spread():
    c = case("relu")
    c.points = np.vstack([c.X[:2], np.zeros(c.X.shape[1])])
    law = frozen_law(c.model, c.reduced(), c.read, SIGMA_U)
    np.testing.assert_allclose(law.std, 0, atol=1e-12)
    np.testing.assert_allclose(law.mean, c.predict(c.U, c.V), atol=1e-12)
    band = prediction_band(c.model, c.reduced(), c.read, SIGMA_U)
    np.testing.assert_allclose(band.upper, band.lower, atol=1e-12)
    assert deviation_law(c.model, c.reduced(), c.read, SIGMA_U).rms < 1e-12


def whole_adam(c, iterations=30, rate=0.05):
    U, V = c.U, c.V
    moments = [np.zeros_like(U), np.zeros_like(V), np.zeros_like(U), np.zeros_like(V)]
    for k in range(1, iterations + 1):
        gradients = c.velocity(U, V)
        for i, g in enumerate(gradients):
            moments[i] = 0.9 * moments[i] + 0.1 * g
            moments[2 + i] = 0.999 * moments[2 + i] + 0.001 * g * g
        steps = [
            rate * (moments[i] / (1 - 0.9**k)) / (np.sqrt(moments[2 + i] / (1 - 0.999**k)) + 1e-8) for i in range(2)
        ]
        U, V = U + steps[0], V + steps[1]
    return U, V


def test_adam_breaks_the_law():
    """Its steps are scaled entry by entry and leave the row space: the part that was frozen moves."""
    c = case("relu")
    U, _ = whole_adam(c)
    Phi1 = c.model.samples.problem.Phi1
    moved = (U - c.U) - Phi1 @ (Phi1.T @ (U - c.U))
    assert np.linalg.norm(moved) > 0.1 * np.linalg.norm(U - c.U)


def test_weight_decay_breaks_the_law_and_its_own_scale_mends_it():
    """The frozen part shrinks by (1 - step decay) per step: Gaussian still, of another scale."""
    c, decay, iterations = case("relu"), 2.0, 50
    U, V = c.descent(0.02, iterations, decay=decay)
    Phi1 = c.model.samples.problem.Phi1
    before, after = (W - Phi1 @ (Phi1.T @ W) for W in (c.U, U))
    factor = (1 - decay * 0.04 / len(c.X)) ** iterations
    assert factor < 0.8
    np.testing.assert_allclose(after, factor * before, atol=1e-12)
    rng, own, R = np.random.default_rng(2), [], c.reduced(U, V)
    for _ in range(150):
        c.U = fresh(c, rng)
        own.append(c.predict(*c.descent(0.02, iterations, decay=decay))[0, 0])
    mended = fresh_predictions(c.model, R, c.read, SIGMA_U * factor, 4000, rng)[:, 0, 0]
    wrong = fresh_predictions(c.model, R, c.read, SIGMA_U, 4000, rng)[:, 0, 0]
    assert kstest(own, mended).pvalue > FALSE_ALARM
    assert kstest(own, wrong).pvalue < FALSE_ALARM


def test_the_law_of_a_deep_relu_network():
    """Three layers, whole, trained by descent: nothing but the first layer's part along the data knows of x."""
    rng = np.random.default_rng(11)
    n, D, h = 5, 12, 10
    X, Y, x = rng.standard_normal((n, D)) / D**0.5, rng.standard_normal((n, 1)), rng.standard_normal(D) / D**0.5
    Phi1 = np.linalg.svd(X, full_matrices=False)[2].T
    start = [0.8 * rng.standard_normal(shape) for shape in ((D, h), (h, h), (h, 1))]

    def train(W1):
        W1, W2, W3 = W1, *start[1:]
        for _ in range(60):
            H1 = X @ W1
            S1 = np.maximum(H1, 0)
            H2 = S1 @ W2
            S2 = np.maximum(H2, 0)
            E = Y - S2 @ W3
            G2 = (E @ W3.T) * (H2 > 0)
            G1 = (G2 @ W2.T) * (H1 > 0)
            W1, W2, W3 = W1 + 0.01 * X.T @ G1, W2 + 0.01 * S1.T @ G2, W3 + 0.01 * S2.T @ E
        return W1, W2, W3

    seen, reference, own = Phi1 @ (Phi1.T @ start[0]), None, []
    b = x - Phi1 @ (Phi1.T @ x)
    for _ in range(200):
        other = 0.8 * rng.standard_normal((D, h))
        W1, W2, W3 = train(seen + other - Phi1 @ (Phi1.T @ other))
        reference = [Phi1.T @ W1, W2, W3] if reference is None else reference
        for found, first in zip((Phi1.T @ W1, W2, W3), reference, strict=True):
            np.testing.assert_allclose(found, first, atol=1e-12)
        own.append(float(np.maximum(np.maximum(x @ W1, 0) @ W2, 0) @ W3[:, 0]))
    A, W2, W3 = reference
    xi = 0.8 * np.linalg.norm(b) * rng.standard_normal((4000, h))
    law = (np.maximum(np.maximum(x @ Phi1 @ A + xi, 0) @ W2, 0) @ W3)[:, 0]
    assert kstest(own, law).pvalue > FALSE_ALARM
    assert kstest(np.array(own) + 0.5 * np.std(own), law).pvalue < FALSE_ALARM


def test_bad_scales_are_named():
    c = case("relu")
    with pytest.raises(ValueError, match="sigma_U must be"):
        frozen_law(c.model, c.reduced(), c.read, 0.0)
    with pytest.raises(ValueError, match="delta must be"):
        prediction_band(c.model, c.reduced(), c.read, 1.0, 1.0)
