"""The frozen law (ours): predictions of a trained network are an exact function of Gaussians. See docs/activations.md.

Given the trained network, its prediction at x = Phi1 a + Phi2 b is V phi(A^T a + xi), xi ~ N(0, sigma_U^2 ||b||^2 I_h);
between points the xi of one neuron have the covariance sigma_U^2 b.b'; those of different neurons are independent.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from implicit_bias.theory.checks import check, probability
from implicit_bias.theory.law.chi_square import NormLaw, norm_law
from implicit_bias.theory.law.outputs import PredictionBand
from implicit_bias.theory.networks.activation.gaussian import hermite_coefficients, mean_variance, moments
from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.points import Points
from implicit_bias.theory.problem import Array

BLOCK = 512
"""Neurons per block of the joint covariance."""


class FrozenLaw(NamedTuple):
    """Mean and covariance of a trained network's predictions at N points over its frozen part.

    Attributes:
        mean: (N, m).
        covariance: (N, m, m) over the outputs.
        error: quadrature error, as in `gaussian.Moments`; 0 for closed forms.
    """

    mean: Array
    covariance: Array
    error: float

    @property
    def std(self) -> Array:
        """(N, m) standard deviations."""
        return np.sqrt(np.einsum("imm->im", self.covariance).clip(min=0.0))

    @property
    def rms(self) -> float:
        """Root mean square over the points of the deviation from the mean, outputs summed: (mean_i tr cov_i)^{1/2}."""
        return float(np.sqrt(np.mean(np.sum(self.std**2, axis=1))))


def _parts(model: Model, R: Array, points: Points, sigma_U: float) -> tuple[Array, Array, Array]:
    """(N, h) A^T a, (N, 1) standard deviations of xi, and V."""
    check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0")
    r = model.samples.problem.r
    return points.seen @ R[:r], sigma_U * points.unseen_norms[:, None], R[r:]


def frozen_law(model: Model, R: Array, points: Points, sigma_U: float) -> FrozenLaw:
    """Exact mean and covariance of the predictions at each point, given the trained network.

    Args:
        model: the network.
        R: (r + m, h) trained state.
        points: N test points.
        sigma_U: standard deviation of the entries of U(0), Gaussian.

    Raises:
        ValueError: sigma_U is not positive.
    """
    seen, s, V = _parts(model, R, points, sigma_U)
    mean, variance, error = mean_variance(model.phi, seen, s)
    return FrozenLaw(mean @ V.T, np.einsum("ij,oj,pj->iop", variance, V, V, optimize=True), error)


def prediction_band(model: Model, R: Array, points: Points, sigma_U: float, delta: float = 0.05) -> PredictionBand:
    """Pointwise band of the predictions, given the trained network; probability delta outside, for each entry.

    Mean and variance are exact. Quantiles are those of Cornish and Fisher (1938) from the exact third and fourth
    cumulants, sums over independent neurons: exact if phi is linear, else their error is of order h^{-3/2} where no
    neuron dominates. Of narrow networks take quantiles of `fresh_predictions` instead.

    Args: as `frozen_law`; delta in (0, 1).
    """
    z = -float(ndtri(probability("delta", delta) / 2))
    seen, s, V = _parts(model, R, points, sigma_U)
    moment = moments(model.phi, seen, s)
    std = np.sqrt(moment.variance @ (V**2).T)
    scale = np.where(std > 0, std, 1.0)
    skew = moment.third @ (V**3).T / scale**3
    kurtosis = (moment.fourth - 3 * moment.variance**2) @ (V**4).T / scale**4
    even = (z * z - 1) * skew / 6
    odd = z + (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    mean = moment.mean @ V.T
    return PredictionBand(mean, std, lower=mean + std * (even - odd), upper=mean + std * (even + odd))


def joint_covariance(
    model: Model,
    R: Array,
    points: Points,
    sigma_U: float,
    degree: int | None = None,
    law: FrozenLaw | None = None,
) -> tuple[Array, float]:
    """(N m, N m) covariance of all predictions, points outermost, and a bound on the error of an entry.

    At one point it is exact. Between points it is Mehler's series: sum_l rho^l c_l c'_l per neuron, c_l the Hermite
    coefficients of phi(a + s xi), rho the correlation of the two xi; cut at `degree`, the rest is at most
    |rho|^(degree + 1) times what the coefficients leave of the standard deviations.

    Args: as `frozen_law`; degree None takes the first one, up to 12, at which |rho|^(degree + 1) <= 1e-6; law is that
        of `frozen_law` if it is known.
    """
    seen, s, V = _parts(model, R, points, sigma_U)
    law, (N, m) = law or frozen_law(model, R, points, sigma_U), (len(seen), len(V))
    unit = points.unseen / np.where(points.unseen_norms > 0, points.unseen_norms, 1.0)[:, None]
    rho = np.clip(unit @ unit.T, -1, 1)
    if degree is None:
        largest = float(np.abs(rho - np.diag(np.diag(rho))).max(initial=0.0))
        degree = int(np.clip(np.ceil(np.log(1e-6) / np.log(largest)) - 1, 1, 12)) if 0 < largest < 1 else 12
    total, covered = np.zeros((N, m, N, m)), np.zeros((N, m))
    for start in range(0, V.shape[1], BLOCK):
        part = slice(start, start + BLOCK)
        coefficients = hermite_coefficients(model.phi, seen[:, part], s, degree)[1:]
        power = np.ones_like(rho)
        for c in coefficients:
            power = power * rho
            weighted = (c[:, None, :] * V[:, part]).reshape(N * m, -1)
            total += power[:, None, :, None] * (weighted @ weighted.T).reshape(total.shape)
            covered += np.sum(weighted**2, axis=1).reshape(N, m)
    rest = np.sqrt(np.maximum(law.std**2 - covered, 0.0)).max(axis=1)
    apart = np.abs(rho) ** (degree + 1) * np.outer(rest, rest)
    np.fill_diagonal(apart, 0.0)
    each = np.arange(N)
    total[each, :, each, :] = law.covariance
    return total.reshape(N * m, N * m), float(apart.max())


def deviation_law(model: Model, R: Array, points: Points, sigma_U: float, law: FrozenLaw | None = None) -> NormLaw:
    """Law of the root mean square over the points of the deviation of the predictions from their mean.

    Its rms is exact at every width. Its distribution is that of jointly Gaussian deviations with the exact covariance
    (to the error of `joint_covariance`): exact if phi is linear, the limit of many neurons otherwise.

    Args: as `frozen_law`; law is what that returns if it is known.
    """
    covariance, _ = joint_covariance(model, R, points, sigma_U, law=law)
    spectrum = np.linalg.eigvalsh(covariance)
    spectrum = np.where(spectrum > len(spectrum) * np.finfo(float).eps * spectrum[-1], spectrum, 0.0)
    exact = np.trace(covariance) / (spectrum.sum() or 1.0)
    return norm_law(spectrum * exact / len(points.seen), 1)


def fresh_predictions(
    model: Model, R: Array, points: Points, sigma_U: float, draws: int, rng: np.random.Generator
) -> Array:
    """(draws, N, m) predictions with fresh frozen parts: independent draws from their exact joint law at any width.

    Args: as `frozen_law`; draws >= 1, rng the source of randomness.
    """
    seen, _, V = _parts(model, R, points, sigma_U)
    out = np.empty((draws, len(seen), len(V)))
    for each in out:
        each[...] = model.phi.value(seen + frozen_part(points, sigma_U, V.shape[1], rng)) @ V.T
    return out


def frozen_part(points: Points, sigma_U: float, h: int, rng: np.random.Generator) -> Array:
    """(N, h) a draw of b^T Phi2^T U at N points."""
    return sigma_U * (points.unseen @ rng.standard_normal((points.unseen.shape[1], h)))
