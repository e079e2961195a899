"""The exponential collocation integrator against exact solutions, tight references and its own invariants."""

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy.linalg import expm

from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.exponential import collocate, exponential_steps
from implicit_bias.theory.solvers.orbit import exponential
from implicit_bias.theory.solvers.reference import Reference, phi
from implicit_bias.theory.solvers.trajectory import Step, residual
from tests.support.oracles import (
    balanced_state,
    conditioned_problem,
    gaussian_state,
    losses,
    riccati_gram,
    saxe_mode,
    spectrum_problem,
    states,
    stiff_flow,
    tight_flow,
)


def solve(problem: Problem, R0: Array, tol: float, most: int = 500, until: float = np.inf) -> list[Step]:
    steps = []
    for step in islice(exponential_steps(problem, R0, tol), most):
        steps.append(step)
        if step.t1 >= until:
            break
    return steps


def distance(R: Array, exact: Array) -> float:
    return float(np.max(np.linalg.norm(R - exact, axis=(-2, -1)) / np.linalg.norm(exact, axis=(-2, -1))))


def drift(problem: Problem, R0: Array, R: Array) -> float:
    moved = imbalance_matrix(R, problem.r) - imbalance_matrix(R0, problem.r)
    return float(np.linalg.norm(moved) / np.sum(R**2))


def slope(x: Array, y: Array) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# Building blocks


def test_phi_satisfies_its_integral_definition() -> None:
    z = -np.concatenate([[0.0], np.geomspace(1e-12, 1e4, 60), [1.5, np.nextafter(1.5, 2)]])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    pieces = np.concatenate([[0.0], np.geomspace(1e-7, 1, 30)])
    x = np.concatenate([(a + b) / 2 + (b - a) / 2 * nodes for a, b in pairwise(pieces)])
    w = np.concatenate([(b - a) / 2 * weights for a, b in pairwise(pieces)])
    values, factorial = phi(z, 7), 1.0
    np.testing.assert_allclose(values[0], np.exp(z), rtol=1e-15)
    for k in range(1, 8):
        factorial *= max(k - 1, 1)
        integral = np.exp(z[:, None] * x) * (1 - x) ** (k - 1) @ w / factorial
        np.testing.assert_allclose(values[k], integral, rtol=1e-12)


@pytest.mark.parametrize(("r", "m"), [(5, 1), (4, 3), (2, 5), (1, 1)])
def test_group_exponential_is_the_matrix_exponential_and_keeps_the_form(r: int, m: int) -> None:
    rng = np.random.default_rng(0)
    J = np.diag([1.0] * r + [-1.0] * m)
    for size in (0.0, 1e-9, 1e-3, 1.0, 2.0):
        X = rng.standard_normal((r, m))
        X *= size / np.linalg.norm(X)
        S = np.block([[np.zeros((r, r)), X], [X.T, np.zeros((m, m))]])
        T = exponential(X, np.eye(r + m))
        np.testing.assert_allclose(T, expm(S), atol=1e-14)
        np.testing.assert_allclose(T @ J @ T.T, J, atol=2e-14)


# Accuracy

PROBLEMS = {
    "gaussian": (conditioned_problem(20, 1, 10), gaussian_state(20, 1, 500), 60),
    "outputs": (conditioned_problem(15, 4, 100), gaussian_state(15, 4, 300), 700),
    "clustered outputs": (conditioned_problem(8, 12, 10), gaussian_state(8, 12, 4000), 60),
    "gapped": (spectrum_problem(np.repeat([10.0, 1.0], 4), 2), gaussian_state(8, 2, 40), 15),
    "narrow, h < r": (conditioned_problem(10, 3, 10), gaussian_state(10, 3, 5), 300),
    "h = m": (conditioned_problem(10, 2, 10), gaussian_state(10, 2, 2), 300),
    "unreachable, h < m": (conditioned_problem(6, 4, 10), gaussian_state(6, 4, 2), 5),
    "balanced": (conditioned_problem(10, 2, 10), balanced_state(conditioned_problem(10, 2, 10), 0.01), 200),
    "rich": (conditioned_problem(10, 2, 10), gaussian_state(10, 2, 30, 1e-4), 200),
    "lazy": (conditioned_problem(10, 2, 10), gaussian_state(10, 2, 30, 10.0), 0.1),
    "V = 0": (conditioned_problem(10, 2, 10), gaussian_state(10, 2, 30) * np.repeat([1.0, 0.0], [10, 2])[:, None], 80),
    "many outputs, r < m": (conditioned_problem(2, 5, 10), gaussian_state(2, 5, 100), 40),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_meets_the_tolerance_and_keeps_the_imbalance(name: str) -> None:
    problem, R0, end = PROBLEMS[name]
    times = np.concatenate([[0.0], np.geomspace(1e-4 * end, end, 25)])
    exact = tight_flow(problem, R0, times)
    loss = losses(problem, exact)
    seen = loss > 1e-16 * loss[0]
    for tol in (1e-4, 1e-7, 1e-10):
        steps = solve(problem, R0, tol, until=end)
        run = states(steps, times)
        assert distance(run, exact) < 10 * tol
        np.testing.assert_allclose(losses(problem, run)[seen], loss[seen], rtol=10 * np.sqrt(tol))
        assert max(drift(problem, R0, R) for R in [*run, *(s.R for s in steps)]) < 1e-13


@pytest.mark.parametrize(("r", "m", "h", "lam"), [(6, 1, 1, 0.5), (6, 3, 2, 0.8), (3, 6, 2, -0.8), (5, 3, 3, 0.0)])
def test_riccati_solution_of_whitened_balanced_flow(r: int, m: int, h: int, lam: float) -> None:
    problem = spectrum_problem(np.ones(r), m, seed=3)
    rng = np.random.default_rng(4)
    A, B = np.linalg.qr(rng.standard_normal((r, h)))[0], np.linalg.qr(rng.standard_normal((m, h)))[0]
    base = 0.3
    R0 = np.vstack([np.sqrt(base + max(lam, 0)) * A, np.sqrt(base + max(-lam, 0)) * B])
    times = np.array([0.0, 0.3, 1.0, 2.5, 6.0])
    for tol in (1e-6, 1e-9):
        run = states(solve(problem, R0, tol), times)
        for t, R in zip(times, run, strict=True):
            gram = riccati_gram(problem, R0, t)
            assert np.linalg.norm(R @ R.T - gram) < 20 * tol * np.linalg.norm(gram)


@pytest.mark.parametrize(("u0", "v0"), [(0.01, 0.01), (1.0, 0.2), (0.05, 0.7), (1e-6, 1e-6), (3.0, 2.0)])
def test_saxe_mode(u0: float, v0: float) -> None:
    s = 1.3
    problem = Problem(n=1, sigma=np.ones(1), Phi1=np.eye(1), Y_tilde=np.array([[s]]), loss_floor=0.0)
    times = np.linspace(0, 25, 40)
    run = states(solve(problem, np.array([[u0], [v0]]), 1e-9), times)
    product, exact = run[:, 0, 0] * run[:, 1, 0], saxe_mode(s, u0, v0, times)
    np.testing.assert_allclose(product, exact, rtol=1e-7)
    late = (times > 1) & (np.abs(s - exact) > 1e-10)
    np.testing.assert_allclose((s - product)[late], (s - exact)[late], rtol=1e-4)


def march(problem: Problem, R: Array, end: float, n: int) -> Array:
    """n equal collocation steps, each with its own reference kernel."""
    for _ in range(n):
        E, reference = residual(problem, R), Reference.at(problem, R, 0.0)
        segment = collocate(problem, reference, R, end / n, E, np.zeros_like(E), 1e-12)
        assert segment is not None
        R = segment.move(1.0)[0]
    return R


@pytest.mark.parametrize("gap", [1.0, 1e2, 1e4])
def test_fixed_steps_have_order_four_at_least_whatever_the_stiffness(gap: float) -> None:
    problem = spectrum_problem(np.concatenate([np.full(4, gap), np.linspace(1, 1.5, 4)]), 2, seed=5)
    (after_layer,) = states(solve(problem, gaussian_state(8, 2, 40), 1e-10), np.array([0.3]))
    n = np.array([4, 6, 8, 12, 16])
    exact = march(problem, after_layer, 1.0, 48)
    errors = np.array([distance(march(problem, after_layer, 1.0, i), exact) for i in n])
    assert errors[0] < 1e-8
    assert slope(1 / n, errors) > 3.9


@pytest.mark.parametrize("gap", [10.0, 1e4])
def test_the_correction_takes_the_error_of_the_chain_out_of_stiff_modes(gap: float) -> None:
    problem = spectrum_problem(np.concatenate([np.full(4, gap), np.linspace(1, 1.5, 4)]), 2, seed=5)
    (R,) = states(solve(problem, gaussian_state(8, 2, 40), 1e-10), np.array([0.3]))
    E, reference = residual(problem, R), Reference.at(problem, R, 0.0)
    segment = collocate(problem, reference, R, 0.25, E, np.zeros_like(E), 1e-12)
    assert segment is not None
    corrected, smooth, X = segment.move(1.0)
    missed = [reference.hat(residual(problem, P) - smooth) for P in (exponential(-X, corrected), corrected)]
    stiff = 0.25 * reference.L > 20
    before, after = (np.linalg.norm(each[stiff]) for each in missed)
    assert after < 0.2 * before


def test_dense_output_is_as_accurate_as_the_steps_and_continuous() -> None:
    problem, R0, _ = PROBLEMS["outputs"]
    steps = solve(problem, R0, 1e-6)
    for step, after in pairwise(steps):
        assert after.t0 == step.t1
        assert distance(step.at(step.t1), step.R) < 1e-13
        assert distance(after.at(after.t0), step.R) < 1e-13
    inside = np.concatenate([s.t0 + (s.t1 - s.t0) * np.array([0.1, 0.5, 0.9]) for s in steps[:-1]])
    assert distance(states(steps, inside), states(solve(problem, R0, 1e-11), inside)) < 1e-6


def test_more_precise_tolerances_give_more_precise_runs_at_sixth_order_cost() -> None:
    problem, R0 = conditioned_problem(30, 2, 1e6), gaussian_state(30, 2, 200)
    times, tols = np.geomspace(1e-2, 1e7, 40), np.array([1e-5, 1e-6, 1e-7, 1e-8])
    exact = states(solve(problem, R0, 1e-11), times)
    runs = [solve(problem, R0, tol) for tol in tols]
    errors = np.array([distance(states(run, times), exact) for run in runs])
    assert np.all(errors < tols)
    assert slope(tols, errors) > 0.7
    assert -0.22 < slope(tols, np.array([len(run) for run in runs])) < 0


# Stiffness


@pytest.mark.parametrize("cond", [1e4, pytest.param(1e8, marks=pytest.mark.slow)])
def test_stiff_flow_and_its_small_losses(cond: float) -> None:
    problem, R0 = conditioned_problem(5, 2, cond), gaussian_state(5, 2, 20)
    times = np.geomspace(0.1, 4 * cond, 30)
    exact = stiff_flow(problem, R0, times)
    loss = losses(problem, exact)
    seen = loss > 1e-17 * loss[0]
    assert loss[seen][-1] < 1e-9 * loss[0]
    for tol in (1e-5, 1e-7, 1e-9):
        run = states(solve(problem, R0, tol), times)
        assert distance(run, exact) < tol + 1e-9
        np.testing.assert_allclose(losses(problem, run)[seen], loss[seen], rtol=10 * np.sqrt(tol))


def test_cost_is_blind_to_conditioning() -> None:
    R0 = gaussian_state(60, 1, 500)
    for cond in (1.0, 1e2, 1e4, 1e6, 1e8, 1e10):
        problem = conditioned_problem(60, 1, cond)
        steps = solve(problem, R0, 1e-6)
        assert steps[-1].t1 == np.inf
        assert len(steps) <= 10 + 4 * np.log10(cond)


def test_tight_tolerances_near_a_saddle_cost_what_the_order_says() -> None:
    problem, R0 = conditioned_problem(8, 1, 1e10), gaussian_state(8, 1, 40, 1e-4)
    loose, tight = (solve(problem, R0, tol, most=2000) for tol in (1e-6, 1e-12))
    assert loose[-1].t1 == tight[-1].t1 == np.inf
    assert len(tight) < 10 * len(loose)
    assert distance(loose[-1].R, tight[-1].R) < 1e-6


def test_limit_is_the_min_norm_product_on_the_orbit_of_the_start() -> None:
    for cond in (1.0, 1e10):
        problem, R0 = conditioned_problem(40, 3, cond), gaussian_state(40, 3, 300)
        last = solve(problem, R0, 1e-6)[-1]
        U1, V = np.split(last.R, [40])
        M = problem.min_norm_coordinates
        assert np.linalg.norm(U1 @ V.T - M) < 1e-14 * np.linalg.norm(last.R) ** 2
        assert drift(problem, R0, last.R) < 1e-14
        np.testing.assert_array_equal(last.at(np.inf), last.R)


# The edges


def test_equilibria_stay() -> None:
    problem = conditioned_problem(6, 2, 10)
    (step,) = solve(problem, np.zeros((8, 8)), 1e-6)
    assert step.t1 == np.inf
    assert not np.any(step.at(3.0))
    R0 = gaussian_state(6, 2, 20)
    solved = Problem(
        n=6,
        sigma=problem.sigma,
        Phi1=problem.Phi1,
        Y_tilde=problem.sigma[:, None] * (R0[:6] @ R0[6:].T),
        loss_floor=0.0,
    )
    (step,) = solve(solved, R0, 1e-6)
    assert step.t1 == np.inf
    assert distance(step.at(3.0), R0) < 1e-14


def test_unreachable_target_yields_finite_steps_and_then_the_equilibrium() -> None:
    problem, R0 = conditioned_problem(5, 3, 4), gaussian_state(5, 3, 1)
    steps = solve(problem, R0, 1e-6, most=2000)
    assert all(np.isfinite(s.t1) and s.t1 > s.t0 for s in steps[:-1])
    assert steps[-1].t1 == np.inf
    U1, V = np.split(steps[-1].R, [5])
    F = problem.sigma[:, None] * residual(problem, steps[-1].R)
    assert np.linalg.norm(F @ V) + np.linalg.norm(F.T @ U1) < 1e-12
    best = 0.5 * np.sum(np.linalg.svd(problem.Y_tilde, compute_uv=False)[1:] ** 2)
    assert losses(problem, steps[-1].R[None])[0] == pytest.approx(best, rel=1e-9)


def test_reachable_target_of_a_network_narrower_than_its_output() -> None:
    start, goal = gaussian_state(6, 3, 2, seed=6), gaussian_state(6, 3, 2, seed=7)
    sigma = np.geomspace(1, 0.3, 6)
    problem = Problem(
        n=6, sigma=sigma, Phi1=np.eye(6), Y_tilde=sigma[:, None] * (goal[:6] @ goal[6:].T), loss_floor=0.0
    )
    steps = solve(problem, start, 1e-6)
    assert steps[-1].t1 == np.inf
    loss = losses(problem, np.array([start, *(step.R for step in steps)]))
    assert np.all(np.diff(loss) < 1e-25)  # no wandering in what the network does not see
    assert loss[-1] < 1e-25


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("cond", [1.0, 1e6])
def test_scales_of_the_initialisation(scale: float, cond: float) -> None:
    problem, R0 = conditioned_problem(20, 2, cond), scale * gaussian_state(20, 2, 100)
    steps = solve(problem, R0, 1e-6)
    assert steps[-1].t1 == np.inf
    assert max(drift(problem, R0, s.R) for s in steps if np.linalg.norm(s.R) > 0.5) < 1e-13
    assert np.linalg.norm(residual(problem, steps[-1].R)) < 1e-14 * np.linalg.norm(steps[-1].R) ** 2


def test_kernel_that_turns_nearly_singular_on_the_way() -> None:
    problem = conditioned_problem(13, 7, 38.0, seed=1069, size=0.01)
    R0 = gaussian_state(13, 7, 17, 27.0, seed=1069)
    steps = solve(problem, R0, 2.6e-5, most=40)
    loss = losses(problem, np.array([R0, *(s.R for s in steps)]))
    assert np.all(np.diff(loss) <= 1e-12 * loss[0])
    assert drift(problem, R0, steps[-1].R) < 1e-13


@pytest.mark.parametrize("tol", [0.0, -1.0, 1e-14, 1.0, 2.0, np.nan, np.inf])
def test_bad_tolerance(tol: float) -> None:
    with pytest.raises(ValueError, match=r"tol must be at least 1e-13 and below 1, got "):
        exponential_steps(conditioned_problem(2, 1, 1), np.eye(3), tol)


def test_random_problems_hold_their_invariants() -> None:
    rng = np.random.default_rng(8)
    for seed in range(12):
        r, m, h = int(rng.integers(1, 12)), int(rng.integers(1, 6)), int(rng.integers(1, 20))
        problem = conditioned_problem(r, m, 10 ** rng.uniform(0, 8), seed, size=10 ** rng.uniform(-2, 2))
        R0 = gaussian_state(r, m, h, 10 ** rng.uniform(-3, 1), seed)
        steps = solve(problem, R0, 10 ** rng.uniform(-10, -2), most=60)
        loss = losses(problem, np.array([R0, *(s.R for s in steps)]))
        assert np.all(np.diff(loss) <= 1e-6 * loss[:-1] + 1e-25 * np.sum(steps[-1].R ** 2))
        assert max(drift(problem, R0, s.R) for s in steps) < 1e-13 * max(1.0, np.sum(R0**2))


@pytest.mark.slow
@pytest.mark.parametrize(("r", "m", "cond"), [(1000, 1, 1e6), (200, 20, 1e4)])
def test_large_problems(r: int, m: int, cond: float) -> None:
    problem, R0 = conditioned_problem(r, m, cond), gaussian_state(r, m, 2 * r)
    steps = solve(problem, R0, 1e-6)
    assert steps[-1].t1 == np.inf
    assert len(steps) < 60
    assert drift(problem, R0, steps[-1].R) < 1e-14
    assert np.linalg.norm(residual(problem, steps[-1].R)) < 1e-13 * np.linalg.norm(problem.Y_tilde)
