"""The flow of networks narrower than their target: against whole networks and the best fit of their rank."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.two_layer import State, imbalance_matrix, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.exponential import exponential_steps
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.narrow import LARGEST_HESSIAN, Narrow, jacobian, restore, velocities
from implicit_bias.theory.solvers.stopping import STATIONARY, TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import excess_loss, velocity
from tests.support.oracles import conditioned_problem, gaussian_state, tight_flow

R, M, H = 6, 4, 2


def bare(R0: np.ndarray) -> State:
    return State(R=R0, U2=np.zeros((0, R0.shape[1])), r=R, h=R0.shape[1])


def best_loss(problem: Problem, width: int) -> float:
    return 0.5 * float(np.sum(np.linalg.svd(problem.Y_tilde, compute_uv=False)[width:] ** 2))


@pytest.mark.parametrize("cond", [1.7, 100.0])
@pytest.mark.parametrize("method", ["exponential", "explicit"])
def test_few_steps_to_the_best_fit_of_the_rank(cond: float, method: str) -> None:
    problem, R0 = conditioned_problem(R, M, cond), gaussian_state(R, M, H)
    run = gradient_flow(problem, bare(R0), [], Stop(), method, 1e-8)
    assert (run.stop_reason, run.t[-1]) == (STATIONARY, np.inf)
    assert run.excess[-1] == pytest.approx(best_loss(problem, H), rel=1e-13)
    A, s, BT = np.linalg.svd(problem.Y_tilde)
    fit = problem.sigma[:, None] * run.product[-1]
    np.testing.assert_allclose(A.T @ fit @ BT.T, np.eye(R, M) * s * (np.arange(M) < H), atol=1e-12)
    if method == "exponential":
        assert run.drift[-1] < 1e-14
        assert run.steps < 100


@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_run_is_that_of_the_whole_network(width: int) -> None:
    # D = 7 inputs, five samples, four outputs; U, V themselves, by an explicit method with tight tolerance
    rng = np.random.default_rng(width)
    X, Y = rng.standard_normal((5, 7)), rng.standard_normal((5, 4))
    U, V = 0.4 * rng.standard_normal((7, width)), 0.4 * rng.standard_normal((4, width))
    times = np.array([0.1, 0.5, 2.0, 10.0, 40.0])

    def field(_, y):
        U, V = np.split(y.reshape(11, width), [7])
        G = X.T @ (Y - X @ U @ V.T)
        return np.vstack([G @ V, G.T @ U]).ravel()

    full = solve_ivp(field, (0, 40), np.vstack([U, V]).ravel(), "DOP853", times, rtol=1e-12, atol=1e-14).y.T
    problem = reparametrize(X, Y)
    run = gradient_flow(problem, reduce_network(problem, U, V), times, Stop(), tol=1e-9)
    for found, product, state in zip(run.excess[1:], run.product[1:], full, strict=False):
        P, Q = np.split(state.reshape(11, width), [7])
        assert found + problem.loss_floor == pytest.approx(0.5 * np.sum((Y - X @ P @ Q.T) ** 2), rel=1e-9)
        np.testing.assert_allclose(product, problem.Phi1.T @ P @ Q.T, atol=3e-8)
    assert run.stop_reason == STATIONARY
    assert run.excess[-1] == pytest.approx(best_loss(problem, width), rel=1e-12)


def test_the_jacobian_is_that_of_the_velocity() -> None:
    problem, P = conditioned_problem(3, 2, 10.0), gaussian_state(3, 2, 4)
    J = jacobian(problem, P)
    np.testing.assert_allclose(J, J.T, atol=1e-14)
    for column, D in zip(J.T, np.eye(P.size).reshape(-1, *P.shape), strict=True):
        # a polynomial of degree 3 along a line: central differences at two distances are exact
        f = [velocity(problem, P + s * D) for s in (-2, -1, 1, 2)]
        slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / 12
        np.testing.assert_allclose(column, slope.ravel(), atol=1e-12)


def test_velocities_of_a_stack_are_those_of_its_states() -> None:
    problem, P = conditioned_problem(3, 2, 10.0), np.random.default_rng(0).standard_normal((4, 5, 2))
    np.testing.assert_allclose(velocities(problem, P), [velocity(problem, each) for each in P], atol=1e-14)


@pytest.mark.parametrize("size", [1e-3, 1e-9])
def test_restoring_the_imbalance_takes_the_nearest_way(size: float) -> None:
    rng = np.random.default_rng(0)
    P = rng.standard_normal((5, 3))
    moved = P + size * rng.standard_normal(P.shape)
    back = restore(moved, 3, imbalance_matrix(P, 3))
    np.testing.assert_allclose(imbalance_matrix(back, 3), imbalance_matrix(P, 3), atol=1e-14)
    # no farther than P itself, which has that imbalance too, but for the curvature of the leaf
    assert np.linalg.norm(back - moved) <= np.linalg.norm(P - moved) * (1 + 10 * size)


def test_the_error_falls_with_the_steps_as_their_order_says() -> None:
    problem, R0 = conditioned_problem(R, M, 10.0), gaussian_state(R, M, H)
    exact = tight_flow(problem, R0, np.array([8.0]))[0]
    steps, errors = [], []
    for tol in (1e-5, 1e-7, 1e-9, 1e-11):
        run = gradient_flow(problem, bare(R0), [], Stop(t_max=8.0), tol=tol)
        steps.append(run.steps)
        errors.append(np.linalg.norm(run.R - exact) / np.linalg.norm(exact))
    assert np.all(np.array(errors) < [1e-5, 1e-7, 1e-9, 1e-11])
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] < -5


@pytest.mark.parametrize("tol", [1e-6, 1e-9])
def test_dense_output_and_the_last_step_follow_the_flow(tol: float) -> None:
    problem, R0 = conditioned_problem(R, M, 10.0), gaussian_state(R, M, H)
    steps = list(exponential_steps(problem, R0, tol))
    times = np.concatenate([np.geomspace(0.1, 200, 9), [steps[-1].t0 * 1.1]])
    t, P, worst = 0.0, R0, 0.0
    for end in times:
        P, t = tight_flow(problem, P, np.array([end - t]))[0], end
        found = next(s for s in steps if end <= s.t1).at(end)
        worst = max(worst, np.linalg.norm(found - P) / np.linalg.norm(P))
        drift = imbalance_matrix(found, R) - imbalance_matrix(R0, R)
        assert np.linalg.norm(drift) <= 1e-14 * np.sum(R0**2 + found[0, 0] ** 2)
    assert worst <= 3 * tol


def test_the_loss_that_is_asked_for_above_the_floor_ends_the_run() -> None:
    problem, R0 = conditioned_problem(R, M, 10.0), gaussian_state(R, M, H)
    target = best_loss(problem, H) * (1 + 1e-4)
    run = gradient_flow(problem, bare(R0), [], Stop(excess=target))
    assert run.stop_reason == TOLERANCE
    assert run.excess[-1] == pytest.approx(target, rel=1e-9)


def test_singular_values_that_are_alike_leave_a_choice_and_an_end() -> None:
    problem = Problem(n=3, sigma=np.array([1.0, 0.7, 0.4]), Phi1=np.eye(3), Y_tilde=np.eye(3), loss_floor=0.0)
    run = gradient_flow(problem, State(R=gaussian_state(3, 3, 2), U2=np.zeros((0, 2)), r=3, h=2))
    assert run.stop_reason == STATIONARY
    assert run.excess[-1] == pytest.approx(0.5, rel=1e-9)
    assert run.steps < 400


def test_where_the_hessian_is_made() -> None:
    narrow, wide = gaussian_state(R, M, H), gaussian_state(R, M, 20)
    problem = conditioned_problem(R, M, 10.0)
    large = conditioned_problem(200, 4, 10.0)
    assert LARGEST_HESSIAN < 2 * 204
    assert Narrow.of(large, gaussian_state(200, 4, 2), 1e-8) is None
    steps, easy = Narrow.of(problem, narrow, 1e-8), Narrow.of(problem, wide, 1e-8)
    assert steps is not None
    assert easy is not None
    assert steps.suits(narrow, 1.0)
    assert not steps.suits(narrow * np.array([1.0, 1e-8]), 1.0), "a tiny direction"
    assert not easy.suits(wide, 1.0), "the target is in reach"
    assert easy.suits(wide, 1e3), "a long way in the group"
    assert excess_loss(problem, narrow) > 0
