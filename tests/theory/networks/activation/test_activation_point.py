"""One point: drawn, trained and measured."""

import numpy as np
import pytest
from scipy.stats import kstest

from implicit_bias.theory.networks.activation.activations import activation
from implicit_bias.theory.networks.activation.experiment import (
    SOLVERS,
    draw_network,
    linearized_outlook,
    measure,
    reduce_network,
    train,
)
from implicit_bias.theory.networks.activation.network import Model, predictions
from implicit_bias.theory.networks.activation.points import read_points
from implicit_bias.theory.networks.activation.samples import read_samples
from implicit_bias.theory.solvers.stopping import TOLERANCE, Stop
from implicit_bias.theory.synthetic import draw_data, draw_held_out
from tests.theory.networks.activation.activation_networks import EVERY, case

CONTRACT = {"frozen_rms", "frozen_deviation", "kernel_distance", "loss", "iterations", "kernel_move", "linear_distance"}


def figure_one(name, rng, n=12, D=40, m=1):
    X, Y, theta = draw_data(n, D, m, rng)
    model = Model(read_samples(X, Y), activation(name))
    return model, read_points(model.samples.problem, draw_held_out(8, theta, rng)[0])


@pytest.mark.parametrize("name", EVERY)
def test_reduced_networks_predict_what_whole_ones_do(name):
    c = case(name, count=14)
    network = reduce_network(c.model, c.read, c.U, c.V)
    r = c.model.samples.problem.r
    found = predictions(c.phi, network.R[r:], c.read.seen @ network.R[:r], network.frozen)
    np.testing.assert_allclose(found, c.predict(c.U, c.V), atol=1e-12)
    np.testing.assert_allclose(c.read.squared_norms, np.sum(c.points**2, axis=1), rtol=1e-12)


def test_drawn_networks_are_distributed_as_whole_ones():
    c, rng = case("relu", h=3, count=14), np.random.default_rng(0)
    model, points, whole, drawn = c.model, c.read, [], []
    for _ in range(600):
        U, V = 0.6 * rng.standard_normal(c.U.shape), 0.4 * rng.standard_normal(c.V.shape)
        both = reduce_network(model, points, U, V), draw_network(model, points, 3, 0.6, 0.4, rng)
        for out, network in zip((whole, drawn), both, strict=True):
            out.append([np.sum(network.frozen**2), np.sum(network.R**2), network.frozen[0] @ network.frozen[1]])
    for k in range(3):
        assert kstest(np.array(whole)[:, k], np.array(drawn)[:, k]).pvalue > 1e-4


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_agree(solver):
    rng = np.random.default_rng(1)
    model, points = figure_one("erf", rng)
    network = draw_network(model, points, 80, 80**-0.5, 80**-0.5, rng)
    run, method = train(model, network.R, solver, 0.02, Stop(excess=1e-7), 12, 1e-6)
    reference, _ = train(model, network.R, "flow_explicit", stop=Stop(excess=1e-7), tol=1e-10)
    assert method == ("explicit" if solver == "gradient_flow" else solver.removeprefix("flow_"))
    assert run.stop_reason == TOLERANCE
    near = 5e-2 if solver == "momentum" else 3e-3
    np.testing.assert_allclose(run.R, reference.R, atol=near * np.abs(reference.R).max())


@pytest.mark.parametrize("name", ["relu", "erf", "linear", "gelu"])
def test_a_point_has_the_metrics_of_the_contract(name):
    rng = np.random.default_rng(2)
    model, points = figure_one(name, rng)
    h = 150
    network = draw_network(model, points, h, h**-0.5, h**-0.5, rng)
    run, _ = train(model, network.R, stop=Stop(excess=1e-6))
    found = measure(model, network, run, points, h**-0.5, h**-0.5)
    metrics = found.metrics
    assert set(metrics) >= CONTRACT
    assert ("neuron_drift" in metrics) == (EVERY[name].degree is not None)
    assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["loss"] == pytest.approx(2e-6 / 12 + 2 * model.floor / 12, rel=1e-5)
    assert metrics["iterations"] == pytest.approx(run.t[-1] * 12 / 0.01)
    assert metrics["frozen_rms"] == pytest.approx(np.sqrt(np.mean(found.std**2)))
    assert metrics["frozen_deviation"] == pytest.approx(np.sqrt(np.mean((found.predictions - found.mean) ** 2)))
    assert 1e-4 < metrics["frozen_p"] <= 1
    if name == "linear":
        assert metrics["frozen_deviation"] == pytest.approx(metrics["linear_distance"], rel=1e-2)
        assert metrics["neuron_drift"] < 1e-3


def test_the_outlook_is_that_of_a_network_that_hardly_moves():
    """Targets near the initial function: the kernel stays."""
    rng = np.random.default_rng(3)
    X, A, V = rng.standard_normal((6, 12)), rng.standard_normal((6, 20)), rng.standard_normal((2, 20))
    for name in ("linear", "tanh"):
        phi = activation(name)
        Z = read_samples(X, np.zeros((6, 2))).Z
        model = Model(read_samples(X, phi.value(Z @ A) @ V.T + 1e-4 * rng.standard_normal((6, 2))), phi)
        R, stop = np.vstack([A, V]), Stop(excess=1e-13)
        outlook = linearized_outlook(model, R, stop)
        run, _ = train(model, R, "flow_explicit", stop=stop, tol=1e-11)
        assert outlook.horizon == pytest.approx(run.t[-1], rel=0.01)
        assert linearized_outlook(model, 0 * R, Stop(t_max=3.0)).horizon <= 3


def test_bad_arguments_are_named():
    rng = np.random.default_rng(4)
    model, points = figure_one("relu", rng)
    for h in (0, 2.5):
        with pytest.raises(ValueError, match="h must be a positive integer"):
            draw_network(model, points, h, 1.0, 1.0, rng)
    with pytest.raises(ValueError, match="sigma_V must be"):
        draw_network(model, points, 3, 1.0, -1.0, rng)
    with pytest.raises(ValueError, match="solver must be one of"):
        train(model, np.zeros((model.samples.problem.k, 2)), "adam")
    with pytest.raises(ValueError, match="must have D = 40 columns"):
        read_points(model.samples.problem, np.ones((2, 3)))
