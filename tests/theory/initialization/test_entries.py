"""Networks of other entries than Gaussian ones. Each random test would fail at the rate FALSE_ALARM, if redrawn."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

from implicit_bias.theory.initialization import entries
from implicit_bias.theory.initialization.entries import (
    INDEPENDENT,
    MOST_ENTRIES,
    independent_entries,
    orthogonal_entries,
)
from implicit_bias.theory.initialization.registry import INITIALIZATIONS, check_width, initial_state, with_law
from implicit_bias.theory.networks.two_layer import reduce_network
from tests.support.networks import SHAPES, random_case

FALSE_ALARM = 1e-4


@pytest.mark.parametrize(("name", "density"), [("uniform", 1.0), ("rademacher", 1.0), ("sparse", 0.3), ("sparse", 1.0)])
def test_entries_have_mean_0_variance_1_and_the_stated_kurtosis(name, density):
    x = INDEPENDENT[name](400, 500, np.random.default_rng(0), density).ravel()
    for power, moment in ((1, 0.0), (2, 1.0), (4, 3 + INITIALIZATIONS[name].kurtosis(density))):
        deviation = max(x.size**-0.5 * (x**power).std(), 1e-15)
        assert abs((x**power).mean() - moment) < norm.isf(FALSE_ALARM / 2) * deviation, power
    if name == "sparse" and density < 1:
        zeros, expected = np.count_nonzero(x == 0), (1 - density) * x.size
        assert abs(zeros - expected) < norm.isf(FALSE_ALARM / 2) * np.sqrt(expected * density)


@pytest.mark.parametrize("shape", ["three outputs", "rank deficient", "D = r + 1", "D = r", "r < m"])
def test_a_network_drawn_in_blocks_is_the_reduction_of_the_whole(monkeypatch, shape):
    case, h = random_case(shape), 101
    p = case.problem
    rng = np.random.default_rng(1)
    parts = {p.D: rng.standard_normal((p.D, h)), p.m: rng.standard_normal((p.m, h))}
    if p.D == p.m:
        pytest.skip("the two layers could not be told apart")
    taken = dict.fromkeys(parts, 0)

    def draw(rows, columns, *_):
        start = taken[rows]
        taken[rows] += columns
        return parts[rows][:, start : start + columns]

    monkeypatch.setattr(entries, "AT_ONCE", 0)
    monkeypatch.setitem(INDEPENDENT, "uniform", draw)
    state = independent_entries(p, h, rng, "uniform")
    whole = reduce_network(p, parts[p.D], parts[p.m])
    assert taken == dict.fromkeys(parts, h)
    assert (state.R.shape, state.U2.shape, state.h) == (whole.R.shape, whole.U2.shape, h)
    np.testing.assert_allclose(state.R @ state.R.T, whole.R @ whole.R.T, atol=1e-12 * h)
    ours, theirs = state.U2 @ state.R.T, whole.U2 @ whole.R.T
    np.testing.assert_allclose(ours.T @ ours, theirs.T @ theirs, atol=1e-12 * h**2)


@pytest.mark.parametrize("h", [3, 9, 12, 40])
def test_orthogonal_entries_are_those_of_dense_haar_matrices(h):
    p = random_case("three outputs").problem
    rng = np.random.default_rng([2, h])

    def haar(rows):
        Q, R = np.linalg.qr(rng.standard_normal((max(rows, h), min(rows, h))))
        Q *= np.sign(np.diag(R)) * max(rows, h) ** 0.5
        return Q if rows >= h else Q.T

    def observed(state):
        return np.linalg.norm(state.U1 @ state.V.T), np.linalg.norm(state.U2 @ state.V.T), np.linalg.norm(state.V[0])

    ours = np.array([observed(orthogonal_entries(p, h, rng)) for _ in range(600)])
    dense = np.array([observed(reduce_network(p, haar(p.D), haar(p.m))) for _ in range(600)])
    for a, b in zip(ours.T, dense.T, strict=True):
        if np.ptp(b) < 1e-9 * b.max():
            np.testing.assert_allclose(a, b, rtol=1e-9)
        else:
            assert ks_2samp(a, b).pvalue > FALSE_ALARM


@pytest.mark.parametrize("h", [9, 1000, 10**12])
def test_orthogonal_layers_have_orthogonal_rows_at_every_width(h):
    p = random_case("three outputs").problem
    state = orthogonal_entries(p, h, np.random.default_rng(0))
    np.testing.assert_allclose(state.U1 @ state.U1.T, h * np.eye(p.r), atol=1e-12 * h)
    np.testing.assert_allclose(state.V @ state.V.T, h * np.eye(p.m), atol=1e-12 * h)
    assert state.h == h


@pytest.mark.parametrize("name", [*with_law("exact"), *with_law("asymptotic")])
@pytest.mark.parametrize("shape", SHAPES)
def test_states_have_the_shapes_of_reduced_networks(shape, name):
    case = random_case(shape)
    state = initial_state(case.problem, case.state.h, np.random.default_rng(0), name, density=0.8)
    assert (state.R.shape, state.U2.shape) == (case.state.R.shape, case.state.U2.shape)
    assert (state.r, state.h) == (case.state.r, case.state.h)


def test_widths_too_large_to_draw_are_refused_and_others_are_not():
    p = random_case("three outputs").problem
    widest = MOST_ENTRIES // (p.D + p.m)
    for name in INITIALIZATIONS:
        check_width(p, widest, name)
    for name in INDEPENDENT:
        with pytest.raises(ValueError, match=f"{name} is drawn entry by entry.*up to width {widest:,}, got"):
            check_width(p, widest + 1, name)
    check_width(p, 2**53, "gaussian")
    check_width(p, 2**53, "orthogonal")


def test_a_network_almost_without_weights_is_refused(monkeypatch):
    monkeypatch.setattr(entries, "AT_ONCE", 0)
    with pytest.raises(ValueError, match="density 1e-09 leaves"):
        independent_entries(random_case("three outputs").problem, 50, np.random.default_rng(0), "sparse", 1e-9)
