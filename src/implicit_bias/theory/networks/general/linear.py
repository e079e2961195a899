"""A kind of linear network, made of the end-to-end matrix of its weights and what pulls a gradient back to them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.named import written_in
from implicit_bias.theory.networks.kind import NetworkKind
from implicit_bias.theory.networks.vectors import Weights, flat
from implicit_bias.theory.problem import Array, Problem

DrawWeights = Callable[[Problem, int, np.random.Generator, float, float], Weights]
"""(problem, width h, source of randomness, sigma_U, sigma_V) -> initial weights."""


@dataclass(frozen=True)
class LinearNetwork(NetworkKind[Problem]):
    """A kind of network y = Theta^T x, Theta a function of its weights.

    Attributes:
        draw: draws the initial weights; the trained arrays alone, and as few of them as the flow needs.
        matrix: weights -> Theta (D, m).
        pullback: weights, G (D, m) -> sum_ij G_ij dTheta_ij / d(weights).
        modules: those that have the code of the functions it is made of.
    """

    draw: DrawWeights = lambda problem, h, rng, sigma_u, sigma_v: ()
    matrix: Callable[[Weights], Array] = lambda weights: np.empty((0, 0))
    pullback: Callable[[Weights, Array], Weights] = lambda weights, G: ()
    modules: tuple[str, ...] = ()


def linear_network(
    description: str,
    draw: DrawWeights,
    matrix: Callable[[Weights], Array],
    pullback: Callable[[Weights, Array], Weights],
    imbalance: Callable[[Weights], Array] = lambda weights: np.empty(0),
    gram: Callable[[Weights], Array] | None = None,
) -> LinearNetwork:
    """A kind of linear network.

    Args:
        description: what such networks are called, in the plural.
        draw: (problem, width h, source of randomness, sigma_U, sigma_V) -> initial weights.
        matrix: weights -> Theta (D, m).
        pullback: weights, G (D, m) -> sum_ij G_ij dTheta_ij / d(weights), arrays of the shapes of the weights.
        imbalance: weights -> what the flow conserves.
        gram: weights -> (m, m) M^T M of the law of the distance, see `NetworkKind`; None where none is known.
    """

    def residual(problem: Problem, weights: Weights) -> Array:
        return problem.Y_tilde - problem.sigma[:, None] * (problem.Phi1.T @ matrix(weights))

    def pulled(problem: Problem, weights: Weights, E: Array) -> Weights:
        return pullback(weights, problem.Phi1 @ (problem.sigma[:, None] * E))

    def kernel(problem: Problem, weights: Weights) -> Array:
        units = np.eye(problem.r * problem.m).reshape(-1, problem.r, problem.m)
        J = np.array([flat(pulled(problem, weights, E)) for E in units])
        return J @ J.T

    return LinearNetwork(
        description=description,
        residual=residual,
        velocity=lambda problem, weights: pulled(problem, weights, residual(problem, weights)),
        kernel=kernel,
        imbalance=lambda problem, weights: imbalance(weights),
        gram=None if gram is None else lambda problem, weights: gram(weights),
        draw=draw,
        matrix=matrix,
        pullback=pullback,
        modules=tuple(written_in([draw, matrix, pullback, imbalance, *([] if gram is None else [gram])])),
    )
