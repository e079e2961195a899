"""Starts on the stable manifold of a saddle, and near it, against flows of single modes and of whole networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.networks.two_layer import State, reduce_network
from implicit_bias.theory.problem import Array, Problem, reparametrize
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.inward import Inward
from implicit_bias.theory.solvers.stopping import SADDLE, STATIONARY, Stop
from implicit_bias.theory.solvers.trajectory import excess_loss
from tests.support.oracles import rotation

METHODS = ("explicit", "exponential")


def tied(S: Array, M: Array, sign: float, scale: float, seed: int) -> tuple[Problem, State]:
    """X U V^T = scale A M (sign M)^T O^T for the target scale A S O^T, with random rotations A and O."""
    k = len(S)
    rng = np.random.default_rng(seed)
    A, B, O = rotation(rng, k), rotation(rng, k + 2)[:, :k], rotation(rng, k)
    problem = reparametrize(scale * A @ B.T, scale * A @ S @ O.T)
    return problem, reduce_network(problem, B @ M, sign * O @ M)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("width", "unit"), [(1, 0.5), (8, 0.5), (8, 1e-8), (1000, 2.0)])
def test_constant_weights_of_the_wrong_sign_decay_for_ever(method: str, width: int, unit: float) -> None:
    """u = v and y = -1: p = |u|^2 obeys p' = -2 p (p + 1), long after rounding errors would have grown."""
    problem = reparametrize([[1.0, 0.0]], [[-1.0]])
    state = reduce_network(problem, unit * np.array([[1.0], [0.0]]) * np.ones(width), unit * np.ones((1, width)))
    times = [0.5, 5.0, 30.0, 80.0, 300.0]
    run = gradient_flow(problem, state, times, method=method)
    p0 = width * unit**2
    p = p0 * np.exp(-2 * run.t[:-1]) / (1 + p0 * -np.expm1(-2 * run.t[:-1]))
    assert run.stop_reason == SADDLE
    assert run.t[-1] == np.inf
    assert run.excess[:-1] == pytest.approx(0.5 * (1 + p) ** 2, rel=1e-7)
    assert run.excess[-1] == 0.5


@pytest.mark.parametrize(("size", "method"), [(1.0, "explicit"), (1e-3, "exponential"), (1e-8, "exponential")])
def test_identity_initialisation_never_learns_negative_eigenvalues(size: float, method: str) -> None:
    """Bartlett, Helmbold and Long (2018): the product stays positive definite in the eigenvectors of the target."""
    Q = rotation(np.random.default_rng(3), 4)
    S = Q @ np.diag([2.0, 1.5, -1.0, -0.3]) @ Q.T
    problem, state = tied(S, size * np.eye(4), 1.0, 1.0, 5)
    run = gradient_flow(problem, state, method=method)
    assert run.stop_reason == SADDLE
    assert run.excess[-1] == pytest.approx(0.5 * (1.0**2 + 0.3**2), rel=1e-6)


def test_single_modes_of_other_problems_stay_as_well() -> None:
    """Modes of different singular values, one balanced against its target, one with it: only the latter is fitted."""
    sigma, y = np.array([2.0, 0.7, 0.3]), np.array([1.0, -2.0, 0.5])
    problem = reparametrize(np.hstack([np.diag(sigma), np.zeros((3, 1))]), np.diag(sigma * y))
    weights = np.diag([0.3, 0.1, 0.2])
    run = gradient_flow(problem, reduce_network(problem, np.vstack([weights, np.zeros((1, 3))]), weights))
    assert run.stop_reason == SADDLE
    assert run.excess[-1] == pytest.approx(0.5 * (0.7 * 2.0) ** 2, rel=1e-7)


@pytest.mark.parametrize("unit", [0.0, 0.1])
def test_a_slow_mode_beside_a_saddle_takes_bounded_work(unit: float) -> None:
    """p' = -2 p^2 of a balanced mode without a target; the other has no weights, or weights that decay."""
    problem = reparametrize(np.eye(2, 3), np.diag([0.0, -1.0]))
    weights = np.diag([0.5, unit])
    run = gradient_flow(
        problem, reduce_network(problem, np.vstack([weights, np.zeros((1, 2))]), weights), [3.0, 1e3, 1e9]
    )
    p, q = 0.25 / (1 + 2 * 0.25 * run.t), unit**2 * np.exp(-2 * run.t) / (1 - unit**2 * np.expm1(-2 * run.t))
    assert run.excess == pytest.approx(0.5 * (p**2 + (1 + q) ** 2), rel=1e-7)
    np.testing.assert_allclose(run.product[:, 0, 0], p, rtol=1e-6, atol=1e-15)
    assert run.stop_reason == SADDLE
    assert run.steps < 1000


@pytest.mark.parametrize("method", METHODS)
def test_a_perturbation_above_rounding_leaves(method: str) -> None:
    """u = a, v = -a (1 - 2 d): u + v = 2 a d grows, and the end is the solution; the escape takes log(1 / d)."""
    problem = reparametrize([[1.0, 0.0]], [[1.0]])
    escapes = []
    for d in (1e-6, 1e-10):
        state = reduce_network(problem, np.array([[0.1], [0.0]]), np.array([[-0.1 * (1 - 2 * d)]]))
        assert Inward.of(problem, state.R) is None
        run = gradient_flow(problem, state, stop=Stop(excess=0.1), method=method)
        escapes.append(run.t[-1])
        assert gradient_flow(problem, state, method=method).stop_reason == STATIONARY
    assert escapes[1] - escapes[0] == pytest.approx(np.log(1e4), rel=1e-3)


@pytest.mark.parametrize("targets", [[-1.0], [2.0, -1.0], [-1.0, -0.5]])
def test_descent_that_decays_to_a_saddle_ends_there(targets: list[float]) -> None:
    """U = V = I / 2 and a diagonal target: what is of the other sign decays, and descent keeps U = V exactly."""
    k = len(targets)
    problem = reparametrize(np.eye(k, k + 1), np.diag(targets))
    state = reduce_network(problem, np.eye(k + 1, k) / 2, np.eye(k) / 2)
    run = gradient_descent(problem, state, 0.05 * k, [], Stop())
    assert run.stop_reason == SADDLE
    assert run.excess[-1] == pytest.approx(0.5 * np.sum(np.minimum(targets, 0.0) ** 2), rel=1e-12)


def excess_of_whole_flow(problem: Problem, R: Array, times: Array) -> Array:
    """(N,) by DOP853 on U1 and V, which know of no saddle."""
    sigma, r, shape = problem.sigma[:, None], problem.r, R.shape

    def flow(_: float, y: Array) -> Array:
        U1, V = y.reshape(shape)[:r], y.reshape(shape)[r:]
        F = sigma * (problem.Y_tilde - sigma * (U1 @ V.T))
        return np.vstack([F @ V, F.T @ U1]).ravel()

    ends = solve_ivp(flow, (0, times[-1]), R.ravel(), "DOP853", times, rtol=1e-12, atol=1e-16).y.T
    return np.array([excess_loss(problem, y.reshape(shape)) for y in ends])


def one_neuron(e: float) -> tuple[Problem, Array]:
    """Two modes that share a hidden unit, the second one tiny: it grows with the first."""
    return reparametrize(np.eye(2), np.diag([1.0, 3.0])), np.array([[0.5], [e], [0.5], [e]])


def against_nearly_equal_data(d: float) -> tuple[Problem, Array]:
    """V = -U f at t = 0 alone: the singular values 1 and 1 + d turn F, and what grows is of second order in d."""
    sigma, u = np.array([1 + d, 1.0]), 0.3 * np.array([0.6, 0.8])
    E = -u / sigma  # diag(sigma) E is antiparallel to u
    target = E / np.linalg.norm(E) + sigma * u * 0.3
    return Problem(2, sigma, np.eye(2), target[:, None], 0.0), np.array([[u[0]], [u[1]], [0.3]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "start", [one_neuron(1e-4), one_neuron(1e-6), one_neuron(1e-9), *map(against_nearly_equal_data, (0.5, 1e-2, 1e-3))]
)
def test_starts_near_such_a_manifold_leave_when_the_flow_does(method: str, start: tuple[Problem, Array]) -> None:
    problem, R = start
    times = np.array([2.0, 6.0, 12.0, 18.0, 25.0])
    assert Inward.of(problem, R) is None
    run = gradient_flow(problem, State(R, np.zeros((0, 1)), problem.r, 1), times, method=method)
    found = np.interp(times, run.t[:-1], run.excess[:-1])  # a run that has arrived records no more
    assert found == pytest.approx(excess_of_whole_flow(problem, R, times), rel=2e-3, abs=1e-9)
    assert run.stop_reason == STATIONARY


@pytest.mark.parametrize("spread", [0.0, 1e-8, 1e-5])
@pytest.mark.parametrize(("r", "m", "h"), [(3, 2, 1), (4, 3, 2)])
def test_narrow_networks_fit_targets_of_equal_or_close_singular_values(r: int, m: int, h: int, spread: float) -> None:
    problem = reparametrize(np.eye(r), np.eye(r, m) * (1 + spread * np.arange(m)))
    R = 1e-3 * np.random.default_rng(h).standard_normal((r + m, h))
    run = gradient_flow(problem, State(R, np.zeros((0, h)), r, h))
    s = np.linalg.svd(problem.Y_tilde, compute_uv=False)
    assert run.stop_reason == STATIONARY
    assert run.excess[-1] == pytest.approx(0.5 * np.sum(s[h:] ** 2), rel=1e-13)
    assert np.linalg.svd(run.product[-1], compute_uv=False)[:h] == pytest.approx(s[:h], rel=1e-6)
    assert run.steps < 200


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(1, 7), st.floats(-6, 0))
def test_random_starts_are_on_no_such_manifold(seed: int, r: int, m: int, h: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    problem = reparametrize(rng.standard_normal((r, r + 2)), rng.standard_normal((r, m)))
    assert Inward.of(problem, scaled(standard_normal(problem, h, rng), 10**scale, 10**scale).R) is None
