"""What a network is compared with: the kernel at infinite width and its predictor; how its own kernel moves."""

from typing import NamedTuple

import numpy as np

from implicit_bias.theory.networks.activation.gaussian import duals
from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.points import Points
from implicit_bias.theory.networks.activation.tangent import Tangent
from implicit_bias.theory.problem import Array


class KernelPrediction(NamedTuple):
    """A kernel predictor at N points.

    Attributes:
        values: (N, m) predictions.
        error: relative error of the kernel's entries; 0 for closed forms.
        rank: eigenvalues of the kernel of the samples that are above rounding and that error.
    """

    values: Array
    error: float
    rank: int


def infinite_kernel(model: Model, points: Points | None, sigma_U: float, b: float) -> tuple[Array, float]:
    """Tangent kernel over h of a network at initialisation, as h grows, and its relative error.

    K(x, x') / h -> E phi(u) phi(u') + sigma_V^2 x.x' E phi'(u) phi'(u'), (u, u') centred Gaussian with covariances
    sigma_U^2 x.x' (Jacot, Gabriel, Hongler 2018). The same for every output.

    Args:
        model: the network.
        points: N test points, or None for the samples.
        sigma_U: standard deviation of the entries of U(0).
        b: sigma_V^2, the variance of the entries of V(0).

    Returns:
        (N, n) kernel between points and samples, or (n, n), and its error as in `duals`.
    """
    Z = model.samples.Z
    inner = (Z if points is None else points.seen) @ Z.T
    own = np.sum(Z * Z, axis=1)
    others = own if points is None else points.squared_norms
    value, slope, error = duals(model.phi, sigma_U**2 * others, sigma_U**2 * own, sigma_U**2 * inner)
    return value + b * inner * slope, error


def kernel_prediction(
    model: Model,
    points: Points,
    sigma_U: float,
    sigma_V: float,
    start: tuple[Array, Array] | None = None,
) -> KernelPrediction:
    """Ridgeless predictor f0(x) + K(x, X) K(X, X)^+ (Y - f0(X)) of the infinite-width kernel.

    It is where the flow of the linearised network ends. Without `start` f0 = 0, the mean over networks.

    Args:
        model: the network.
        points: N test points.
        sigma_U, sigma_V: standard deviations of the entries of U(0), V(0).
        start: f0 at the samples (n, m) and at the points (N, m).
    """
    K, error = infinite_kernel(model, None, sigma_U, sigma_V**2)
    cross, cross_error = infinite_kernel(model, points, sigma_U, sigma_V**2)
    w, Q = np.linalg.eigh(K)
    kept = w > max(len(w) * np.finfo(float).eps, error) * w[-1]
    at_samples, at_points = (0.0, 0.0) if start is None else start
    coefficients = (Q[:, kept] / w[kept]) @ (Q[:, kept].T @ (model.samples.Y - at_samples))
    return KernelPrediction(at_points + cross @ coefficients, max(error, cross_error), int(np.count_nonzero(kept)))


def tangent_kernel(model: Model, R: Array) -> Array:
    """(m, m, n, n) blocks of the tangent kernel of the samples at R (r + m, h), as `Tangent.kernel` has them."""
    return Tangent.at(model, model.hidden(R), R[model.samples.problem.r :]).kernel()


def kernel_change(model: Model, R0: Array, R: Array) -> float:
    """||K - K(0)||_F / ||K(0)||_F of the tangent kernel of the samples."""
    start = tangent_kernel(model, R0)
    scale = np.linalg.norm(start)
    return float(np.linalg.norm(tangent_kernel(model, R) - start) / scale) if scale > 0 else np.inf
