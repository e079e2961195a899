"""The mean of V V^T at widths comparable with the rank, against sampled networks."""

import numpy as np
import pytest
from scipy.stats import norm

from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.correction import (
    idle_direction,
)
from implicit_bias.theory.law.finite_width import mean_field, mean_spectrum
from implicit_bias.theory.law.limit import (
    large_width_limit,
    mode_growth,
)
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.laws import FALSE_ALARM, make_problem


@pytest.mark.parametrize("m", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("a", "b", "error"), [(1.0, 1.0, 0.025), (5.0, 5.0, 0.02), (0.2, 4.0, 0.005), (10.0, 0.1, 0.05)]
)
def test_mean_of_v_at_widths_comparable_with_the_rank(m, a, b, error):
    """Trained networks at h = 1.5 r: the mean of ||V(inf)||^2 within `error` and what chance allows (FALSE_ALARM)."""
    problem, h = make_problem(30, m, 60, theta=0.5), 45
    rng, traces = np.random.default_rng(7), np.empty(40)
    for i in range(traces.size):
        state = scaled(standard_normal(problem, h, rng, "bartlett"), np.sqrt(a / h), np.sqrt(b / h))
        traces[i] = np.sum(gradient_flow(problem, state, [], Stop(excess=1e-12), "exponential", 1e-6).V[-1] ** 2)
    expected, limit = np.sum(mean_spectrum(problem, a, b, h)), np.sum(large_width_limit(problem, a, b).v)
    chance = norm.isf(FALSE_ALARM / 2) * traces.std(ddof=1) / np.sqrt(traces.size)
    assert abs(traces.mean() - expected) <= chance + error * expected
    assert abs(mean_spectrum(problem, a, b, 10**9).sum() / limit - 1) < 1e-6


@pytest.mark.parametrize(("a", "b", "mu"), [(1.0, 1.0, 0.0), (1.0, 1.0, 0.7), (3.0, 0.2, 2.0), (0.2, 3.0, 0.5)])
def test_mean_field_has_the_closed_form_to_first_order(a, b, mu):
    """d/d(r/h) of the mean field at 0 is the part of the closed-form correction that grows with r."""
    limit = b + mode_growth(np.array([mu]), a, b)[0]
    cosh2 = np.hypot(a + b, 2 * mu) / (a + b)
    slopes = [(mean_field(np.array([mu]), a, b, 1, h)[0] - limit) * h for h in (1e4, 2e4)]
    assert 2 * slopes[1] - slopes[0] == pytest.approx(float(idle_direction(np.array([cosh2]), a, b)[0]), rel=1e-5)
