"""The law before training, and the widths it asks for, against networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from implicit_bias.theory.law.chi_square import norm_law
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.outputs import (
    unseen_spectrum,
)
from implicit_bias.theory.law.prediction import (
    law_before,
    predict_distance,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from tests.support.laws import FALSE_ALARM, make_problem, sampled_run


@pytest.mark.parametrize(("m", "alpha"), [(1, 0.5), (2, 0.5), (1, 0.35)])
def test_predicted_band_covers_wide_networks_and_the_bound_bounds(m, alpha):
    problem, h, delta = make_problem(3, m, 9), 20_000, 0.2
    rng = np.random.default_rng(3)
    runs = [sampled_run(problem, h, Scaling(alpha=alpha), rng, decay=25)[1] for _ in range(120)]
    distances = np.array([np.linalg.norm(Theta - problem.min_norm_solution) for Theta in runs])
    band = predict_distance(problem, h, Scaling(alpha=alpha), delta)
    inside = int(np.sum((band.lower < distances) & (distances < band.upper)))
    assert binomtest(inside, distances.size, 1 - delta).pvalue > FALSE_ALARM
    exceed = int(np.sum(distances > band.bound))
    assert binomtest(exceed, distances.size, delta, alternative="greater").pvalue > FALSE_ALARM
    assert band.rms[0] == pytest.approx(np.sqrt(np.mean(distances**2)), rel=4 / np.sqrt(2 * 6 * m * distances.size))


def test_the_band_covers_networks_no_wider_than_the_rank_and_the_outputs():
    problem, h, delta = make_problem(8, 1, 14), 9, 0.2
    band, rng = predict_distance(problem, h, Scaling(), delta), np.random.default_rng(8)
    runs = [sampled_run(problem, h, Scaling(), rng, decay=25)[1] for _ in range(150)]
    distances = np.array([np.linalg.norm(Theta - problem.min_norm_solution) for Theta in runs])
    inside = int(np.sum((band.lower < distances) & (distances < band.upper)))
    assert binomtest(inside, distances.size, 1 - delta).pvalue > FALSE_ALARM


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    h=st.integers(100, 10**15),  # from 16 (r + m) on deviations fall with the width
    alpha=st.floats(0.26, 2),
    delta=st.floats(1e-6, 0.999),
    m=st.sampled_from([1, 3]),
    gain=st.floats(0.1, 10),
)
def test_width_for_distance_inverts_the_prediction(h, alpha, delta, m, gain):
    problem, scaling = make_problem(3, m), Scaling(alpha, gain, 1 / gain)
    epsilon = predict_distance(problem, h, scaling, 2 * min(delta, 0.499)).upper[0]
    width = width_for_distance(problem, epsilon * (1 + 1e-9), min(delta, 0.499), scaling)
    assert width <= h
    assert width >= h * (1 - 1e-6) - 1


@settings(max_examples=8, deadline=None, derandomize=True)
@given(epsilon=st.floats(1e-2, 10), alpha=st.floats(0.4, 1.5), delta=st.floats(1e-4, 0.9))
def test_widths_are_the_smallest_that_will_do(epsilon, alpha, delta):
    problem, scaling = make_problem(3, 2, 8), Scaling(alpha)
    x = np.random.default_rng(5).standard_normal((4, 8))
    unseen = unseen_spectrum(problem, x)
    energy = np.max(np.sum((x - x @ problem.Phi1 @ problem.Phi1.T) ** 2, axis=1))
    searches = [
        (width_for_distance(problem, epsilon, delta, scaling), None, epsilon, delta),
        (width_for_risk(problem, unseen, epsilon, delta, scaling), unseen, np.sqrt(epsilon), delta),
        (width_for_prediction(problem, x, epsilon, delta, scaling), [energy], epsilon, delta / 4),
    ]
    for width, factors, norm_limit, tail in searches:
        assert isinstance(width, int)
        for h in (width, width - 1) if problem.k < width < 10**12 else (width,):
            law = law_before(problem, *scaling.gram(h), h, factors)
            assert (law.sf(norm_limit) <= tail) == (h == width)


def test_unattainable_widths_say_so():
    problem = make_problem(3, 1)
    with pytest.raises(ValueError, match=r"alpha must be at least 1/4 .* got 0.2"):
        width_for_distance(problem, 1.0, scaling=Scaling(alpha=0.2))
    floor = norm_law([1.0], 7).upper(0.05)
    with pytest.raises(ValueError, match=r"epsilon must be at least .* alpha = 0.25"):
        width_for_distance(problem, 0.99 * floor, scaling=Scaling(alpha=0.25))
    assert width_for_distance(problem, 1.01 * floor, scaling=Scaling(alpha=0.25)) > 1
    with pytest.raises(ValueError, match="epsilon must be at least"):
        width_for_distance(problem, 1e-12)
