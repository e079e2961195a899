"""Activations and their Gaussian integrals, against adaptive quadrature and Monte Carlo."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad

from implicit_bias.theory.networks.activation.activations import activation, leaky_relu, own_activation
from implicit_bias.theory.networks.activation.gaussian import (
    duals,
    hermite,
    hermite_coefficients,
    mean_variance,
    moments,
)
from tests.theory.networks.activation.activation_networks import EVERY, SMOOTH

NODES, WEIGHTS = np.polynomial.legendre.leggauss(500)


def expectation(f, a, s, kinks):
    """E f(a + s xi) by 500 Gauss-Legendre nodes between kinks, |xi| <= 12."""
    ends = [-12, *sorted((k - a) / s for k in kinks if abs(k - a) < 12 * s), 12]
    total = 0.0
    for low, high in pairwise(ends):
        x = (low + high) / 2 + (high - low) / 2 * NODES
        total += (high - low) / 2 * np.sum(WEIGHTS * f(a + s * x) * np.exp(-0.5 * x * x)) / np.sqrt(2 * np.pi)
    return total


@pytest.mark.parametrize("name", EVERY)
def test_derivatives_are_those_of_the_values(name):
    phi, z = EVERY[name], np.linspace(-4, 4, 83) + 0.003
    difference = (phi.value(z + 1e-6) - phi.value(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(phi.derivative(z), difference, atol=2e-9 * (1 + np.abs(difference).max()))
    value, derivative = phi.evaluate(z)
    np.testing.assert_array_equal(value, phi.value(z))
    np.testing.assert_array_equal(derivative, phi.derivative(z))


@pytest.mark.parametrize("name", [name for name, phi in EVERY.items() if phi.degree])
def test_homogeneous_activations_satisfy_eulers_identity(name):
    phi, z = EVERY[name], np.linspace(-3, 3, 61)
    np.testing.assert_allclose(phi.value(3 * z), 3**phi.degree * phi.value(z), rtol=1e-14)
    np.testing.assert_allclose(z * phi.derivative(z), phi.degree * phi.value(z), rtol=1e-14)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=20)
@given(a=st.floats(-3, 3), s=st.floats(1e-2, 3))
def test_moments(name, a, s):
    phi = EVERY[name]
    mean = expectation(phi.value, a, s, phi.kinks)
    central = [expectation(lambda z, p=p: (phi.value(z) - mean) ** p, a, s, phi.kinks) for p in (2, 3, 4)]
    size = max(abs(float(phi.value(np.array(a)))), s, central[0] ** 0.5)
    found = moments(phi, np.array([a]), np.array([s]))
    for power, (value, truth) in enumerate(zip(found[:4], [mean, *central], strict=True), start=1):
        np.testing.assert_allclose(value, truth, rtol=1e-8, atol=1e-9 * size**power)
    value, variance, error = mean_variance(phi, np.array([a]), np.array([s]))
    np.testing.assert_allclose(value, mean, rtol=1e-9, atol=1e-9 * size)
    np.testing.assert_allclose(variance, central[0], rtol=1e-8, atol=1e-12 * size**2)
    assert error <= 1e-3


@pytest.mark.parametrize("name", EVERY)
def test_small_noise_is_linear_noise(name):
    """Var phi(a + s xi) = s^2 phi'(a)^2 (1 + O(s^2)): no digits lost to E phi^2 - (E phi)^2."""
    phi, a, s = EVERY[name], np.array([-0.7, 0.4, 1.3]), np.full(3, 1e-6)
    slope = phi.derivative(a)
    _, variance, _ = mean_variance(phi, a, s)
    np.testing.assert_allclose(variance, (s * slope) ** 2, rtol=2e-9, atol=1e-21)


@pytest.mark.parametrize("name", EVERY)
def test_no_noise_is_no_noise(name):
    phi, a = EVERY[name], np.array([-0.7, 0.0, 1.3])
    mean, variance, _ = mean_variance(phi, a, np.zeros(3))
    np.testing.assert_allclose(mean, phi.value(a), atol=1e-15)
    np.testing.assert_allclose(variance, 0, atol=1e-28)  # (rounding of phi)^2


@pytest.mark.parametrize("name", EVERY)
def test_duals_are_double_integrals(name):
    phi, p, q, c = EVERY[name], 0.7, 1.4, 0.45
    cholesky = np.linalg.cholesky([[p, c], [c, q]])
    x, w = np.polynomial.legendre.leggauss(400)
    x, w = 9 * x, 9 * w * np.exp(-40.5 * x * x) / np.sqrt(2 * np.pi)
    u = cholesky[0, 0] * x[:, None] + 0 * x
    v = cholesky[1, 0] * x[:, None] + cholesky[1, 1] * x
    value, slope, error = duals(phi, np.array([p]), np.array([q]), np.array([[c]]))
    near = 1e-8 if not phi.kinks else 3e-4  # the grid, not the formula, does not know of kinks
    np.testing.assert_allclose(value, w @ (phi.value(u) * phi.value(v)) @ w, rtol=near, atol=1e-12)
    near = 1e-8 if not phi.kinks else 2e-2
    np.testing.assert_allclose(slope, w @ (phi.derivative(u) * phi.derivative(v)) @ w, rtol=near, atol=1e-12)
    assert error < 1e-6


def test_the_arc_cosine_kernel_by_adaptive_quadrature():
    """E u+ v+ and P(u > 0, v > 0) over the wedge where both are positive."""
    phi, p, q, c = activation("relu"), 0.7, 1.4, -0.5
    precision = np.linalg.inv([[p, c], [c, q]])

    def density(v, u):
        return np.exp(-0.5 * np.array([u, v]) @ precision @ [u, v]) * np.sqrt(np.linalg.det(precision)) / (2 * np.pi)

    value, slope, _ = duals(phi, np.array([p]), np.array([q]), np.array([[c]]))
    assert value[0, 0] == pytest.approx(dblquad(lambda v, u: u * v * density(v, u), 0, 9, 0, 12)[0], rel=1e-7)
    assert slope[0, 0] == pytest.approx(dblquad(density, 0, 9, 0, 12)[0], rel=1e-7)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "erf", "quadratic", "linear"])
def test_mehlers_series_and_its_bound_hold_against_closed_forms(name):
    phi = activation(name)
    bare = own_activation(phi.value, phi.derivative, kinks=phi.kinks)
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((4, 6)), rng.standard_normal((5, 6))
    arguments = np.sum(x * x, axis=1), np.sum(z * z, axis=1), x @ z.T
    exact, series = duals(phi, *arguments), duals(bare, *arguments)
    assert exact[2] == 0
    for found, truth in zip(series[:2], exact[:2], strict=True):
        assert np.abs(found - truth).max() <= (series[2] + 1e-9) * np.abs(truth).max()


def test_mehlers_series_is_exact_on_the_diagonal():
    x = np.random.default_rng(1).standard_normal((4, 6))
    square = np.sum(x * x, axis=1)
    value, slope, _ = duals(EVERY["tanh"], square, square, x @ x.T)
    for i, p in enumerate(square):
        assert value[i, i] == pytest.approx(expectation(lambda z: np.tanh(z) ** 2, 0, p**0.5, ()), rel=1e-9)
        assert slope[i, i] == pytest.approx(expectation(lambda z: np.cosh(z) ** -4.0, 0, p**0.5, ()), rel=1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_hermite_coefficients_sum_to_the_second_moment(name):
    phi, a, s = EVERY[name], np.array([0.3, -1.1]), np.array([0.5, 0.2])
    coefficients = hermite(phi.value, phi.kinks, a, s, 30)
    mean, variance, _ = mean_variance(phi, a, s)
    np.testing.assert_allclose(coefficients[0], mean, rtol=1e-10)
    np.testing.assert_allclose(np.sum(coefficients[1:] ** 2, axis=0), variance, rtol=1e-8)


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu", "erf"])
def test_closed_hermite_coefficients_are_those_by_quadrature(name):
    phi, a, s = EVERY[name], np.array([0.3, -1.1, 0.0, 2.0]), np.array([0.5, 0.2, 1.5, 1e-3])
    by_quadrature = hermite(phi.value, phi.kinks, a, s, 9)
    np.testing.assert_allclose(hermite_coefficients(phi, a, s, 9), by_quadrature, atol=1e-12)


def test_bad_activations_are_named():
    with pytest.raises(ValueError, match="activation must be one of linear"):
        activation("swish")
    with pytest.raises(ValueError, match="derivative must be that of value"):
        own_activation(np.sin, np.sin)
    with pytest.raises(ValueError, match="named in kinks"):
        own_activation(lambda z: np.abs(z - 0.05), lambda z: np.sign(z - 0.051), kinks=(1.0,)) and own_activation(
            np.floor, np.ones_like
        )
    with pytest.raises(ValueError, match="degree must be that of value"):
        own_activation(np.sin, np.cos, degree=1)
    with pytest.raises(ValueError, match="same shape"):
        own_activation(lambda z: z.sum(), np.cos)
    with pytest.raises(ValueError, match="built-in"):
        own_activation(np.sin, np.cos, name="relu")
    with pytest.raises(ValueError, match="slope must be finite"):
        leaky_relu(np.nan)
