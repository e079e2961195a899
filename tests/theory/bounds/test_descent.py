"""What a gradient descent certifies, at every iteration."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from implicit_bias.theory.bounds import descent as of_descent
from implicit_bias.theory.bounds import flow as of_flow
from implicit_bias.theory.bounds.samples import certain
from implicit_bias.theory.networks.two_layer import imbalance
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import Descent, gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import SHAPES, full_descent, random_case
from tests.support.runs import scales, seeds, shapes


def descent(case, fraction, iterations=8):
    """Every iteration of a descent with a fraction of the step that the kernel allows at the start and at the end."""
    p = case.problem
    end = 2 * np.linalg.norm(p.min_norm_coordinates, 2) * p.sigma[0] ** 2
    eta = fraction * p.n / (p.n / largest_step_estimate(p, case.state) + end)
    stop = Stop(t_max=float(p.flow_time(iterations, eta)))
    return gradient_descent(p, case.state, eta, range(1, iterations + 1), stop), eta


def rho(problem, s, low, high, W, g):
    """The factor of Xu et al. (2023), Lemma 3.1, term by term."""
    K, mu = problem.sigma[0] ** 2, problem.sigma[-1] ** 2
    first = 1 - 2 * s * mu * low + K * mu * s**2 * high**2
    return first + 2 * s**2 * mu * W * g + 2 * s**3 * mu * K * high * W * g + s**4 * mu * K * W**2 * g**2


def printed_factor(case, U, V, eta):
    """That of a full network."""
    X, U1 = case.X, case.problem.Phi1.T @ U
    (low_U, high_U), (low_V, high_V) = (np.linalg.eigvalsh(A @ A.T)[[0, -1]].clip(min=0) for A in (U1, V))
    W, g = np.linalg.norm(U1 @ V.T, 2), np.linalg.norm(X.T @ (X @ U @ V.T - case.Y))
    return rho(case.problem, 2 * eta / len(X), low_U + low_V, high_U + high_V, W, g)


@settings(max_examples=100)
@given(shape=shapes, seed=seeds, u=scales, v=scales, fraction=st.floats(1e-3, 1.5))
@example(shape=(4, 5, 1, 3, 7), seed=3, u=0.03, v=0.03, fraction=0.75)  # the step would be too large at its end only
def test_descent_bound_holds_at_every_iteration(shape, seed, u, v, fraction):
    case = random_case(shape, seed, u, v)
    run, eta = descent(case, fraction)
    bound = of_descent.descent_bound(case.problem, run, 2 * eta / case.problem.n)
    assert bound.hypotheses["samples close enough"] is True
    rounding = 1e-13 * (1 + np.abs(run.product).max() ** 2)
    factor = bound.stated[1:] / bound.stated[:-1]
    assert np.all(run.excess[1:] <= factor * run.excess[:-1] * (1 + 1e-9) + rounding)
    assert np.all(run.excess <= bound.stated * (1 + 1e-8) + rounding)
    assert bound.applies == np.all(factor < 1) or np.any(np.abs(factor - 1) < 1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_factors_are_the_printed_ones_of_the_full_network(shape):
    case = random_case(shape)
    p = case.problem
    eta = 0.9 * of_descent.largest_certified_step(p, case.state) or 0.01
    networks = [full_descent(case, eta, k) for k in range(4)]
    printed = [printed_factor(case, U, V, eta) for U, V in networks]
    run = gradient_descent(p, case.state, eta, [1, 2, 3], Stop(t_max=float(p.flow_time(3, eta))))
    bound = of_descent.descent_bound(p, run, 2 * eta / p.n)
    assert bound.applies == (max(printed[:3]) < 1)
    if bound.applies:
        np.testing.assert_allclose(bound.value, run.excess[0] * np.cumprod([1, *printed[:3]]), rtol=1e-10)


def recorded_twice(case, fraction, gap):
    """A descent at every iteration and at every so many of them, the iterations of these, and its step on L."""
    p = case.problem
    whole, eta = descent(case, fraction, iterations=60)
    step, last = 2 * eta / p.n, whole.t.size - 1
    few = gradient_descent(p, case.state, eta, range(gap, last, gap), Stop(t_max=last * step))
    return whole, few, np.rint(few.t / step).astype(int), step


@settings(max_examples=60)
@given(shape=shapes, seed=seeds, u=scales, v=scales, fraction=st.floats(0.01, 1.5), gap=st.integers(2, 25))
def test_between_samples_descent_is_near_one_of_them_and_no_factor_is_larger(shape, seed, u, v, fraction, gap):
    """What is proved of an interval from its ends, seen at every iteration of it."""
    case = random_case(shape, seed, u, v)
    p, (whole, few, kept, step) = case.problem, recorded_twice(case, fraction, gap)
    high = few.U1_range[:, 1] + np.linalg.norm(few.V, 2, axis=(1, 2)) ** 2
    radius, close = of_descent.descent_radius(p, few, certain(p, few, np.sqrt(high)), step)
    bound, every = (of_descent.descent_bound(p, run, step) for run in (few, whole))
    assert bound.hypotheses["samples close enough"] == np.all(close | (np.diff(kept) == 1))
    path, walker = [case.state.R], Descent(p, case.state.R, step)
    for _ in range(kept[-1]):
        walker.run(1, 0.0)
        path.append(walker.R)
    rounding = 1e-12 * (1 + np.linalg.norm(path[0]))
    true = np.log(every.stated[1:] / every.stated[:-1])
    allowed = np.log(bound.stated[1:] / bound.stated[:-1]) / np.diff(kept)
    for i in np.flatnonzero(close):
        inside = range(kept[i], kept[i + 1])
        for j in inside:
            ends = (np.linalg.norm(path[j] - path[end]) for end in (kept[i], kept[i + 1]))
            assert min(ends) <= radius[i] * (1 + 1e-9) + rounding
        assert np.all(whole.excess[inside] <= whole.excess[kept[i]] * (1 + 1e-9) + rounding)
        if every.stated[kept[i + 1]] > 1e-250:
            assert np.all(np.minimum(true[inside], 0) <= allowed[i] + 1e-9)


def test_factors_between_samples_are_those_of_the_extremes_in_reach():
    """The proposition of docs/theory.md, sample by sample, where the largest factor is 1 and where it is less."""
    case, gap = random_case("three outputs"), 3
    p, steps = case.problem, []
    for fraction in (0.02, 0.3):
        eta = fraction * largest_step_estimate(p, case.state)
        s, K = 2 * eta / p.n, p.sigma[0] ** 2
        run = gradient_descent(p, case.state, eta, range(gap, 30, gap), Stop(t_max=30 * s))
        sizes = []
        for (low_U, high_U), V, product in zip(run.U1_range, run.V, run.product, strict=True):
            low_V, high_V = np.linalg.eigvalsh(V @ V.T)[[0, -1]]
            g = np.linalg.norm(p.sigma[:, None] * (p.Y_tilde - p.sigma[:, None] * product))
            sizes.append((low_U + low_V, high_U + high_V, np.linalg.norm(product, 2), g))
        for i, (before, after) in enumerate(pairwise(run.excess)):
            e = p.sigma[0] * np.sqrt(2 * before)
            size = np.sqrt(sizes[i][1]) + np.sqrt(2 * gap * s * before)
            spent = s / 2 * (e + K * size**2 * (1 + s * e / 2) ** 2)
            if spent > 0.5:
                continue
            d = 0.5 * np.sqrt(gap * s * (before - after) / (1 - spent))
            ends = []
            for low, high, W, g in sizes[i : i + 2]:
                x = d * np.sqrt(high) + d**2 / 2
                reach = max(np.sqrt(low) - d, 0) ** 2, (np.sqrt(high) + d) ** 2, W + x, min(g + K * x, e)
                ends.append(rho(p, s, *reach))
            stated = of_descent.descent_bound(p, run, s).stated
            assert stated[i + 1] / stated[i] == pytest.approx(min(max(ends), 1.0) ** gap, rel=1e-10)
            steps.append(max(ends))
    assert min(steps) < 1 < max(steps)


def test_denser_samples_tend_to_the_product_of_all_factors():
    case = random_case("three outputs")
    p = case.problem
    eta = 0.02 * of_descent.largest_certified_step(p, case.state)
    step, limit = 2 * eta / p.n, Stop(t_max=256 * 2 * eta / p.n)
    ends = []
    for gap in (1, 2, 4, 8):
        run = gradient_descent(p, case.state, eta, range(gap, 256, gap), limit)
        bound = of_descent.descent_bound(p, run, step)
        assert bound.hypotheses == {"step admissible": True, "samples close enough": True}
        ends.append(np.log(bound.value[-1]))
    excess = np.array(ends[1:]) - ends[0]
    np.testing.assert_allclose(excess[1:] / excess[:-1], 2, rtol=0.1)  # first order in the gap


@settings(max_examples=60)
@given(shape=shapes, seed=seeds, u=scales, v=scales, fraction=st.floats(0.01, 1.5), gap=st.integers(2, 25))
def test_the_path_of_descent_is_not_longer_than_its_samples_allow(shape, seed, u, v, fraction, gap):
    case = random_case(shape, seed, u, v)
    p, (whole, few, kept, step) = case.problem, recorded_twice(case, fraction, gap)
    every, some = (of_descent.descent_certificate(p, run, step, 1.0) for run in (whole, few))
    true = np.concatenate([[0.0], np.cumsum(step * whole.force[:-1])])
    np.testing.assert_allclose(np.log(every.value), true, rtol=1e-9, atol=1e-12)
    assert np.all(np.log(some.stated) >= true[kept] * (1 - 1e-9) - 1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_certificate_of_descent_bounds_what_it_is_about(shape):
    case = random_case(shape)
    p = case.problem
    eta = 0.02 * largest_step_estimate(p, case.state)
    run = gradient_descent(p, case.state, eta, range(5, 200, 5), Stop(t_max=float(p.flow_time(200, eta))))
    initial = np.linalg.norm(case.state.R @ case.state.U2.T)
    bound = of_descent.descent_certificate(p, run, 2 * eta / p.n, initial)
    assert bound.applies
    U, V = full_descent(case, eta, 200)
    left = np.linalg.norm(np.vstack([case.problem.Phi1.T @ U, V]) @ (case.Phi2.T @ U).T)
    assert left <= bound.value[-1] * (1 + 1e-9)
    flow = of_flow.certificate(p, imbalance(case.state), flow_of(case, run.t), initial)
    if initial > 0:
        assert np.log(bound.value[-1] / initial) == pytest.approx(np.log(flow.value[-1] / initial), rel=0.25)


def flow_of(case, t):
    """The flow recorded at the same times."""
    return gradient_flow(case.problem, case.state, t[1:-1], Stop(t_max=float(t[-1])), tol=1e-11)


def test_samples_too_far_apart_are_flagged_and_bound_nothing():
    case = random_case("three outputs")
    eta = 1.5 * largest_step_estimate(case.problem, case.state)
    step = 2 * eta / case.problem.n
    run = gradient_descent(case.problem, case.state, eta, [], Stop(t_max=2 * step))
    assert "samples close enough" in of_descent.descent_bound(case.problem, run, step).unmet
    assert of_descent.descent_certificate(case.problem, run, step, 1.0).value[-1] == np.inf
    assert np.all(of_descent.descent_certificate(case.problem, run, step, 0.0).value == 0)


@settings(max_examples=20)
@given(shape=shapes, seed=seeds, u=scales, v=scales)
def test_first_steps_below_the_largest_certified_one_lose_loss(shape, seed, u, v):
    case = random_case(shape, seed, u, v)
    p = case.problem
    largest = of_descent.largest_certified_step(p, case.state)
    assert largest >= 0
    if largest == 0:
        return
    assert printed_factor(case, case.U, case.V, largest) == pytest.approx(1, abs=1e-9)
    for fraction in (0.01, 0.5, 0.999):
        assert printed_factor(case, case.U, case.V, fraction * largest) < 1
        run = gradient_descent(p, case.state, fraction * largest, [1], Stop(t_max=float(p.flow_time(1, largest))))
        assert run.excess[1] < run.excess[0] or run.excess[0] < 1e-25


def test_no_step_of_a_network_without_weights_is_certified():
    case = random_case("three outputs", scale_u=0.0, scale_v=0.0)
    assert of_descent.largest_certified_step(case.problem, case.state) == 0


def test_a_step_that_is_too_long_is_flagged_and_bounds_nothing():
    case = random_case("three outputs")
    run, eta = descent(case, 1.5, iterations=3)
    bound = of_descent.descent_bound(case.problem, run, 2 * eta / case.problem.n)
    assert bound.unmet == ["step admissible"]
    np.testing.assert_array_equal(bound.value, np.full(4, np.inf))
    assert np.all(run.excess <= bound.stated)


def test_descent_factor_beyond_one_takes_the_largest_eigenvalue():
    # K = 4, mu = 1/4: a step of 1 with l = u = 1, nothing twisted, has b = -1 + K/2 = 1
    problem = reparametrize(np.diag([2.0, 0.5]), np.ones((2, 1)))
    one = np.array(1.0)
    assert of_descent.descent_factor(problem, one, one, 0.0, 0.0, 1.0) == pytest.approx(1 + 2 * 4 * 1)
    assert of_descent.descent_factor(problem, one, one, 0.0, 0.0, 0.25) == pytest.approx(1 + 2 * 0.25 * -0.125)
