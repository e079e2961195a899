"""The law for gradient descent at a finite step, and how far its V(inf) is from the flow's.

    python -m pytest tests/theory/law/test_descent_law.py -m "slow or not slow" -s

prints the numbers of docs/law.md. Statistical tests draw from fixed seeds; FALSE_ALARM is the rate at which each would
fail were its seed redrawn.
"""

import numpy as np
import pytest
from scipy.stats import kstest, linregress

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.distance import distance_law
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.synthetic import draw_data
from tests.support.networks import random_data

FALSE_ALARM = 1e-4
CONVERGED = 1e-24
MOST_STEPS = 5000  # the law holds at every iteration: a narrow network that is slow need not converge


def make_problem(n, D, m, seed=0):
    return reparametrize(*random_data(np.random.default_rng(seed), n, D, m, n))


def network(problem, h, seed, sampler="dense"):
    return scaled(standard_normal(problem, h, np.random.default_rng(seed), sampler), h**-0.5, h**-0.5)


def flow_end(problem, state):
    V = gradient_flow(problem, state, [], Stop(), "exponential", 1e-12).R[problem.r :]
    return V @ V.T


def descent_end(problem, state, step_size, excess=CONVERGED):
    V = gradient_descent(problem, state, step_size, iter(()), Stop(excess=excess)).R[problem.r :]
    return V @ V.T


def relative_gaps(problem, state, steps, excess=CONVERGED):
    """Relative distances ||V V^T(descent) - V V^T(flow)||_F / ||V V^T(flow)||_F at convergence, one a step size."""
    reference = flow_end(problem, state)
    return [
        np.linalg.norm(descent_end(problem, state, step, excess) - reference) / np.linalg.norm(reference)
        for step in steps
    ]


@pytest.mark.parametrize(("m", "h", "fraction"), [(1, 4, 0.3), (1, 40, 0.3), (3, 15, 0.3), (2, 30, 0.05)])
def test_distance_of_descent_follows_the_law_given_its_own_v(m, h, fraction):
    problem = make_problem(4, 12, m)
    uniforms = []
    for seed in range(200):
        state = network(problem, h, seed)
        step = fraction * largest_step_estimate(problem, state)
        stop = Stop(excess=1e-16, t_max=float(problem.flow_time(MOST_STEPS, step)))
        V = gradient_descent(problem, state, step, iter(()), stop).R[problem.r :]
        distance = np.linalg.norm(state.U2 @ V.T)
        uniforms.append(float(distance_law(problem, V @ V.T, h**-0.5).cdf(distance)))
    assert kstest(uniforms, "uniform").pvalue > FALSE_ALARM


def test_the_law_given_the_flow_s_v_is_not_that_of_descent_at_a_large_step():
    """What the test above can see: a step near the largest one moves V away from the flow's."""
    problem = make_problem(4, 200, 1)
    state = network(problem, 40, 0)
    (gap,) = relative_gaps(problem, state, [0.5 * largest_step_estimate(problem, state)])
    assert gap > 0.01


@pytest.mark.parametrize(("n", "D", "m", "h", "seed"), [(4, 12, 1, 30, 0), (4, 12, 3, 30, 1), (6, 10, 2, 5, 2)])
def test_end_of_descent_approaches_that_of_the_flow_with_first_order(n, D, m, h, seed):
    problem = make_problem(n, D, m, seed)
    state = network(problem, h, seed)
    steps = 0.02 * largest_step_estimate(problem, state) / 2.0 ** np.arange(5)
    gaps = relative_gaps(problem, state, steps)
    order = linregress(np.log(steps), np.log(gaps)).slope
    assert order == pytest.approx(1, abs=0.03)
    limit = 2 * gaps[-1] / steps[-1] - gaps[-2] / steps[-2]
    assert gaps[-1] / steps[-1] == pytest.approx(limit, rel=0.02)


@pytest.mark.parametrize("h", [500, 10_000])
def test_gap_on_the_paper_s_data_is_first_order_and_negative(h):
    X, Y, _ = draw_data(100, 400, 1, np.random.default_rng(np.random.SeedSequence(0, spawn_key=(0,))))
    problem = reparametrize(X, Y)
    state = network(problem, h, 1, "bartlett")
    reference, steps = flow_end(problem, state), np.array([0.32, 0.16, 0.08])
    changes = np.array([descent_end(problem, state, step, 1e-20)[0, 0] / reference[0, 0] - 1 for step in steps])
    assert np.all(changes < 0)
    assert linregress(np.log(steps), np.log(-changes)).slope == pytest.approx(1, abs=0.03)
    per_step = changes[-1] / steps[-1]
    print(f"h = {h}: ||V||^2 of descent is {per_step:.3g} eta relative below the flow's, {5e-3 * per_step:.2g} at 5e-3")
    assert -3e-3 < per_step < -5e-4


@pytest.mark.slow
@pytest.mark.parametrize("h", [500, 10_000])
def test_gap_at_the_paper_s_step(h):
    X, Y, _ = draw_data(100, 400, 1, np.random.default_rng(np.random.SeedSequence(0, spawn_key=(0,))))
    problem = reparametrize(X, Y)
    state = network(problem, h, 1, "bartlett")
    gaps = relative_gaps(problem, state, [0.08, 5e-3], excess=1e-20)
    print(f"h = {h}: relative gap {gaps[1]:.3g} at 5e-3, {gaps[0]:.3g} at 0.08")
    assert gaps[1] == pytest.approx(gaps[0] / 16, rel=0.03)
