"""Moves of the layers along integrals of the force that keep every imbalance (ours, docs/depth.md section 5).

W_l' = (A W_2 ... W_{l-1})^T G(t) (W_{l+1} ... W_L)^T keeps Lambda_l = W_l^T W_l - W_{l+1} W_{l+1}^T whatever G(t) is. These
are quadratic invariants, which Gauss's collocation keeps (Cooper 1987): to rounding, if its equations are solved to
rounding.
"""

import numpy as np

from implicit_bias.theory.networks.deep.dynamics import along
from implicit_bias.theory.networks.deep.state import Layers
from implicit_bias.theory.problem import Array

LINKS = 8
"""Links that make up one step of the layers."""

_ROOT = np.sqrt(3) / 6
_MOST_ROUNDS = 60


class LinkError(ArithmeticError):
    """The equations of a link have no solution that fixed-point rounds find: the force is integrated over too much."""


def link(layers: Layers, first: Array, second: Array, rtol: float = 1e-16) -> Layers:
    """Layers after one two-stage Gauss link, order 4, with forces (r, m) times the step at its two nodes.

    Args:
        layers: where the link starts.
        first, second: h G at h (1/2 -+ sqrt(3)/6).
        rtol: rounds end when they change the stages by less, relative to the layers.

    Raises:
        LinkError: the rounds do not contract.
    """
    k1, k2 = along(layers, first), along(layers, second)
    size = np.sqrt(sum(float(np.sum(W * W)) for W in layers))
    last = np.inf
    for _ in range(_MOST_ROUNDS):
        new1 = along(_moved(layers, k1, 0.25, k2, 0.25 - _ROOT), first)
        new2 = along(_moved(layers, k1, 0.25 + _ROOT, k2, 0.25), second)
        change = np.sqrt(
            sum(
                float(np.sum((a - c) ** 2) + np.sum((b - d) ** 2))
                for a, b, c, d in zip(new1, new2, k1, k2, strict=True)
            )
        )
        k1, k2 = new1, new2
        if change <= rtol * size or (change >= last and change <= 1e-14 * size):
            return _moved(layers, k1, 0.5, k2, 0.5)
        if not change < last or not change < 1e6 * (1 + size):
            break
        last = change
    raise LinkError("a link of the layers does not contract")


def _moved(layers: Layers, k1: Layers, a: float, k2: Layers, b: float) -> Layers:
    return tuple(W + (a * x + b * y) for W, x, y in zip(layers, k1, k2, strict=True))


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
