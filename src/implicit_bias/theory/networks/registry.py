"""The kinds of networks, each in one row: its flow, its kernel, what it conserves, the Gram matrix of the law."""

from typing import Any

import numpy as np

from implicit_bias.theory.named import named
from implicit_bias.theory.networks.activation.network import Model, neuron_imbalance
from implicit_bias.theory.networks.activation.tangent import Tangent, kernel_matrix
from implicit_bias.theory.networks.deep import dynamics as deep
from implicit_bias.theory.networks.deep.state import end_to_end
from implicit_bias.theory.networks.general.linear import LinearNetwork
from implicit_bias.theory.networks.kind import NetworkKind
from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.networks.vectors import Weights
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers import trajectory as two_layer


def _two_layer_kernel(problem: Problem, weights: Weights) -> Array:
    """Sigma_x (x) V V^T + diag(sigma) U1 U1^T diag(sigma) (x) I, see theory/kernel.py."""
    U1, V = weights[0][: problem.r], weights[0][problem.r :]
    scaled = problem.sigma[:, None] * U1
    return np.kron(np.diag(problem.sigma**2), V @ V.T) + np.kron(scaled @ scaled.T, np.eye(problem.m))


def _two_layer_gram(problem: Problem, weights: Weights) -> Array:
    V = weights[0][problem.r :]
    return V @ V.T


def _deep_gram(problem: Problem, weights: Weights) -> Array:
    M = end_to_end(weights[1:], problem.m)
    return M.T @ M


def _deep_imbalance(problem: Problem, weights: Weights) -> Array:
    return np.concatenate([Lambda.ravel() for Lambda in deep.imbalances(weights)] or [np.empty(0)])


def _activation_kernel(model: Model, weights: Weights) -> Array:
    R, r = weights[0], model.samples.problem.r
    return kernel_matrix(Tangent.at(model, model.hidden(R), R[r:]).kernel())


def _activation_imbalance(model: Model, weights: Weights) -> Array:
    degree = model.phi.degree
    return np.empty(0) if degree is None else neuron_imbalance(weights[0], model.samples.problem.r, degree)


TWO_LAYER, DEEP, ACTIVATION = "two_layer", "deep", "activation"

NETWORKS: dict[str, NetworkKind[Any]] = {
    TWO_LAYER: NetworkKind[Problem](
        "two-layer linear networks",
        residual=lambda problem, weights: two_layer.residual(problem, weights[0]),
        velocity=lambda problem, weights: (two_layer.velocity(problem, weights[0]),),
        kernel=_two_layer_kernel,
        imbalance=lambda problem, weights: imbalance_matrix(weights[0], problem.r),
        gram=_two_layer_gram,
    ),
    DEEP: NetworkKind[Problem](
        "linear networks of several depths",
        residual=deep.residual,
        velocity=deep.velocity,
        kernel=deep.kernel_matrix,
        imbalance=_deep_imbalance,
        gram=_deep_gram,
    ),
    ACTIVATION: NetworkKind[Model](
        "networks with activations",
        residual=lambda model, weights: model.motion_at(weights[0]).E.T,
        velocity=lambda model, weights: (model.lift(model.motion_at(weights[0]).G),),
        kernel=_activation_kernel,
        imbalance=_activation_imbalance,
    ),
}
"""Name -> kind of network. Weights: [U1; V]; the layers A, W_2, ..., W_L; [A; V]. With an activation E is (m, n)."""


def network_kind(name: str) -> NetworkKind[Any]:
    """The kind of a name, or of an import path `package.module:object`, which must be a LinearNetwork.

    Raises:
        ValueError: there is none.
    """
    return NETWORKS[name] if name in NETWORKS else named("network", name, NETWORKS, LinearNetwork)
