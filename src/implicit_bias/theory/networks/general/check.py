"""Whether what makes a kind of linear network fits together: its draw, its matrix, its pullback, its Gram matrix."""

import numpy as np

from implicit_bias.theory.networks.general.linear import LinearNetwork
from implicit_bias.theory.networks.vectors import Shapes, Weights, flat
from implicit_bias.theory.problem import Array, Problem

STEP = 1e-5
"""Of the central difference, relative to the weights: its error is about 1e-10 of the derivative."""
TOLERANCE = 1e-5


def draw_checked(
    name: str, kind: LinearNetwork, problem: Problem, h: int, rng: np.random.Generator, sigma_u: float, sigma_v: float
) -> Weights:
    """Draw the initial weights of a network of width h, as arrays of floats.

    Raises:
        ValueError: they are no tuple of finite arrays of numbers, or there are none.
    """
    drawn = kind.draw(problem, h, rng, sigma_u, sigma_v)
    must = f"network {name}: draw must return a tuple of arrays of finite numbers, the weights that are trained, got"
    if not isinstance(drawn, tuple | list):
        raise ValueError(f"{must} {type(drawn).__name__}")
    for number, W in enumerate(drawn, start=1):
        dtype = np.asarray(W).dtype
        if dtype.kind not in "iuf":
            raise ValueError(f"{must} {dtype} in entry {number}")
        if not np.all(np.isfinite(W)):
            raise ValueError(f"{must} entry {number} with NaN or infinity")
    weights = tuple(np.array(W, float) for W in drawn)
    if not sum(W.size for W in weights):
        raise ValueError(f"{must} none")
    return weights


def check_functions(name: str, kind: LinearNetwork, problem: Problem, weights: Weights) -> None:
    """Compare the functions of a network to each other beside given weights, at a random point of their size.

    Raises:
        ValueError: an array is not of its shape, or `pullback` is not the transpose of the derivative of `matrix`.
    """
    rng, shapes = np.random.default_rng(0), Shapes(weights)

    def drawn() -> Array:
        sizes = (np.linalg.norm(W) / W.size**0.5 if np.any(W) else 1.0 for W in weights)
        return flat(tuple(size * rng.standard_normal(W.shape) for size, W in zip(sizes, weights, strict=True)))

    def Theta(y: Array) -> Array:
        return _checked(name, "matrix", "Theta", kind.matrix(shapes.weights(y)), (problem.D, problem.m), "(D, m)")

    y, v = flat(weights) + drawn(), drawn()
    moved = (Theta(y + STEP * v) - Theta(y - STEP * v)) / (2 * STEP)
    if kind.gram is not None:
        gram = kind.gram(problem, shapes.weights(y))
        _checked(name, "gram", "M^T M", gram, (problem.m, problem.m), "(m, m)")
    G = moved + np.linalg.norm(moved) / moved.size**0.5 * rng.standard_normal(moved.shape)
    pulled = kind.pullback(shapes.weights(y), G)
    found = [np.shape(W) for W in pulled] if isinstance(pulled, tuple | list) else type(pulled).__name__
    if found != (wanted := [W.shape for W in weights]):
        raise ValueError(f"network {name}: pullback must return arrays of the weights' shapes {wanted}, got {found}")
    slope, product = float(np.sum(G * moved)), float(flat(tuple(pulled)) @ v)
    size = max(float(np.linalg.norm(G) * np.linalg.norm(moved)), abs(product))
    if not abs(product - slope) <= TOLERANCE * size:
        raise ValueError(
            f"network {name}: pullback must return sum_ij G_ij dTheta_ij / d(weights). Along a random direction "
            f"differences of matrix make that {slope:.6g}, pullback {product:.6g}"
        )


def _checked(name: str, function: str, what: str, found: Array, shape: tuple[int, int], said: str) -> Array:
    """An array that a function of a network has returned."""
    must = f"network {name}: {function} must return {what} of shape {said} = {shape} with finite numbers, got"
    if np.shape(found) != shape:
        raise ValueError(f"{must} shape {np.shape(found)}")
    if not np.all(np.isfinite(found)):
        raise ValueError(f"{must} NaN or infinity")
    return found
