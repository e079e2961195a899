"""Limits of time, small losses and slow ends of the flow, against exact solutions."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.two_layer import State, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.equilibria import decays_algebraically
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.limit import limit
from implicit_bias.theory.solvers.stopping import ALGEBRAIC, TIME_LIMIT, Stop
from implicit_bias.theory.solvers.trajectory import residual, velocity
from tests.support.oracles import modes, rotation


def test_a_time_limit_is_kept_though_little_residual_is_left() -> None:
    X = np.array([[1.0, 0, 0], [0, 1e-4, 0]])
    U, V = np.eye(3), np.array([[0.0, 1, 1]])
    fast = reparametrize(X, X @ np.array([[1.0], [1], [0]]))
    end = gradient_flow(fast, reduce_network(fast, U, V), [], Stop(t_max=30.0)).product[-1, 1, 0]
    problem = reparametrize(X, X[:, :2] @ np.array([[1.0], [end + 4e-5]]))  # the slow mode is far from its end
    run = gradient_flow(problem, reduce_network(problem, U, V), [1.0, 5, 40, 1e8], Stop(t_max=20.0))
    assert run.t.tolist() == [0.0, 1.0, 5.0, 20.0]
    assert run.stop_reason == TIME_LIMIT


@pytest.mark.parametrize("times", [[3.0, 1, 2, 0], [1.0, 2.0, 2.0], (5.0, 4.0), np.array([1.0, 0.5])])
def test_times_out_of_order_are_refused_before_the_run(times) -> None:
    problem, state = modes([1.0, 0.5], [1.0, 0.5])
    with pytest.raises(ValueError, match="times must be positive and increasing, got"):
        gradient_flow(problem, state, times, Stop(t_max=0.1))


@pytest.mark.parametrize("tol", [1e-6, 1e-8, 1e-10])
def test_small_losses_of_slow_modes_that_fast_ones_have_fed(tol: float) -> None:
    sigma = np.array([1.0, 0.1])
    U, V = np.array([[1.0, 0.5], [-0.3, 0.8]]), np.array([[0.7, -0.4]])
    K = sigma[:, None] * (U @ U.T + np.sum(V * V) * np.eye(2)) * sigma
    rates, Z = np.linalg.eigh(K)
    Y = sigma[:, None] * (U @ V.T) + 0.3 * np.sqrt(tol) * Z[:, 1:]
    problem = Problem(n=2, sigma=sigma, Phi1=np.eye(2), Y_tilde=Y, loss_floor=0.0)
    t = 25 / rates[1]
    run = gradient_flow(problem, State(np.vstack([U, V]), np.zeros((0, 2)), 2, 2), [t], Stop(), tol=tol)
    # second-order perturbation theory, written in the eigenbasis: independent of how the tail is made
    e0, M = 0.3 * np.sqrt(tol) * Z[:, 1:], U @ V.T
    F = sigma[:, None] * e0
    X = F / rates[1]
    fed = Z.T @ (sigma[:, None] * ((X @ M.T + M @ X.T) @ F + F @ (X.T @ M + M.T @ X)))
    slow = fed[0, 0] * (np.exp(-2 * rates[1] * t) - np.exp(-rates[0] * t)) / (rates[0] - 2 * rates[1])
    assert run.excess[1] == pytest.approx(0.5 * slow**2, rel=10 * np.sqrt(tol) + 1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_tail_is_as_exact_as_is_promised(seed: int) -> None:
    """|dE(t)| <= C (sqrt(tol) |E(t)| + tol^(3/2) |S(t) E(0)|), whatever E(0) is made of (docs/integrator.md)."""
    rng, tol = np.random.default_rng(seed), 1e-5
    sigma, R = np.array([1.0, 0.3]), rng.standard_normal((3, 3))
    K = sigma[:, None] * (R[:2] @ R[:2].T + np.sum(R[2] ** 2) * np.eye(2)) * sigma
    rates, Z = np.linalg.eigh(K)
    share = np.array([[0.0, 1.0], [1.0, 1.0], [tol, 1.0], [1.0, 0.0]])[seed]  # of the slow and of the fast mode
    E0 = 0.1 * np.sqrt(tol) * rates[0] * Z @ share[:, None]
    Y = sigma[:, None] * (R[:2] @ R[2:].T) + E0
    problem = Problem(n=2, sigma=sigma, Phi1=np.eye(2), Y_tilde=Y, loss_floor=0.0)
    step = limit(problem, R, 0.0, tol, 0.0)
    assert step is not None
    times = np.linspace(0, 4, 9)[1:] / rates[0]
    exact = solve_ivp(
        lambda _, y: velocity(problem, y.reshape(R.shape)).ravel(), (0, times[-1]), R.ravel(), "DOP853", times,
        rtol=1e-13, atol=1e-14,
    ).y.T.reshape(-1, *R.shape)  # fmt: skip
    for t, P in zip(times, exact, strict=True):
        E = residual(problem, P)
        allowed = np.sqrt(tol) * np.linalg.norm(E) + tol**1.5 * np.exp(-rates[0] * t) * np.linalg.norm(E0) / np.sqrt(
            tol
        )
        assert np.linalg.norm(residual(problem, step.at(t)) - E) <= 3 * allowed + 1e-13


def test_a_target_of_deficient_rank_ends_in_bounded_work() -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        Y = rotation(rng, 2) @ np.diag([1.0, 0.0]) @ rotation(rng, 2)
        R = 0.3 * np.vstack([rotation(rng, 2), rotation(rng, 2)])
        problem = Problem(n=2, sigma=np.ones(2), Phi1=np.eye(2), Y_tilde=Y, loss_floor=0.0)
        run = gradient_flow(problem, State(R, np.zeros((0, 2)), 2, 2), [1e6, 1e8])
        assert run.stop_reason == ALGEBRAIC
        assert run.steps < 400
        assert run.excess[-1] < 1e-28
        # the mode without a target decays as u' = -u^3: its loss as 1 / (8 t^2)
        np.testing.assert_allclose(run.excess[1:3], 1 / (8 * run.t[1:3] ** 2), rtol=0.03)


def test_a_power_of_time_ends_beside_modes_of_any_size() -> None:
    """Single balanced modes, p' = -2 sigma^2 |p| (p - y): that without a target outlasts 1e15 times the others."""
    sigma, u = np.array([0.077, 0.931, 0.044, 0.097]), np.array([5e-2, 7e-4, 8e-10, 2e-5])
    problem = Problem(4, np.sort(sigma)[::-1], np.eye(4), np.diag([0.0, 0.38, 0.019, 0.4]), 0.0)
    weights = np.diag(u[np.argsort(-sigma)])
    run = gradient_flow(problem, State(np.vstack([weights, weights]), np.zeros((0, 4)), 4, 4), [1e6, 1e10])
    assert (run.stop_reason, run.t[-1]) == (ALGEBRAIC, np.inf)
    p = 7e-4**2 / (1 + 2 * 0.931**2 * 7e-4**2 * run.t[1:3])
    assert run.excess[1:3] == pytest.approx(0.5 * (0.931 * p) ** 2, rel=1e-3)
    assert run.excess[-1] < 1e-28


def test_a_power_of_time_is_told_from_exponentials_and_plateaus() -> None:
    t = np.geomspace(0.1, 1e9, 60)
    assert decays_algebraically(t, 1 / (8 * (t + 3) ** 2))
    assert not decays_algebraically(t, np.exp(-t / 1e7))
    assert not decays_algebraically(t, np.where(t < 5e8, 0.125, 1e-20))
    assert not decays_algebraically(t, 1 / (1 + t))
    assert not decays_algebraically(t[-20:], t[-20:] ** -2.0), "too few decades"


@pytest.mark.parametrize("size", [1e-100, 1e100])
@pytest.mark.parametrize("what", ["data", "weights"])
def test_numbers_beyond_floating_point_are_refused_by_name(size: float, what: str) -> None:
    a, b = (size, 1.0) if what == "data" else (1.0, size)
    problem = Problem(n=1, sigma=np.array([a]), Phi1=np.eye(1), Y_tilde=np.array([[a]]), loss_floor=0.0)
    state = State(np.array([[b], [b]]), np.zeros((0, 1)), 1, 1)
    if (size, what) == (1e-100, "weights"):
        assert gradient_flow(problem, state).excess[-1] < 1e-25  # a plateau of 230 time units
        return
    for run in (gradient_flow, lambda p, s: gradient_descent(p, s, 0.1, [], Stop())):
        with pytest.raises(ValueError, match=r"the data|the weights|the residual"):
            run(problem, state)
