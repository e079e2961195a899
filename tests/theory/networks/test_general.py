"""Linear networks of one's own: what they are made of is checked, and they are trained from any start."""

from dataclasses import replace

import numpy as np
import pytest

from implicit_bias.theory import reparametrize
from implicit_bias.theory.networks.general import (
    check_functions,
    draw_checked,
    linear_network,
    measure_run,
    train_weights,
)
from implicit_bias.theory.solvers.stopping import Stop

RNG = np.random.default_rng(0)
ROWS = np.linspace(1, 2, 6)[:, None] * np.linalg.qr(RNG.standard_normal((9, 6)))[0].T
"""(6, 9), condition number 2."""
PROBLEM = reparametrize(ROWS, RNG.standard_normal((6, 2)))
SHAPE = (PROBLEM.D, PROBLEM.m)
PLAIN = linear_network(
    "plain regression",
    draw=lambda problem, h, rng, sigma_u, sigma_v: (np.zeros((problem.D, problem.m)),),
    matrix=lambda weights: weights[0],
    pullback=lambda weights, G: (G,),
)
DIAGONAL = linear_network(
    "diagonal",
    draw=lambda problem, h, rng, sigma_u, sigma_v: tuple(rng.standard_normal((2, problem.D, problem.m))),
    matrix=lambda weights: weights[0] ** 2 - weights[1] ** 2,
    pullback=lambda weights, G: (2 * weights[0] * G, -2 * weights[1] * G),
    gram=lambda weights: np.eye(2),
)


@pytest.mark.parametrize("solver", ["gradient_flow", "gradient_descent"])
@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_plain_regression_from_zero_ends_at_the_min_norm_solution(solver, scale):
    """Its gradient is not zero there, whatever the size of the targets."""
    problem = replace(PROBLEM, Y_tilde=scale * PROBLEM.Y_tilde)
    step = problem.n / (2 * problem.sigma[0] ** 2)
    start = (np.zeros(SHAPE),)
    stop = Stop(excess=1e-18 * scale**2)
    run, _ = train_weights(PLAIN, problem, start, solver, step, stop, 10)
    size = np.linalg.norm(problem.min_norm_solution)
    assert measure_run(PLAIN, problem, start, run, 1.0, 0.05).metrics["distance"] < 1e-6 * size


def test_the_flow_from_zero_is_that_of_the_closed_form():
    """Phi1^T Theta (t) = (I - exp(-t sigma^2)) Theta_hat, at every time that is recorded."""
    run, _ = train_weights(PLAIN, PROBLEM, (np.zeros(SHAPE),), "gradient_flow", 1.0, Stop(excess=1e-12), 20)
    part = 1 - np.exp(-np.multiply.outer(run.t, PROBLEM.sigma**2))
    exact = PROBLEM.Phi1 @ (part[:, :, None] * (PROBLEM.Phi1.T @ PROBLEM.min_norm_solution))
    np.testing.assert_allclose(run.y.reshape(-1, *SHAPE), exact, atol=1e-7 * np.abs(exact).max())


def test_a_point_without_gradient_is_stationary():
    run, _ = train_weights(DIAGONAL, PROBLEM, tuple(np.zeros((2, *SHAPE))), "gradient_flow", 1.0, Stop(), 10)
    assert run.stop_reason == "stationary"
    assert not run.y.any()


@pytest.mark.parametrize("kind", [PLAIN, DIAGONAL])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e30])
def test_what_fits_together_passes_at_any_size(kind, scale):
    weights = draw_checked("own", kind, PROBLEM, 5, np.random.default_rng(1), 1.0, 1.0)
    check_functions("own", kind, PROBLEM, tuple(scale * W for W in weights))


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"matrix": lambda weights: weights[0][:, 0] ** 2}, r"matrix must return Theta of shape .* \(9, 2\).* \(9,\)"),
        ({"matrix": lambda weights: np.full(SHAPE, np.nan)}, "matrix must return Theta .* finite numbers, got NaN"),
        ({"gram": lambda problem, weights: np.eye(5)}, r"gram must return M\^T M of shape \(m, m\) = \(2, 2\)"),
        ({"pullback": lambda weights, G: (2 * weights[0] * G,)}, "pullback must return arrays of the weights' shapes"),
        ({"pullback": lambda weights, G: weights[0] * G}, "pullback must return arrays .* got ndarray"),
        ({"pullback": lambda weights, G: (2 * weights[0] * G, -weights[1] * G)}, "pullback must return sum_ij"),
        ({"pullback": lambda weights, G: (2 * weights[0] * G, 2 * weights[1] * G)}, "pullback must return sum_ij"),
        ({"pullback": lambda weights, G: (2 * weights[1] * G, -2 * weights[0] * G)}, "pullback must return sum_ij"),
        ({"pullback": lambda weights, G: (1.0001 * 2 * weights[0] * G, -2 * weights[1] * G)}, "pullback must return"),
        ({"pullback": lambda weights, G: (np.nan * G, G)}, "pullback must return sum_ij"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed, message, start):
    weights = tuple(np.full((2, *SHAPE), start))
    with pytest.raises(ValueError, match=f"network own: {message}"):
        check_functions("own", replace(DIAGONAL, **changed), PROBLEM, weights)


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        (np.ones((2, *SHAPE)), "got ndarray"),
        (None, "got NoneType"),
        ((), "got none"),
        ((np.ones(SHAPE), np.full(SHAPE, np.nan)), "got entry 2 with NaN or infinity"),
        ((np.ones(SHAPE), np.full(SHAPE, "a")), "got <U1 in entry 2"),
        ((np.ones(SHAPE, complex),), "got complex128 in entry 1"),
    ],
)
def test_draws_that_are_no_weights_are_refused(drawn, message):
    kind = replace(DIAGONAL, draw=lambda *_: drawn)
    with pytest.raises(ValueError, match=f"network own: draw must return a tuple of arrays .* {message}"):
        draw_checked("own", kind, PROBLEM, 5, np.random.default_rng(0), 1.0, 1.0)


def test_whole_numbers_are_trained_as_floats():
    kind = replace(DIAGONAL, draw=lambda *_: tuple(np.ones((2, *SHAPE), int)))
    weights = draw_checked("own", kind, PROBLEM, 5, np.random.default_rng(0), 1.0, 1.0)
    assert {W.dtype for W in weights} == {np.dtype(float)}
    run, _ = train_weights(kind, PROBLEM, weights, "gradient_descent", 0.01, Stop(t_max=1.0), 5)
    assert run.excess[-1] < run.excess[0]
