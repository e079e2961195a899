"""Starts on the stable manifold of a saddle, against flows of one matrix and of single modes."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory.initialization.gaussian import standard_normal
from implicit_bias.theory.networks.two_layer import State, reduce_network
from implicit_bias.theory.problem import Array, Problem, reparametrize
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.inward import Inward
from implicit_bias.theory.solvers.stopping import SADDLE, STATIONARY, Stop
from tests.support.oracles import rotation

METHODS = ("explicit", "exponential")


def tied(S: Array, M: Array, sign: float, scale: float, seed: int) -> tuple[Problem, State]:
    """X U V^T = scale A M (sign M)^T O^T for the target scale A S O^T, with random rotations A and O."""
    k = len(S)
    rng = np.random.default_rng(seed)
    A, B, O = rotation(rng, k), rotation(rng, k + 2)[:, :k], rotation(rng, k)
    problem = reparametrize(scale * A @ B.T, scale * A @ S @ O.T)
    return problem, reduce_network(problem, B @ M, sign * O @ M)


def of_sign(S: Array, sign: float) -> Array:
    """The part of a symmetric matrix (k, k) whose eigenvalues have this sign."""
    w, Q = np.linalg.eigh(S)
    return np.asarray((Q * np.where(sign * w > 0, w, 0.0)) @ Q.T)


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


def tied_at_random(seed: int) -> tuple[Array, Array, float, float]:
    """S (3, 3) symmetric, M (3, h), the scale of the data, a sign."""
    rng = np.random.default_rng(seed)
    h, scale = int(rng.integers(1, 5)), float(10 ** rng.uniform(-1, 1))
    S = rng.standard_normal((3, 3))
    return S + S.T, 0.3 * rng.standard_normal((3, h)), scale, (-1.0) ** seed


@pytest.mark.parametrize("seed", [0, 3, 4, 5, 8, 9])
def test_tied_weights_follow_the_flow_of_one_matrix(seed: int) -> None:
    """M' = scale^2 (sign S - M M^T) M: by DOP853 on M alone."""
    S, M, scale, sign = tied_at_random(seed)
    times = np.array([0.5, 2.0, 8.0]) / scale**2

    def flow(_: float, m: Array) -> Array:
        m = m.reshape(M.shape)
        return np.ravel(scale**2 * (sign * S - m @ m.T) @ m)

    exact = solve_ivp(flow, (0, times[-1]), M.ravel(), "DOP853", times, rtol=1e-11, atol=1e-13).y.T
    losses = [0.5 * scale**2 * np.linalg.norm(sign * S - m @ m.T) ** 2 for m in exact.reshape(-1, *M.shape)]
    fitted = np.linalg.eigvalsh(of_sign(sign * S, 1.0))[::-1][: M.shape[1]]
    run = gradient_flow(*tied(S, M, sign, scale, seed), times)
    assert run.excess[1:4] == pytest.approx(losses, rel=1e-6)
    assert run.excess[-1] == pytest.approx(0.5 * scale**2 * (np.sum(S**2) - np.sum(fitted**2)), rel=1e-6)


@pytest.mark.parametrize("seed", [1, 7])
def test_where_rounding_decides_the_run_stops_and_says_so(seed: int) -> None:
    S, M, scale, sign = tied_at_random(seed)
    with pytest.raises(ArithmeticError, match="rounding errors decide whether this start leaves a saddle"):
        gradient_flow(*tied(S, M, sign, scale, seed))


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


def test_random_starts_are_on_no_such_manifold() -> None:
    rng = np.random.default_rng(0)
    for r, m, h in ((1, 1, 1), (3, 1, 1), (3, 3, 2), (5, 2, 50), (20, 1, 10**6)):
        problem = reparametrize(rng.standard_normal((r, r + 2)), rng.standard_normal((r, m)))
        assert Inward.of(problem, standard_normal(problem, h, rng).R) is None
