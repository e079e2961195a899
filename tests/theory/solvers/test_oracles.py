"""Every solver against the exact solutions of oracles.py, which share no code with them, and which satisfy the flow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.exponential import Reference, collocate, exponential_steps
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import residual
from tests.support.oracles import (
    modes_flow,
    modes_problem,
    rank_one_flow,
    riccati_gram,
    spectrum_problem,
    states,
    tight_flow,
)

METHODS = ["explicit", "exponential"]
TIMES = np.array([0.1, 0.4, 1.0, 2.5])
seeds = st.integers(0, 10_000)


def run(problem, R0, times, method, tol):
    """Trajectory to the last of the times, without the start."""
    state = State(R=R0, U2=np.zeros((0, R0.shape[1])), r=problem.r, h=R0.shape[1])
    return gradient_flow(problem, state, times[:-1], Stop(t_max=times[-1]), method, tol)


def growth(trajectory):
    """How much errors made on the way may grow: exp(int ||F||_2), to the last finite time."""
    finite = np.isfinite(trajectory.t)
    return np.exp(trapezoid(trajectory.force[finite], trajectory.t[finite]))


def descend(problem, R0, t, iterations):
    """State after `iterations` steps of gradient descent to flow time t."""
    state = State(R=R0, U2=np.zeros((0, R0.shape[1])), r=problem.r, h=R0.shape[1])
    return gradient_descent(problem, state, t * problem.n / (2 * iterations), [], Stop(t_max=t)).R


def distance(A, exact):
    return np.linalg.norm(A - exact) / np.linalg.norm(exact)


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


def lambda_balanced(r, m, h, sign, seed):
    """Whitened problem (r, m) and a state (r + m, h) with U1^T U1 - V^T V = lam I, lam of the given sign."""
    rng = np.random.default_rng(seed)
    A, B = (np.linalg.qr(rng.standard_normal((rows, h)))[0] if rows >= h else np.zeros((rows, h)) for rows in (r, m))
    s = rng.uniform(0.2, 1.0, h) if min(r, m) >= h else np.zeros(h)
    lam = sign * rng.uniform(0.1, 2.0)
    Q = np.linalg.qr(rng.standard_normal((h, h)))[0]
    R0 = np.vstack([A * np.sqrt(s**2 + max(lam, 0)), B * np.sqrt(s**2 + max(-lam, 0))]) @ Q.T
    return spectrum_problem(np.ones(r), m, seed), R0


@st.composite
def balanced_cases(draw):
    """lam > 0 needs h <= r, lam < 0 needs h <= m, lam = 0 needs both."""
    r, m, sign = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.sampled_from([-1, 0, 1]))
    h = draw(st.integers(1, {-1: m, 0: min(r, m), 1: r}[sign]))
    return lambda_balanced(r, m, h, sign, draw(seeds))


@settings(max_examples=20)
@given(case=balanced_cases(), method=st.sampled_from(METHODS))
def test_lambda_balanced_runs_solve_the_riccati_equation(case, method):
    problem, R0 = case
    trajectory = run(problem, R0, TIMES, method, 1e-9)
    for t, product, V in zip(trajectory.t, trajectory.product, trajectory.V, strict=True):
        gram = riccati_gram(problem, R0, t)
        error = 10e-9 * growth(trajectory) * np.linalg.norm(gram)
        assert np.linalg.norm(product - gram[: problem.r, problem.r :]) < error
        assert np.linalg.norm(V @ V.T - gram[problem.r :, problem.r :]) < error


@settings(max_examples=20)
@given(r=st.integers(1, 5), m=st.integers(1, 5), size=st.floats(0.05, 2), seed=seeds, method=st.sampled_from(METHODS))
def test_single_hidden_units_solve_the_riccati_equation(r, m, size, seed, method):
    problem = spectrum_problem(np.ones(r), m, seed)
    R0 = size * np.random.default_rng(seed).standard_normal((r + m, 1))
    trajectory = run(problem, R0, TIMES, method, 1e-9)
    gram = riccati_gram(problem, R0, TIMES[-1])
    error = 10e-9 * growth(trajectory) * np.linalg.norm(gram)
    assert np.linalg.norm(trajectory.R @ trajectory.R.T - gram) < error


@settings(max_examples=20)
@given(
    h=st.integers(2, 6),
    sigma=st.floats(0.1, 3),
    y=st.floats(-3, 3),
    size=st.floats(0.05, 2),
    seed=seeds,
    method=st.sampled_from(METHODS),
)
def test_rank_one_data_have_a_closed_form_at_any_width(h, sigma, y, size, seed, method):
    problem = Problem(n=1, sigma=np.array([sigma]), Phi1=np.eye(1), Y_tilde=np.array([[y]]), loss_floor=0.0)
    R0 = size * np.random.default_rng(seed).standard_normal((2, h))
    trajectory = run(problem, R0, TIMES, method, 1e-9)
    exact = rank_one_flow(sigma, y, *R0, trajectory.t)
    error = 10e-9 * growth(trajectory)
    np.testing.assert_allclose(trajectory.V, exact[:, 1:], atol=error * np.max(np.abs(exact)))
    assert distance(trajectory.R, exact[-1]) < error


def modes_case(cond, unbalance):
    """Three modes, slow and fast, with u > v, u = v and u < v."""
    problem = modes_problem(np.geomspace(1, cond**-0.5, 3), np.array([1.5, 0.8, 1.1]))
    u0, v0 = np.array([0.4 * unbalance, 0.3, 0.2]), np.array([0.4, 0.3, 0.2 * unbalance])
    return problem, u0, v0, np.vstack([np.diag(u0), np.diag(v0)])


@pytest.mark.parametrize(
    ("method", "cond"), [("explicit", 1.0), ("explicit", 30.0), *(("exponential", c) for c in (1.0, 30.0, 1e4, 1e8))]
)
def test_modes_are_followed_to_the_tolerance_at_any_conditioning(method, cond):
    problem, u0, v0, R0 = modes_case(cond, 2.5)
    times = np.geomspace(0.05, 3 * cond, 12)
    tols, errors = np.array([1e-5, 1e-7, 1e-9]), []
    for tol in tols:
        trajectory = run(problem, R0, [*times, np.inf], method, tol)
        np.testing.assert_array_equal(trajectory.t[1:-1], times)
        errors.append(np.max(np.abs(trajectory.product[1:-1] - modes_flow(problem, u0, v0, times))))
    assert np.all(errors < 3 * tols)
    assert slope(tols, errors) > 0.5


@pytest.mark.parametrize("cond", [1.0, 1e4, 1e8])
def test_fixed_exponential_steps_have_the_order_of_lobatto_collocation_on_the_exact_modes(cond):
    """Diagonal forces commute, so that the group is exact; the fast mode's layer is over before the first step."""
    problem = modes_problem(np.array([1.0, cond**-0.5, 0.8 * cond**-0.5]), np.array([1.5, 1.6, 2.2]))
    u0, v0 = np.array([1.0, 0.1, 0.2]), np.array([0.4, 0.3, 0.1])
    start = 0.2 if cond == 1 else 15.0
    end = start + 2.5 * cond
    (R,) = states(list(exponential_steps(problem, np.vstack([np.diag(u0), np.diag(v0)]), 1e-12)), np.array([start]))
    (exact,) = modes_flow(problem, u0, v0, np.array([end]))
    counts, errors = np.array([6, 8, 10]), []
    for n in counts:
        P = R
        for _ in range(n):
            E, reference = residual(problem, P), Reference.at(problem, P, 0.0)
            segment = collocate(problem, reference, P, (end - start) / n, E, np.zeros_like(E), 1e-13)
            assert segment is not None
            P = segment.move(1.0)[0]
        errors.append(np.max(np.abs(P[:3] @ P[3:].T - exact)))
    assert slope(1 / counts, errors) > 9  # ten, of the six Lobatto nodes


@pytest.mark.parametrize("oracle", ["modes", "rank one", "riccati"])
def test_descent_is_first_order_in_its_step(oracle):
    t, counts = 1.0, np.array([200, 400, 800])
    if oracle == "modes":
        problem, u0, v0, R0 = modes_case(4.0, 2.5)
        exact = modes_flow(problem, u0, v0, np.array([t]))[0]
    elif oracle == "rank one":
        problem = Problem(n=1, sigma=np.array([0.7]), Phi1=np.eye(1), Y_tilde=np.array([[1.2]]), loss_floor=0.0)
        R0 = np.random.default_rng(3).standard_normal((2, 4))
        u, v = rank_one_flow(0.7, 1.2, *R0, np.array([t]))[0]
        exact = (u @ v)[None, None]
    else:
        problem, R0 = lambda_balanced(4, 2, 2, 1, 5)
        exact = riccati_gram(problem, R0, t)[:4, 4:]
    ends = [descend(problem, R0, t, int(count)) for count in counts]
    errors = np.array([distance(R[: problem.r] @ R[problem.r :].T, exact) for R in ends])
    assert errors[0] < 0.01
    assert slope(1 / counts, errors) == pytest.approx(1, abs=0.03)


def test_the_oracles_satisfy_the_flow():
    problem, u0, v0, R0 = modes_case(9.0, 2.5)
    flow = tight_flow(problem, R0, TIMES)
    np.testing.assert_allclose(
        flow[:, :3] @ np.swapaxes(flow[:, 3:], 1, 2), modes_flow(problem, u0, v0, TIMES), atol=1e-11
    )
    R0 = np.random.default_rng(3).standard_normal((2, 4))
    problem = Problem(n=1, sigma=np.array([0.7]), Phi1=np.eye(1), Y_tilde=np.array([[-1.2]]), loss_floor=0.0)
    np.testing.assert_allclose(tight_flow(problem, R0, TIMES), rank_one_flow(0.7, -1.2, *R0, TIMES), atol=1e-11)
    for case in ((4, 2, 3, 1), (2, 4, 3, -1), (3, 3, 2, 0)):
        problem, R0 = lambda_balanced(*case, seed=1)
        for t, R in zip(TIMES, tight_flow(problem, R0, TIMES), strict=True):
            np.testing.assert_allclose(R @ R.T, riccati_gram(problem, R0, t), atol=1e-10)
