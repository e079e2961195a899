import numpy as np
import pytest
from scipy.stats import kstest, norm

from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.synthetic import SPECTRA, draw_data, draw_held_out

FALSE_ALARM = 1e-4


def draw(seed=0, n=20, D=50, m=3, **settings):
    return draw_data(n, D, m, np.random.default_rng(seed), **settings)


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(
    ("n", "D", "m", "rank"), [(20, 50, 3, None), (50, 20, 1, None), (20, 50, 2, 7), (1, 5, 1, None)]
)
def test_shapes_and_rank(spectrum, n, D, m, rank):
    X, Y, theta = draw(0, n, D, m, spectrum=spectrum, cond=100.0, rank=rank)
    assert (X.shape, Y.shape, theta.shape) == ((n, D), (n, m), (D, m))
    assert reparametrize(X, Y).r == (rank or min(n, D))


def test_whitened_data_have_unit_singular_values():
    X, Y, _ = draw(spectrum="whitened", rank=12)
    problem = reparametrize(X, Y)
    np.testing.assert_allclose(problem.sigma, np.ones(12), rtol=1e-13)
    assert problem.cond == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("cond", [1.0, 10.0, 1e6])
def test_geometric_data_have_the_condition_number_asked_for(cond):
    X, Y, _ = draw(spectrum="geometric", cond=cond)
    problem = reparametrize(X, Y)
    assert problem.cond == pytest.approx(cond, rel=1e-9)
    assert problem.sigma[0] == pytest.approx(1.0, rel=1e-12)
    ratios = problem.sigma[1:] / problem.sigma[:-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-8)


def test_gaussian_entries_have_variance_one_over_d():
    X, _, theta = draw(1, 60, 200, 30)
    assert kstest(np.sqrt(200) * X.ravel(), norm.cdf).pvalue > FALSE_ALARM
    assert kstest(np.sqrt(200) * theta.ravel(), norm.cdf).pvalue > FALSE_ALARM


def test_targets_are_the_teacher_plus_noise_of_the_given_size():
    X, Y, theta = draw(2, 300, 20, 10, noise_std=0.3, theta_std=5.0)
    assert kstest((Y - X @ theta).ravel() / 0.3, norm.cdf).pvalue > FALSE_ALARM
    assert kstest(theta.ravel() / 5.0, norm.cdf).pvalue > FALSE_ALARM
    X, Y, theta = draw(noise_std=0.0)
    np.testing.assert_array_equal(Y, X @ theta)


def test_one_seed_gives_the_same_directions_teacher_and_noise_for_every_spectrum():
    draws = {spectrum: draw(3, spectrum=spectrum, cond=9.0) for spectrum in SPECTRA}
    gaussian = reparametrize(*draws["gaussian"][:2])
    for X, Y, theta in draws.values():
        np.testing.assert_array_equal(theta, draws["gaussian"][2])
        np.testing.assert_allclose(Y - X @ theta, draws["gaussian"][1] - draws["gaussian"][0] @ theta, atol=1e-14)
        Phi1 = reparametrize(X, Y).Phi1
        np.testing.assert_allclose(Phi1 @ Phi1.T, gaussian.Phi1 @ gaussian.Phi1.T, atol=1e-10)
    X, Y, _ = draws["geometric"]
    overlap = np.abs(np.sum(reparametrize(X, Y).Phi1 * gaussian.Phi1, axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-10)


def test_lower_rank_keeps_the_leading_directions():
    full, cut = draw(4)[0], draw(4, rank=5)[0]
    np.testing.assert_allclose(np.linalg.svd(cut)[1][:5], np.linalg.svd(full)[1][:5], rtol=1e-12)
    W, s, PhiT = np.linalg.svd(full, full_matrices=False)
    np.testing.assert_allclose(cut, (W[:, :5] * s[:5]) @ PhiT[:5], atol=1e-12)


def test_seeds_decide():
    for a, b in zip(draw(5), draw(5), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((a != b).all() for a, b in zip(draw(5), draw(6), strict=True))


def test_held_out_rows_are_independent_normal_of_variance_one_over_d_with_the_noise_asked_for():
    theta = np.ones((50, 2))
    X_test, Y_test = draw_held_out(400, theta, np.random.default_rng(4), noise_std=0.1)
    for entries, std in ((X_test, 50**-0.5), (Y_test - X_test @ theta, 0.1)):
        assert kstest(entries.ravel(), norm(0, std).cdf).pvalue > FALSE_ALARM
