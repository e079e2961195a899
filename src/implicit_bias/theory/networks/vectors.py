"""Weights as one vector: what integrators of any network work on."""

import numpy as np

from implicit_bias.theory.problem import Array

Weights = tuple[Array, ...]
"""The trained arrays of a network."""


def flat(weights: Weights) -> Array:
    """All weights as one vector."""
    return np.concatenate([W.ravel() for W in weights])


class Shapes:
    """Splits a vector into weights of the shapes of given ones, without a copy."""

    def __init__(self, weights: Weights) -> None:
        self._shapes = [W.shape for W in weights]
        self._ends = np.cumsum([W.size for W in weights])[:-1]

    def weights(self, vector: Array) -> Weights:
        """Weights of the vector."""
        parts = np.split(vector, self._ends)
        return tuple(part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True))
