"""The explicit flow: order, error, what a step may do, and where the last step takes over."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from implicit_bias.theory.kernel import kernel_largest
from implicit_bias.theory.networks.two_layer import imbalance_matrix, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.explicit import Fastest, explicit_steps, left_to_go
from implicit_bias.theory.solvers.reference import Reference
from implicit_bias.theory.solvers.runge_kutta import RungeKutta8
from implicit_bias.theory.solvers.trajectory import residual
from tests.support.oracles import conditioned_problem, gaussian_state, tight_flow

PROBLEM = conditioned_problem(5, 2, 10.0)
START = gaussian_state(5, 2, 30)


def rotation_field(P, out):
    """u' = v, v' = -u."""
    return lambda: np.copyto(out, np.array([P[1], -P[0]]))


def test_a_step_has_order_8_and_its_estimate_order_7() -> None:
    steps = np.array([1.6, 0.8, 0.4])
    errors, estimates = [], []
    for h in steps:
        run = RungeKutta8(rotation_field, np.array([1.0, 0.5]))
        run.step(h)
        errors.append(np.linalg.norm(run.end - expm(h * np.array([[0, 1], [-1, 0]])) @ [1.0, 0.5]))
        estimates.append(np.linalg.norm(run.error(h, np.ones_like(run.start))[0]))
    np.testing.assert_allclose(np.diff(np.log2(errors)), -9, atol=0.5)
    np.testing.assert_allclose(np.diff(np.log2(estimates)), -8, atol=0.7)
    assert np.all(np.array(estimates) > errors)


def test_a_step_far_too_large_is_seen_in_its_estimate() -> None:
    run = RungeKutta8(lambda P, out: lambda: np.multiply(P * P, P, out), np.full((2, 2), 1e3))
    with np.errstate(over="ignore", invalid="ignore"):
        run.step(1e9)
        assert not run.error(1e9, np.ones_like(run.start))[1] <= 1.0


@pytest.mark.parametrize("tol", [0.4, 0.2, 0.05, 1e-3, 1e-8, 1e-9, 1e-10, 1e-12])
@pytest.mark.parametrize("seed", range(6))
def test_samples_keep_the_tolerance(tol: float, seed: int) -> None:
    """At thirds of steps, where they move fastest and last; each reached from the step before by a tight run."""
    rng = np.random.default_rng(seed)
    r, m = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    problem = conditioned_problem(r, m, 10 ** rng.uniform(0, 2))
    R = gaussian_state(r, m, 20) * 10 ** rng.uniform(-0.5, 0.5)
    steps = [step for step in explicit_steps(problem, R, tol) if step.t1 < np.inf]
    for step in [*steps[:6], *steps[-2:]]:
        start = step.at(step.t0)
        for share in (1 / 3, 2 / 3):
            exact = tight_flow(problem, start, np.array([share * (step.t1 - step.t0)]))[0]
            found = step.at(step.t0 + share * (step.t1 - step.t0))
            assert np.linalg.norm(found - exact) <= max(tol, 3e-13) * np.linalg.norm(R)


@pytest.mark.parametrize("tol", [1e-5, 1e-7, 1e-9, 1e-11])
def test_the_error_along_the_run_is_below_the_tolerance(tol: float) -> None:
    steps = list(explicit_steps(PROBLEM, START, tol))
    ends = np.array([step.t1 for step in steps[:-1]])
    within = np.concatenate([ends[:-1] + np.diff(ends) * share for share in (0.21, 0.68)])
    late = ends[-1] * np.array([1.1, 2.0, 4.0])
    times = np.unique(np.concatenate([ends[-1:], ends[:-1:6], within[::7], late]))
    found = np.array([next(s for s in steps if t <= s.t1).at(t) for t in times])
    exact, P, before = [], START, 0.0
    for t in times:  # one run to each time: its steps end there, and its dense output is not used
        P, before = tight_flow(PROBLEM, P, np.array([t - before]))[0], t
        exact.append(P)
    assert np.max(np.linalg.norm(found - np.array(exact), axis=(1, 2))) <= tol * np.linalg.norm(START)
    drift = [np.linalg.norm(imbalance_matrix(P, 5) - imbalance_matrix(START, 5)) for P in found]
    assert np.max(drift) <= tol * np.sum(START**2)


def test_the_last_step_begins_near_the_end_and_reaches_it() -> None:
    tol = 1e-8
    *steps, last = explicit_steps(PROBLEM, START, tol)
    assert last.t1 == np.inf
    np.testing.assert_allclose(last.R[:5] @ last.R[5:].T, PROBLEM.min_norm_coordinates, atol=1e-13)
    assert left_to_go(PROBLEM, steps[-1].R) <= 0.1 * np.sqrt(tol)
    assert np.linalg.norm(last.R - steps[-1].R) <= 0.1 * np.sqrt(tol) * np.linalg.norm(last.R) * 1.01
    np.testing.assert_allclose(last.at(last.t0), steps[-1].R, atol=1e-12)


def test_few_steps_are_needed() -> None:
    assert len(list(explicit_steps(PROBLEM, START, 1e-6))) <= 27


@pytest.mark.parametrize("m", [1, 3])
def test_what_is_left_to_go_is_the_integral_of_the_frozen_flow(m: int) -> None:
    problem, R = conditioned_problem(4, m, 30.0), gaussian_state(4, m, 20)
    reference = Reference.at(problem, R, spread=0.0)
    frozen = np.linalg.norm(reference.left_to_go(reference.hat(residual(problem, R))))
    assert left_to_go(problem, R) == pytest.approx(frozen, rel=1e-9)


def test_a_kernel_that_is_singular_leaves_no_last_step() -> None:
    problem = Problem(n=2, sigma=np.ones(2), Phi1=np.eye(2), Y_tilde=np.eye(2), loss_floor=0.0)
    assert left_to_go(problem, np.zeros((4, 2))) == np.inf


def test_the_flow_scales_with_powers_of_two_exactly() -> None:
    a, b = 2.0**30, 2.0**-11
    scaled = Problem(
        n=PROBLEM.n, sigma=a * PROBLEM.sigma, Phi1=PROBLEM.Phi1, Y_tilde=a * b**2 * PROBLEM.Y_tilde, loss_floor=0.0
    )
    plain = list(explicit_steps(PROBLEM, START, 1e-6))
    for step, other in zip(plain, explicit_steps(scaled, b * START, 1e-6), strict=True):
        np.testing.assert_allclose(other.R / b, step.R, rtol=1e-11)
        assert other.t1 * a**2 * b**2 == pytest.approx(step.t1, rel=1e-11)


def test_a_slow_end_takes_bounded_work() -> None:
    # a balanced mode without a target decays as u' = -u^3, for ever slower
    problem = Problem(n=1, sigma=np.ones(1), Phi1=np.eye(1), Y_tilde=np.zeros((1, 1)), loss_floor=0.0)
    steps = list(explicit_steps(problem, np.array([[0.7], [0.7]]), 1e-8))
    assert len(steps) < 1500
    t = next(step for step in steps if step.t1 > 1e7).at(1e7)
    np.testing.assert_allclose(t, (0.7**-2 + 2e7) ** -0.5, rtol=1e-5)


def test_every_step_begins_where_the_one_before_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("implicit_bias.theory.solvers.explicit._MOST_STEPS", 3)  # then the exponential flow takes over
    problem = reparametrize([[1.0]], [[0.36]])
    for seed in range(30):
        rng = np.random.default_rng(seed)
        R = reduce_network(problem, rng.standard_normal((1, 8)), rng.standard_normal((1, 8))).R
        first, *others = explicit_steps(problem, R, 1e-8)
        assert others[-1].t1 == np.inf
        for before, step in pairwise([first, *others]):
            assert step.t0 == before.t1
            np.testing.assert_allclose(step.at(step.t0), before.R, rtol=0, atol=1e-10 * np.linalg.norm(R))


@pytest.mark.parametrize("exponent", [-200, -150, 150])
def test_the_estimate_of_a_step_scales_with_the_state(exponent: int) -> None:
    """A linear field: neither squares nor their sums may leave floating point."""
    estimates = []
    for scale in (1.0, 2.0**exponent):

        def field(R: np.ndarray, velocity: np.ndarray):
            def evaluate() -> None:
                np.multiply(R, -3.0, velocity)

            return evaluate

        run = RungeKutta8(field, scale * np.ones((2, 2)))
        run.step(0.3)
        error, size = run.error(0.3, np.full((2, 2), scale))
        estimates.append(np.max(error) / scale)
        assert size == pytest.approx(np.linalg.norm(error / scale), rel=1e-12)
    assert abs(estimates[0]) > 0
    assert estimates[1] == pytest.approx(estimates[0], rel=1e-12)


def test_dense_output_has_order_7() -> None:
    steps, errors = np.array([1.6, 0.8, 0.4]), []
    for h in steps:
        run = RungeKutta8(rotation_field, np.array([1.0, 0.5]))
        run.step(h)
        end, output = run.end.copy(), run.dense(h)
        np.testing.assert_array_equal(run.end, end)
        np.testing.assert_allclose(output(1.0), end, rtol=1e-14)
        np.testing.assert_array_equal(output(0.0), [1.0, 0.5])
        exact = [expm(share * h * np.array([[0, 1], [-1, 0]])) @ [1.0, 0.5] for share in (0.3, 0.7)]
        errors.append(np.linalg.norm(np.array([output(0.3), output(0.7)]) - exact))
    np.testing.assert_allclose(np.diff(np.log2(errors)), -8, atol=0.5)


@pytest.mark.parametrize(("decay", "most"), [(1.0, 1), (3.0, 1), (5.0, 1), (6.0, 10.4)])
def test_dense_output_magnifies_nothing_up_to_5(decay: float, most: float) -> None:
    run = RungeKutta8(lambda P, out: lambda: np.multiply(P, -decay, out), np.ones((1, 1)))
    run.step(1.0)
    output = run.dense(1.0)
    largest = np.max(np.abs([output(theta) for theta in np.linspace(0, 1, 1001)]))
    assert largest == pytest.approx(most, rel=0.01)


def test_dense_output_is_the_same_after_the_run_has_gone_on() -> None:
    at_once, later = [], list(explicit_steps(PROBLEM, START, 1e-8))[:-1]
    for step in explicit_steps(PROBLEM, START, 1e-8):
        if step.t1 < np.inf:
            at_once.append(step.at((step.t0 + step.t1) / 2))
    for found, step in zip(at_once, later, strict=True):
        np.testing.assert_allclose(step.at((step.t0 + step.t1) / 2), found, rtol=1e-13, atol=1e-14)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(1e-3, 30.0), m=st.integers(1, 3))
def test_steps_are_stable_wherever_the_run_goes(seed: int, size: float, m: int) -> None:
    rng = np.random.default_rng(seed)
    problem, R = conditioned_problem(4, m, 30.0), gaussian_state(4, m, 20)
    fastest = Fastest(problem, R)
    for _ in range(5):
        R = R + size * rng.standard_normal(R.shape) * rng.random()
        stable = 5 / kernel_largest(problem, R)
        longest = fastest.longest(R, 10.0 ** rng.uniform(-2, 2) * stable)
        assert longest <= stable * (1 + 1e-12)
    assert fastest.longest(R, np.inf) >= stable / 1.05**2 * (1 - 1e-12)
