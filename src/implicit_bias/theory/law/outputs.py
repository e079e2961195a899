"""The law of what trained networks predict: a band around the min-norm solution, and the excess risk (ours)."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from implicit_bias.theory.checks import as_matrix, check, probability
from implicit_bias.theory.law.chi_square import NormLaw, norm_law
from implicit_bias.theory.law.distance import gram_spectrum
from implicit_bias.theory.problem import Array, Problem


def unseen_part(problem: Problem, x: ArrayLike) -> Array:
    """Phi2 Phi2^T x of the rows of x (N, D), exactly 0 where it is rounding."""
    points = as_matrix("x", np.atleast_2d(np.asarray(x, float)))
    if points.shape[1] != problem.D:
        raise ValueError(f"x must have D = {problem.D} columns, got shape {points.shape}")
    part = points - (points @ problem.Phi1) @ problem.Phi1.T
    part -= (part @ problem.Phi1) @ problem.Phi1.T
    rounding = problem.D * np.finfo(float).eps * np.linalg.norm(points, axis=1, keepdims=True)
    return np.where(np.linalg.norm(part, axis=1, keepdims=True) > rounding, part, 0.0)


@dataclass(frozen=True)
class PredictionBand:
    """Entries of x^T U V(inf)^T are N(center, std^2), in [lower, upper] with probability 1 - delta; all (N, m)."""

    center: Array
    std: Array
    lower: Array
    upper: Array


def prediction_band(
    problem: Problem, x: ArrayLike, VVt: ArrayLike, sigma_U: float, delta: float = 0.05
) -> PredictionBand:
    """Exact pointwise band of the trained network around the min-norm solution, given V(inf) (ours).

    Args:
        problem: the reparametrised problem.
        x: (N, D) or (D,) test points.
        VVt: (m, m) V V^T at convergence.
        sigma_U: standard deviation of the entries of U(0).
        delta: probability outside the band, for each entry.

    Raises:
        ValueError: x, VVt, sigma_U or delta is not what it must be.
    """
    variances = check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0") ** 2 * gram_spectrum(problem, VVt)[0]
    z = -float(ndtri(probability("delta", delta) / 2))
    unseen = np.linalg.norm(unseen_part(problem, x), axis=1)
    center = np.atleast_2d(np.asarray(x, float)) @ problem.min_norm_solution
    std = np.outer(unseen, np.sqrt(variances))
    return PredictionBand(center=center, std=std, lower=center - z * std, upper=center + z * std)


def unseen_spectrum(problem: Problem, X_test: ArrayLike) -> Array:
    """Nonzero eigenvalues of Phi2^T Sigma_test Phi2, Sigma_test = X_test^T X_test / N, from test rows (N, D)."""
    part = unseen_part(problem, X_test)
    s = np.linalg.svd(part / sqrt(len(part)), compute_uv=False)[: problem.D - problem.r]
    return np.asarray(s**2, float)


def unseen_spectrum_of_covariance(problem: Problem, covariance: ArrayLike) -> Array:
    """(D - r,) eigenvalues, decreasing, of Phi2^T Sigma_test Phi2 for a covariance (D, D), without Phi2."""
    half = unseen_part(problem, as_matrix("covariance", covariance))
    spectrum = np.linalg.eigvalsh(unseen_part(problem, half.T))[::-1][: problem.D - problem.r]
    return np.where(spectrum > problem.D * np.finfo(float).eps * np.abs(covariance).max(), spectrum, 0.0)


def excess_risk_law(problem: Problem, unseen: ArrayLike, VVt: ArrayLike, sigma_U: float) -> NormLaw:
    """Law, given V(inf), of the rms difference between the predictions of network and min-norm solution (ours).

    Its rms squared, sigma_U^2 tr(V V^T) tr(Phi2^T Sigma_test Phi2), is the expected excess test risk over the min-norm
    solution: the cross term with the residual of the min-norm solution is odd in U2 and has mean 0.

    `unseen` holds the eigenvalues of Phi2^T Sigma_test Phi2, from `unseen_spectrum` or `unseen_spectrum_of_covariance`;
    VVt (m, m) and sigma_U as in `distance_law`.

    Raises:
        ValueError: an argument is not what it must be.
    """
    sigma_U = check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0")
    return norm_law(sigma_U**2 * np.outer(np.asarray(unseen, float), gram_spectrum(problem, VVt)[1]), 1)
