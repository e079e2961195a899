"""What the samples of a run say with certainty: upper bounds that allow for rounding (docs/theory.md, "Rounding").

Samples are taken for what they were computed from, the states that were recorded; what is bounded is the rounding of
U1 V^T, of E, of the loss and of the force, as they were computed from these.
"""

from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.bounds.base import decay
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Samples:
    """Upper bounds at the samples of a run.

    Attributes:
        size: (T,) of (||U1||_2^2 + ||V||_2^2)^{1/2}.
        noise: (T,) of the rounding of U1 V^T, in Frobenius norm.
        residual: (T,) of ||E||_F.
        force: (T,) of ||diag(sigma) E||_2.
        lost: (T - 1,) of the loss lost on each interval.
    """

    size: Array
    noise: Array
    residual: Array
    force: Array
    lost: Array


def certain(problem: Problem, run: Trajectory, size: Array) -> Samples:
    """Bound what was recorded of a run.

    The lost loss is 1/2 <diag(sigma) (N1 - N0), E0 + E1> of the products N at both ends: a difference of the recorded
    losses would be 0 on a plateau.

    Args:
        problem: the reparametrised problem.
        run: a flow or a descent.
        size: (T,) upper bounds of (||U1||_2^2 + ||V||_2^2)^{1/2}.
    """
    sigma, top, entries = problem.sigma[:, None], problem.sigma[0], problem.r * problem.m
    noise = run.V.shape[2] * EPS * np.sqrt(entries) * size**2 / 2
    target, product = np.linalg.norm(problem.Y_tilde), np.linalg.norm(run.product, axis=(1, 2))
    blurred = top * noise + 2 * EPS * (target + top * product)  # of E
    E = problem.Y_tilde - sigma * run.product
    residual = (1 + entries * EPS) * np.linalg.norm(E, axis=(1, 2)) + blurred
    moved = sigma * np.diff(run.product, axis=0)
    both, length = residual[:-1] + residual[1:], np.linalg.norm(moved, axis=(1, 2))
    lost = 0.5 * np.sum(moved * (E[:-1] + E[1:]), axis=(1, 2))
    lost += 0.5 * (top * (noise[:-1] + noise[1:]) * both + length * (blurred[:-1] + blurred[1:]))
    lost += (entries + 4) * EPS * length * both
    force = (1 + 8 * problem.k * EPS) * run.force + top * blurred
    return Samples(size, noise, residual, force, np.maximum(lost, 0.0))


def moved(radius: Array, size: Array) -> Array:
    """The most that U1 V^T can change over a radius from a state of this size."""
    return decay(radius, size) + 0.5 * radius**2


def summed(lengths: Array) -> Array:
    """(T,) sums of lengths (T - 1,) from the start, rounded upwards."""
    return (1 + (lengths.size + 16) * EPS) * np.concatenate([[0.0], np.cumsum(lengths)])
