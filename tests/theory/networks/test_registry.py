"""Every kind of network: its velocity is minus the gradient, its kernel moves the residual, its imbalance stays."""

import numpy as np
import pytest

from implicit_bias.theory import draw_data, reparametrize
from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.networks.activation import Model, activation
from implicit_bias.theory.networks.activation.samples import read_samples
from implicit_bias.theory.networks.general import linear_network
from implicit_bias.theory.networks.registry import NETWORKS, network_kind
from implicit_bias.theory.networks.vectors import Shapes, flat

RNG = np.random.default_rng(0)
X, Y = draw_data(n=6, D=9, m=2, rng=RNG)[:2]
PROBLEM = reparametrize(X, Y)
H = 5


def _normal(*shapes):
    return tuple(RNG.standard_normal(shape) for shape in shapes)


DEEP = _normal((PROBLEM.r, H), (H, 4), (4, PROBLEM.m))
TWO_LAYERS = linear_network(
    "two layers, all of their weights",
    draw=lambda problem, h, rng, sigma_u, sigma_v: (
        sigma_u * rng.standard_normal((problem.D, h)),
        sigma_v * rng.standard_normal((problem.m, h)),
    ),
    matrix=lambda weights: weights[0] @ weights[1].T,
    pullback=lambda weights, G: (G @ weights[1], G.T @ weights[0]),
    imbalance=lambda weights: weights[0].T @ weights[0] - weights[1].T @ weights[1],
    gram=lambda weights: weights[1] @ weights[1].T,
)
"""The paper's network once more, by another way: U (D, h) and V (m, h) themselves."""

CASES = {
    "two_layer": (NETWORKS["two_layer"], PROBLEM, _normal((PROBLEM.k, H))),
    "deep": (NETWORKS["deep"], PROBLEM, DEEP),
    **{
        f"activation {name}": (
            NETWORKS["activation"],
            Model(read_samples(X, Y), activation(name)),
            _normal((PROBLEM.k, H)),
        )
        for name in ("relu", "tanh", "linear")
    },
    "general": (TWO_LAYERS, PROBLEM, TWO_LAYERS.draw(PROBLEM, H, RNG, 1.0, 1.0)),
}
STEP = 1e-5


def moved(function, task, weights, direction):
    """The derivative of function(task, weights) along a direction, by central differences."""
    shapes, y = Shapes(weights), flat(weights)
    up, down = (function(task, shapes.weights(y + sign * STEP * direction)) for sign in (1, -1))
    return (up - down) / (2 * STEP)


def test_every_kind_has_its_case():
    assert {name.partition(" ")[0] for name in CASES} >= set(NETWORKS)


@pytest.mark.parametrize("name", CASES)
def test_the_velocity_is_minus_the_gradient(name):
    kind, task, weights = CASES[name]
    direction = np.random.default_rng(1).standard_normal(flat(weights).size)
    slope = moved(lambda *at: 0.5 * np.sum(kind.residual(*at) ** 2), task, weights, direction)
    assert flat(kind.velocity(task, weights)) @ direction == pytest.approx(-slope, rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_moves_the_residual(name):
    kind, task, weights = CASES[name]
    K, E = kind.kernel(task, weights), kind.residual(task, weights)
    change = moved(kind.residual, task, weights, flat(kind.velocity(task, weights)))
    np.testing.assert_allclose(change.ravel(), -K @ E.ravel(), atol=1e-6 * np.abs(change).max())
    np.testing.assert_allclose(K, K.T, atol=1e-12 * np.abs(K).max())
    assert np.linalg.eigvalsh(K)[0] >= -1e-12 * np.abs(K).max()


@pytest.mark.parametrize("name", CASES)
def test_the_imbalance_is_conserved(name):
    """It has no derivative along the velocity, and has one along other directions: it says something."""
    kind, task, weights = CASES[name]
    velocity = flat(kind.velocity(task, weights))
    if not kind.imbalance(task, weights).size:
        assert name == "activation tanh", "of those networks this one alone is not homogeneous"
        return
    other = np.random.default_rng(2).standard_normal(velocity.size) * np.linalg.norm(velocity)
    along, beside = (moved(kind.imbalance, task, weights, each) for each in (velocity, other))
    assert np.abs(along).max() < 1e-7 * np.abs(beside).max()


@pytest.mark.parametrize("name", ["two_layer", "deep", "general"])
def test_the_gram_matrix_is_that_of_the_law(name):
    """Mean square of the end-to-end matrix outside the data over draws of U2, five standard errors allowed."""
    kind, task, weights = CASES[name]
    gram, draws, sigma = kind.gram(task, weights), 4000, 0.7
    M = {"two_layer": lambda: weights[0][PROBLEM.r :].T, "deep": lambda: weights[1] @ weights[2]}.get(
        name, lambda: weights[1].T
    )()
    U2 = sigma * np.random.default_rng(3).standard_normal((draws, PROBLEM.D - PROBLEM.r, H))
    squares = np.sum((U2 @ M) ** 2, axis=(1, 2))
    law = distance_law(PROBLEM, gram, sigma)
    assert abs(squares.mean() - law.rms**2) < 5 * squares.std() / np.sqrt(draws)


def test_general_and_reduced_networks_of_two_layers_agree():
    """The loss, the kernel and the imbalance of a network are those of its reduced state."""
    U, V = CASES["general"][2]
    reduced = (np.vstack([PROBLEM.Phi1.T @ U, V]),)
    for function in ("residual", "kernel"):
        general = getattr(TWO_LAYERS, function)(PROBLEM, (U, V))
        np.testing.assert_allclose(getattr(NETWORKS["two_layer"], function)(PROBLEM, reduced), general, atol=1e-11)


def test_a_name_or_a_path():
    assert network_kind("deep") is NETWORKS["deep"]
    with pytest.raises(ValueError, match="network must be one of two_layer, deep, activation, or a path"):
        network_kind("diagonal")
    with pytest.raises(ValueError, match=r"must be a .*LinearNetwork, got function"):
        network_kind("implicit_bias.theory:reparametrize")
