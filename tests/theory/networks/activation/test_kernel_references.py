"""Kernels: at infinite width against wide networks, of a network against its Jacobian, and what they predict."""

import numpy as np
import pytest

from implicit_bias.theory.networks.activation.flow import gradient_flow
from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.points import read_points
from implicit_bias.theory.networks.activation.references import (
    infinite_kernel,
    kernel_change,
    kernel_prediction,
    tangent_kernel,
)
from implicit_bias.theory.solvers.stopping import Stop
from tests.theory.networks.activation.activation_networks import EVERY, case


@pytest.mark.parametrize("name", EVERY)
def test_the_tangent_kernel_is_that_of_the_jacobian(name):
    c = case(name, h=4)
    model, R, r = c.model, c.reduced(), c.model.samples.problem.r

    def outputs(R):
        return model.phi.value(model.hidden(R)) @ R[r:].T

    columns = []
    for k in range(R.size):
        e = np.zeros(R.size)
        e[k] = 1e-6
        columns.append((outputs(R + e.reshape(R.shape)) - outputs(R - e.reshape(R.shape))).T.ravel() / 2e-6)
    J, (n, m) = np.array(columns).T, c.Y.shape
    K = tangent_kernel(model, R).transpose(0, 2, 1, 3).reshape(n * m, n * m)
    np.testing.assert_allclose(K, J @ J.T, atol=1e-7 * np.abs(K).max())


@pytest.mark.parametrize("name", EVERY)
def test_infinite_width_is_the_mean_over_wide_networks(name):
    """Each entry within five standard errors of the mean over 100,000 neurons, whose terms are independent."""
    c, h, scale, b = case(name, m=1, n=4, D=7, count=3), 100_000, 0.7, 0.3
    rng = np.random.default_rng(9)
    U, v = scale * rng.standard_normal((7, h)), b**0.5 * rng.standard_normal(h)
    for points, x in ((None, c.X), (c.read, c.points)):
        found, error = infinite_kernel(c.model, points, scale, b)
        assert error < 1e-6
        left, right = x @ U, c.X @ U
        S, D, S0, D0 = c.phi.value(left), c.phi.derivative(left) * v, c.phi.value(right), c.phi.derivative(right) * v
        for i, j in np.ndindex(found.shape):
            terms = S[i] * S0[j] + (x[i] @ c.X[j]) * D[i] * D0[j]
            assert abs(found[i, j] - terms.mean()) < 5 * terms.std() / h**0.5


def test_the_kernel_of_the_linear_network_predicts_the_min_norm_solution():
    c = case("linear", rank=4)
    problem = c.model.samples.problem
    found = kernel_prediction(c.model, c.read, 0.6, 0.4)
    np.testing.assert_allclose(found.values, c.points @ problem.min_norm_solution, atol=1e-12)
    assert (found.rank, found.error) == (4, 0)


@pytest.mark.parametrize("name", ["relu", "erf", "tanh"])
def test_the_kernel_predictor_meets_the_samples_and_adds_to_its_start(name):
    c = case(name)
    at_samples = read_points(c.model.samples.problem, c.X)
    np.testing.assert_allclose(kernel_prediction(c.model, at_samples, 0.6, 0.4).values, c.Y, atol=1e-8)
    start = c.phi.value(c.X @ c.U) @ c.V.T, c.predict(c.U, c.V)
    found = kernel_prediction(c.model, c.read, 0.6, 0.4, start)
    shifted = Model(c.model.samples.__class__(c.model.samples.problem, c.model.samples.Z, c.Y - start[0]), c.phi)
    np.testing.assert_allclose(found.values, start[1] + kernel_prediction(shifted, c.read, 0.6, 0.4).values, atol=1e-10)


@pytest.mark.parametrize("name", ["erf", "relu"])
def test_wide_lazy_networks_end_at_the_kernel_predictor(name):
    """Scales sigma_U = 1, sigma_V = h^(-1/4): the kernel grows like h, neurons hardly move.

    Over 16 times the width the root mean square distance of six networks falls by about four, h^(-1/2).
    """
    distances, moves = [], []
    for h in (100, 1600):
        apart, moved = [], []
        for seed in range(6):
            c = case(name, m=1, n=4, D=8, h=h, seed=seed)
            c.U, c.V = c.U / 0.6, c.V / 0.4 * h**-0.25
            run = gradient_flow(c.model, c.reduced(), [], Stop(excess=1e-8), "stabilized", 1e-4)
            problem, r = c.model.samples.problem, c.model.samples.problem.r
            start = c.phi.value(c.X @ c.U) @ c.V.T, c.predict(c.U, c.V)
            kernel = kernel_prediction(c.model, c.read, 1.0, h**-0.25, start)
            U = c.U + problem.Phi1 @ (run.R[:r] - problem.Phi1.T @ c.U)
            size = np.linalg.norm(kernel.values - start[1])
            apart.append(np.linalg.norm(c.predict(U, run.R[r:]) - kernel.values) / size)
            moved.append(kernel_change(c.model, c.reduced(), run.R))
        distances.append(np.sqrt(np.mean(np.square(apart))))
        moves.append(np.mean(moved))
    assert distances[1] < 0.5 * distances[0]
    assert moves[1] < 0.5 * moves[0]
    assert kernel_change(c.model, c.reduced(), c.reduced()) == 0
