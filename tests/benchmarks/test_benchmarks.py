"""What the benchmarks rest on: rivals that take the same steps, the Jacobian given to peers, the extrapolation."""

import numpy as np
import pytest

from implicit_bias.theory.networks.activation.descent import NetworkDescent
from implicit_bias.theory.networks.deep import DeepDescent, reduce_deep
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import Descent
from implicit_bias.theory.solvers.trajectory import velocity
from tests.benchmarks import activations, depth, flows, points
from tests.benchmarks.harness import conditioned, duration, network
from tests.theory.networks.deep.references import total


@pytest.mark.parametrize("rival", points.rivals().values())
def test_full_space_steps_are_ours(rival):
    problem, state, data = points.full_network(600)
    descent = Descent(problem, state.R, 2 * points.ETA / points.N)
    descent.run(20, 0.0)
    run, weights = rival(*data)
    run(20)
    U, V = weights()
    np.testing.assert_allclose(problem.Phi1.T @ U @ V.T, descent.R[:100] @ descent.R[100:].T, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rival", depth.rivals().values())
def test_steps_of_whole_deep_networks_are_ours(rival):
    X, Y, layers = depth.whole_network(40)
    problem = reparametrize(X, Y)
    descent = DeepDescent(problem, reduce_deep(problem, layers).layers, 2 * depth.ETA / depth.N)
    descent.run(20, 0.0)
    before = [each.copy() for each in layers]
    run, weights = rival(X, Y, layers)
    run(20)
    A, *rest = descent.layers
    np.testing.assert_allclose(problem.Phi1.T @ total(weights()), A @ total(rest), rtol=0, atol=1e-13)
    assert all(map(np.array_equal, layers, before))  # the next rival starts from them


@pytest.mark.parametrize("rival", activations.RIVALS.values())
def test_steps_of_networks_with_activations_are_ours(rival):
    model, R, X, Y, U, V = activations.network(40)
    descent = NetworkDescent(model, R, activations.STEP)
    descent.run(20, 0.0)
    run, weights = rival(X, Y, U, V)
    run(20)
    U, V = weights()
    ours = np.vstack([model.samples.problem.Phi1.T @ U, V])
    np.testing.assert_allclose(ours, descent.R, rtol=0, atol=1e-12)


def test_jacobian_given_to_peers():
    problem = conditioned(4, 10.0)
    R = network(problem, 20).R
    dR = np.random.default_rng(3).standard_normal(R.shape)
    h = 1e-5
    slope = (velocity(problem, R + h * dR) - velocity(problem, R - h * dR)) / (2 * h)
    np.testing.assert_allclose(flows.jacobian(problem, R) @ dR.ravel(), slope.ravel(), atol=1e-9)


@pytest.mark.parametrize("peer", ["scipy DOP853", "scipy LSODA", "scipy Radau", "full space"])
def test_peers_solve_the_same_problem(peer):
    problem = conditioned(4, 10.0)
    case = flows.Case.of(problem, network(problem, 20))
    points_of = flows.full_space if peer == "full space" else flows.PEERS[peer]
    _, sign, R = flows.reach(points_of(case, 1e-10), case.T, 60.0)
    assert sign == ""
    assert case.error(R) < 1e-8


def test_a_run_over_budget_is_extrapolated(monkeypatch):
    clock = iter(np.arange(0.0, 100.0))
    monkeypatch.setattr(flows, "cpu", lambda: next(clock))
    seconds, sign, _ = flows.reach(((t, np.empty(0)) for t in np.arange(0.0, 100.0)), 50.0, 10.0)
    assert sign == "~"
    assert seconds == pytest.approx(50.0)
    assert duration(seconds, True) == "~50 s"
