"""Mixtures of chi-squares, against closed forms, scipy and simulation."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2
from scipy.stats import norm as norm_distribution

from implicit_bias.theory.law.chi_square import MixedLaw, norm_law, saddle
from tests.support.laws import (
    FALSE_ALARM,
)


@pytest.mark.parametrize("dof", [1, 2, 3, 300, 100_000])
@pytest.mark.parametrize("copies", [1, 3])
def test_equal_weights_are_one_chi_square(dof, copies):
    law = norm_law(np.full(copies, 0.25), dof)
    nearly = norm_law(0.25 * np.linspace(1, 1 + 1e-13, copies), dof)
    for p in (1e-9, 0.025, 0.5, 0.975, 1 - 1e-9):
        expected = np.sqrt(0.25 * chi2.ppf(p, dof * copies))
        assert law.quantile(p) == pytest.approx(expected, rel=1e-12)
        assert nearly.quantile(p) == pytest.approx(expected, rel=1e-10)
        assert float(law.cdf(expected)) == pytest.approx(p, rel=1e-9)
        assert law.upper(p) == pytest.approx(np.sqrt(0.25 * chi2.isf(p, dof * copies)), rel=1e-12)


def hypoexponential_sf(x, weights):
    """P(sum_j w_j chi^2_2 > x) for distinct weights, in 80 digits."""
    with localcontext() as context:
        context.prec = 80
        w = [Decimal(float(v)) for v in weights]
        total = Decimal(0)
        for i, a in enumerate(w):
            term = (-Decimal(float(x)) / (2 * a)).exp()
            for j, b in enumerate(w):
                if j != i:
                    term *= a / (a - b)
            total += term
        return float(total), float(1 - total)


@pytest.mark.parametrize(
    "weights",
    [
        [1, 0.5],
        [1, 0.999],
        [1, 1e-12],
        [1, 0.9, 0.8, 0.1, 0.01],
        [1, 0.1, 0.01, 1e-5, 1e-8],
        list(np.linspace(1, 0.5, 12)),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-120])
def test_two_degrees_of_freedom_match_the_hypoexponential(weights, scale):
    law = norm_law(np.array(weights) * scale, 2)
    for x in (1e-3, 0.01, 0.3, 1, 3, 10, 40, 200):
        sf, cdf = hypoexponential_sf(x, weights)
        assert float(law.sf(np.sqrt(x * scale))) == pytest.approx(sf, rel=1e-10)
        assert float(law.cdf(np.sqrt(x * scale))) == pytest.approx(cdf, rel=1e-10)


@pytest.mark.parametrize(("weights", "dof"), [([1, 0.5, 0.1], 1), ([1, 0.01], 1), ([3, 2, 1], 7), ([1, 1e-3, 1e-6], 3)])
def test_mixture_matches_monte_carlo(weights, dof):
    rng = np.random.default_rng(4)
    law, draws = norm_law(weights, dof), np.sqrt(rng.chisquare(dof, (100_000, len(weights))) @ np.array(weights))
    for p in (0.01, 0.3, 0.5, 0.9, 0.999):
        below = int(np.sum(draws <= law.quantile(p)))
        assert binomtest(below, draws.size, p).pvalue > FALSE_ALARM
    assert law.rms == pytest.approx(np.sqrt(dof * np.sum(weights)), rel=1e-14)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    exponents=st.lists(st.floats(-12, 3), min_size=1, max_size=6),
    dof=st.integers(1, 2000),
    p=st.floats(1e-12, 1, exclude_max=True),
)
def test_quantile_inverts_the_distribution(exponents, dof, p):
    law = norm_law(10.0 ** np.array(exponents), dof)
    assert float(law.cdf(law.quantile(p))) == pytest.approx(p, rel=1e-9)
    assert float(law.sf(law.upper(p))) == pytest.approx(p, rel=1e-9)
    assert law.upper(min(p, 0.99)) <= law.bound(min(p, 0.99)) * (1 + 1e-12)


def test_quantiles_survive_a_swarm_of_tiny_weights():
    swarm = norm_law(np.r_[1.0, np.full(5000, 1e-14)], 1)
    assert swarm.upper(0.05) == pytest.approx(np.sqrt(chi2.isf(0.05, 1)), rel=1e-9)
    assert swarm.quantile(0.05) == pytest.approx(np.sqrt(chi2.ppf(0.05, 1)), rel=1e-7)
    assert (float(swarm.sf(1e200)), float(swarm.cdf(-1.0)), float(swarm.sf(-1.0))) == (0, 0, 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    exponents=st.lists(st.floats(-12, 3), min_size=1, max_size=6),
    dof=st.integers(1, 2000),
    variance=st.floats(1e-8, 0.1),
    p=st.floats(1e-12, 1, exclude_max=True),
)
def test_quantiles_of_mixed_laws_invert_them(exponents, dof, variance, p):
    law = MixedLaw(norm_law(10.0 ** np.array(exponents), dof), variance)
    assert law.cdf(law.quantile(p)) == pytest.approx(p, rel=1e-9)
    assert law.sf(law.upper(p)) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [1.0, 0.3, 1e-3], [1.0]])
def test_rare_events_keep_their_digits_on_both_sides(weights):
    law, rare = MixedLaw(norm_law(weights, 3), 0.01), 2.0**-40  # 1 - rare has no rounding
    assert law.quantile(1 - rare) == pytest.approx(law.upper(rare), rel=1e-12)
    assert law.upper(1 - rare) == pytest.approx(law.quantile(rare), rel=1e-12)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize(("weights", "dof"), [([1.0, 1.0], 5), ([1.0, 0.9, 1e-4], 1), ([1.0, 0.2], 700)])
def test_the_slope_is_the_density(weights, dof, upper):
    law = norm_law(weights, dof)
    for p in (1e-6, 0.02, 0.6, 0.999):
        norm, h = law.quantile(p), 1e-3 / np.sqrt(dof)
        away = h * np.array([-2, -1, 1, 2])  # a difference of order 4
        tails = law.tails(norm * np.exp(away), upper)[0]
        assert law.tails(norm, upper)[1] == pytest.approx(tails @ [1, -8, 8, -1] / (12 * h), rel=1e-7)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    exponents=st.lists(st.floats(-15, 0), max_size=6),
    dof=st.integers(1, 100_000),
    share=st.floats(-8, 8),
    upper=st.booleans(),
)
def test_saddle_points_are_roots_of_the_slope(exponents, dof, share, upper):
    weights = np.sort(np.r_[1.0, 10.0 ** np.array(exponents)])[::-1]
    x = dof * np.sum(weights) * 10.0**share
    (s,) = saddle(np.array([x]), weights, dof, upper)
    assert -0.5 < s < 0 if upper else s > 0

    def slope(at):
        return x - dof * np.sum(weights / (1 + 2 * weights * at)) - 1 / at

    gap = 1e-4 * (min(-s, s + 0.5) if upper else s)  # the slope rises between its poles
    assert slope(s - gap) < 0 < slope(s + gap)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e160, 1e300])
def test_weights_may_be_of_any_size(scale):
    for law, unit in (
        (norm_law(np.array([1, 0.5]) * scale, 2), norm_law([1, 0.5], 2)),
        (MixedLaw(norm_law(np.array([1, 0.5]) * scale, 2), 0.1), MixedLaw(norm_law([1, 0.5], 2), 0.1)),
    ):
        assert law.quantile(0.95) == pytest.approx(np.sqrt(scale) * unit.quantile(0.95), rel=1e-13)
        assert law.upper(1e-9) == pytest.approx(np.sqrt(scale) * unit.upper(1e-9), rel=1e-13)


@pytest.mark.parametrize(("dof", "variance"), [(20_000, 0.02), (1_000_000, 0.002), (2000, 4.0), (300, 1.5)])
def test_a_norm_narrower_than_its_scale_is_integrated_to_the_end(dof, variance):
    law = MixedLaw(norm_law([1.0], dof), variance)

    x = dof + np.sqrt(2 * dof) * np.linspace(-12, 12, 4001)
    density = chi2.pdf(x, dof) * (x[1] - x[0])

    def probability(norm):
        """Over N in place of S: P(S <= norm / N), the density of N^2 being scipy's, by the trapezoidal rule."""
        below = (2 * np.log(norm) - np.log(x) + variance / 2) / np.sqrt(variance)
        return density @ norm_distribution.cdf(below)

    for p in (0.025, 0.5, 0.975):
        assert probability(law.quantile(p)) == pytest.approx(p, rel=1e-9)


def test_quantiles_keep_their_digits_where_the_law_is_narrow():
    weights, dof = np.linspace(1, 0.3, 40), 10**7
    law = norm_law(weights, dof)
    for p in (1e-12, 0.3, 1 - 1e-9):
        assert float(law.cdf(law.quantile(p))) == pytest.approx(p, rel=1e-8)


@pytest.mark.parametrize("p", [1e-310, 1e-305])
def test_probabilities_that_cannot_be_told_from_0_are_refused(p):
    for law in (norm_law([1, 0.5], 1), MixedLaw(norm_law([1, 0.5], 1), 0.01)):
        for ask in (law.quantile, law.upper):
            with pytest.raises(ValueError, match="the probability must be so large"):
                ask(p)


def test_quantiles_next_to_0_are_right_or_refused():
    law = norm_law([1, 0.5], 1)  # P(N^2 <= x) = x / (2 (1/2)^(1/2)) to first order
    assert law.quantile(1e-90) == pytest.approx(np.sqrt(1e-90 * np.sqrt(2)), rel=1e-12)
    with pytest.raises(ValueError, match="the probability must be so large"):
        law.quantile(1e-105)
    assert float(law.cdf(1e-55)) == 0
