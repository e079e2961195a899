"""Moves of the layers along integrals of the force that keep every imbalance (ours, docs/depth.md section 5).

W_l' = (A W_2 ... W_{l-1})^T G(t) (W_{l+1} ... W_L)^T keeps every Lambda_l = W_l^T W_l - W_{l+1} W_{l+1}^T whatever G(t)
is. These are quadratic invariants, which Gauss's collocation keeps (Cooper 1987): to rounding, if its equations are
solved to rounding.
"""

from math import sqrt

import numpy as np

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.theory.networks.deep.state import Layers
from implicit_bias.theory.problem import Array

LINKS = 8
"""Links that make up one step of the layers."""

_ROOT = np.sqrt(3) / 6
_MOST_ROUNDS = 60


class LinkError(ImplicitBiasError, ArithmeticError):
    """The equations of a link have no solution that fixed-point rounds find: the force is integrated over too much."""


Stage = tuple[list[Array], list[Array]]
"""A velocity of the layers, W_l' = g_l s_l^T, by its thin factors g_l (d_{l-1}, m) and s_l (d_l, m)."""


def link(layers: Layers, first: Array, second: Array, rtol: float = 1e-16) -> Layers:
    """Layers after one two-stage Gauss link, order 4, with forces (r, m) times the step at its two nodes.

    The equations of the stages are solved by fixed-point rounds on their thin factors.

    Args:
        layers: where the link starts.
        first, second: h G at h (1/2 -+ sqrt(3)/6).
        rtol: rounds end when they change the stages by less, relative to the layers.

    Raises:
        LinkError: the rounds do not contract.
    """
    stages = _stage(layers, (), first), _stage(layers, (), second)
    size = np.sqrt(sum(float(np.sum(W * W)) for W in layers))
    least = np.inf
    for _ in range(_MOST_ROUNDS):
        one = _stage(layers, ((0.25, stages[0]), (0.25 - _ROOT, stages[1])), first)
        two = _stage(layers, ((0.25 + _ROOT, stages[0]), (0.25, stages[1])), second)
        change = _apart(one, stages[0]) + _apart(two, stages[1])
        stages = one, two
        if change <= rtol * size or (change >= least and change <= 1e-14 * size):
            return tuple(
                W + 0.5 * (g1 @ s1.T + g2 @ s2.T) for W, g1, s1, g2, s2 in zip(layers, *one, *two, strict=True)
            )
        if not change < 10 * least or not change < 1e6 * (1 + size):
            break
        least = min(least, change)
    raise LinkError("a link of the layers does not contract")


def _stage(layers: Layers, moves: tuple[tuple[float, Stage], ...], G: Array) -> Stage:
    """Velocity under the force G of the layers moved along stages by the given amounts."""
    s: list[Array] = [np.eye(G.shape[1])]
    for l in range(len(layers) - 1, 0, -1):
        image = layers[l] @ s[-1]
        for amount, (gs, ss) in moves:
            image = image + gs[l] @ (amount * (ss[l].T @ s[-1]))
        s.append(image)
    g = [G]
    for l in range(len(layers) - 1):
        image = layers[l].T @ g[-1]
        for amount, (gs, ss) in moves:
            image = image + ss[l] @ (amount * (gs[l].T @ g[-1]))
        g.append(image)
    return g, s[::-1]


def _apart(new: Stage, old: Stage) -> float:
    """Bound of the norm of the difference of two velocities."""
    total = 0.0
    for g, s, g0, s0 in zip(*new, *old, strict=True):
        total += _norm(g - g0) * _norm(s0) + _norm(g) * _norm(s - s0)
    return total


def _norm(A: Array) -> float:
    return sqrt(float(np.vdot(A, A)))


def gauss_forces(half: Array, full: Array) -> tuple[Array, Array]:
    """h G at the nodes of a link of the straight line that has these integrals over its half and over all of it."""
    D = 4 * _ROOT * (full - 2 * half)
    return full - D, full + D


def chain(layers: Layers, X: Array, rtol: float = 1e-16) -> list[Layers]:
    """Layers at the ends of links along integrals X (2 links + 1, r, m) of the force, every other one half-way."""
    out, here = [], layers
    for start, half, full in zip(X[:-1:2], X[1::2], X[2::2], strict=True):
        here = link(here, *gauss_forces(half - start, full - start), rtol)
        out.append(here)
    return out
