"""Slow ends on curved manifolds, what is said of late losses, and magnitudes that floating point does not hold."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.equilibria import at_rest, decays_algebraically
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.narrow import jacobian
from implicit_bias.theory.solvers.reference import Reference
from implicit_bias.theory.solvers.stopping import SADDLE, STATIONARY, Stop
from implicit_bias.theory.solvers.trajectory import excess_loss, velocity
from tests.support.oracles import conditioned_problem, gaussian_state, saxe_mode

METHODS = ("explicit", "exponential")


def made(sigma: np.ndarray, Y: np.ndarray) -> Problem:
    r = len(sigma)
    return Problem(n=r, sigma=sigma, Phi1=np.eye(r), Y_tilde=Y, loss_floor=0.0)


def bare(R: np.ndarray, r: int) -> State:
    return State(R, np.zeros((0, R.shape[1])), r, R.shape[1])


def nearly_tied(gap: float) -> tuple[Problem, np.ndarray]:
    """Singular values of the target 2, 1 + gap, 1: two hidden directions choose between the last two."""
    rng = np.random.default_rng(3)
    A, B = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (4, 3))
    return made(np.geomspace(1, 0.3, 4), A[:, :3] @ np.diag([2, 1 + gap, 1]) @ B), 0.5 * rng.standard_normal((7, 2))


def copies(noise: float, width: int) -> tuple[Problem, np.ndarray]:
    """Three copies of one output, each with noise of its own."""
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((4, 1)) + noise * rng.standard_normal((4, 3))
    return made(np.ones(4), Y), rng.standard_normal((7, width))


def implicit(problem: Problem, R: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Excess losses by scipy's Radau."""
    found = solve_ivp(
        lambda _, y: velocity(problem, y.reshape(R.shape)).ravel(), (0, times[-1]), R.ravel(), "Radau", times,
        rtol=1e-9, atol=1e-11, jac=lambda _, y: jacobian(problem, y.reshape(R.shape)),
    )  # fmt: skip
    return np.array([excess_loss(problem, y.reshape(R.shape)) for y in found.y.T])


@pytest.mark.parametrize("gap", [1e-4, 1e-8])
def test_singular_values_that_nearly_tie_take_as_many_steps_as_others(gap: float) -> None:
    problem, R = nearly_tied(gap)
    run = gradient_flow(problem, bare(R, 4))
    assert (run.stop_reason, run.t[-1]) == (STATIONARY, np.inf)
    assert run.excess[-1] == pytest.approx(0.5, rel=1e-13)
    assert run.steps < 200  # the step of plain sweeps is bounded by sqrt(gap): thousands


def test_a_slow_way_along_a_curved_manifold_is_that_of_an_implicit_method() -> None:
    problem, R = nearly_tied(1e-3)
    times = np.array([10.0, 300.0, 1000.0, 3000.0, 10000.0])
    run = gradient_flow(problem, bare(R, 4), times)
    expected = implicit(problem, R, times) - 0.5
    np.testing.assert_allclose(run.excess[1:6] - 0.5, expected, rtol=1e-5, atol=1e-9)
    assert expected[2] > 1e-5, "it is still on its way"


@pytest.mark.parametrize("width", [2, 3])
def test_copies_of_an_output_with_noise_end_at_the_best_fit(width: int) -> None:
    problem, R = copies(1e-2, width)
    times = np.array([10.0, 1e3, 1e4, 1e5])
    run = gradient_flow(problem, bare(R, 4), times)
    floor = 0.5 * np.sum(np.linalg.svd(problem.Y_tilde, compute_uv=False)[width:] ** 2)
    assert (run.stop_reason, run.t[-1]) == (STATIONARY, np.inf)
    assert run.excess[-1] == pytest.approx(floor, rel=1e-9, abs=1e-25)
    assert run.steps < 400
    np.testing.assert_allclose(run.excess[1:5], implicit(problem, R, times), rtol=1e-4)


@pytest.mark.parametrize("noise", [1e-8, 1e-12])
@pytest.mark.parametrize("width", [2, 3])
def test_copies_with_next_to_no_noise_end_at_rest_and_nowhere_else(noise: float, width: int) -> None:
    problem, R = copies(noise, width)
    run = gradient_flow(problem, bare(R, 4))
    assert run.steps < 400
    floor = 0.5 * np.sum(np.linalg.svd(problem.Y_tilde, compute_uv=False)[width:] ** 2)
    assert run.stop_reason in (STATIONARY, SADDLE)
    if run.stop_reason == SADDLE:
        assert at_rest(problem, run.R), "the end of a run is where it rests"
    else:
        assert run.excess[-1] - floor < 1e-3 * noise**2


def test_a_few_points_show_no_power_of_time() -> None:
    assert not decays_algebraically(np.geomspace(1, 1e6, 8), np.geomspace(1, 1e6, 8) ** -2.0)


def test_slow_rows_are_no_rest() -> None:
    problem, R = conditioned_problem(100, 1, 1e10), gaussian_state(100, 1, 500)
    run = gradient_flow(problem, bare(R, 100), [], Stop(), tol=1e-12)
    assert run.stop_reason == STATIONARY
    solution = problem.min_norm_coordinates
    assert np.linalg.norm(run.product[-1] - solution) <= 1e-14 * np.linalg.norm(solution)


def slow_share(share: float, tol: float, seed: int) -> tuple[Problem, np.ndarray, np.ndarray]:
    """A start of residual about sqrt(tol), `share` of it in the slowest mode; and times at which that one is left."""
    rng = np.random.default_rng(seed)
    sigma, R = np.array([1.0, 0.4]), 0.8 * rng.standard_normal((3, 3))
    kernel = Reference.at(made(sigma, np.zeros((2, 1))), R, 0.0)
    slow, fast = float(kernel.L[0, 0]), float(kernel.L[1, 0])
    E = 0.2 * np.sqrt(tol) * slow * kernel.unhat(np.array([[share], [1.0]]))
    return made(sigma, sigma[:, None] * (R[:2] @ R[2:].T) + E), R, np.linspace(0.5, 12, 8) / min(slow, fast)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("share", [1.0, 1e-2, 1e-5, 0.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_says_where_its_late_losses_may_be_wrong(method: str, share: float, seed: int) -> None:
    """Against the flow of P and E as one system, each entry of which has its own relative error."""
    tol = 1e-6
    problem, R, times = slow_share(share, tol, seed)
    s = problem.sigma[:, None]

    def both(_: float, y: np.ndarray) -> np.ndarray:
        U1, V, E = y[:6].reshape(2, 3), y[6:9].reshape(1, 3), y[9:].reshape(2, 1)
        F = s * E
        return np.concatenate([(F @ V).ravel(), (F.T @ U1).ravel(), -(s * (U1 @ (U1.T @ F) + F @ (V @ V.T))).ravel()])

    E0 = problem.Y_tilde - s * (R[:2] @ R[2:].T)
    exact = solve_ivp(
        both, (0, times[-1]), np.concatenate([R.ravel(), E0.ravel()]), "DOP853", times, rtol=1e-11, atol=1e-25
    )
    losses = 0.5 * np.sum(exact.y[9:] ** 2, axis=0)
    run = gradient_flow(problem, bare(R, 2), times, Stop(), method, tol)
    seen = min(np.count_nonzero(losses > 1e-22), len(run.excess) - 2)
    error = np.max(np.abs(run.excess[1 : 1 + seen] / losses[:seen] - 1))
    assert error <= 3 * np.sqrt(tol) + run.loss_error
    if share == 1.0:
        assert run.loss_error < 0.01


def test_a_mode_below_the_tolerance_is_reported() -> None:
    # ordinary steps first: their errors are of size tol in every mode, and the slowest one holds far less
    problem, R, times = slow_share(1e-9, 1.0, 0)
    run = gradient_flow(problem, bare(R, 2), times, Stop(), tol=1e-5)
    assert run.loss_error > 0.1


# Magnitudes


@pytest.mark.parametrize("method", METHODS)
def test_a_tiny_direction_leaves_its_plateau_beside_larger_ones(method: str) -> None:
    # V alone at the start: (u + v) / 2 = v / 2 grows as exp(s t), as it does from u = v = v(0) / 2
    s, small = 0.45, 2.2e-70
    R = np.zeros((4, 2))
    R[2, 0], R[3, 1] = small, 1e-20
    problem = made(np.ones(2), np.diag([s, 2e-80]))
    half = np.log(s / (small / 2) ** 2) / (2 * s)
    run = gradient_flow(problem, bare(R, 2), [half], Stop(t_max=2 * half), method)
    assert run.product[1, 0, 0] == pytest.approx(saxe_mode(s, small / 2, small / 2, half), rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_layers_of_different_sizes_do_not_raise_the_loss(method: str) -> None:
    R = np.zeros((4, 2))
    R[:2], R[2:] = np.diag([3e-7, 1.0]), np.diag([1e6, 0.5])
    problem = made(np.ones(2), np.diag([1.0, 1.0]))
    run = gradient_flow(problem, bare(R, 2), [1e-13, 1e-12, 0.5, 2.0], Stop(t_max=5.0), method)
    assert np.all(np.diff(run.excess) < 0)
    # V hardly moves while U fits the first mode at the rate 1e12
    np.testing.assert_allclose(run.product[1:3, 0, 0], 1 - 0.7 * np.exp(-1e12 * run.t[1:3]), atol=1e-6)
    np.testing.assert_allclose(run.product[3:5, 0, 0], 1, atol=1e-6)


def test_rates_that_floating_point_does_not_hold_at_once_are_refused() -> None:
    R = np.zeros((4, 2))
    R[2:] = np.diag([1e33, 1.3])
    for method in METHODS:
        with pytest.raises(ArithmeticError, match="floating point does not hold both"):
            gradient_flow(made(np.ones(2), np.diag([0.3, 0.4])), bare(R, 2), [], Stop(), method)
