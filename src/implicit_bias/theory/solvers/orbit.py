"""Exponentials of S(X) = [[0, X], [X^T, 0]] and their products, which move P and keep Lambda (ours)."""

from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.problem import Array

LINKS = 8
"""Commutator-free steps that make up one step of the group."""
_TINY = 1e-300  # f^2 at which sinh f / f is 1


def core(X: Array) -> Array:
    """C (..., 2m, 2m) with exp S(X) = I + diag(X, I) C diag(X, I)^T: entire functions of X^T X, for X (..., r, m)."""
    m = X.shape[-1]
    gram = np.swapaxes(X, -1, -2) @ X
    f2, Q = np.linalg.eigh(gram) if m > 1 else (gram[..., 0], np.ones_like(gram))
    f = np.sqrt(np.maximum(f2, _TINY))[..., None, :] / 2
    QT, sinh = np.swapaxes(Q, -1, -2), np.sinh(f)
    half = sinh / f
    C = np.empty((*X.shape[:-2], 2 * m, 2 * m))
    C[..., :m, :m] = (Q * (half * half / 2)) @ QT
    C[..., :m, m:] = C[..., m:, :m] = (Q * (half * np.cosh(f))) @ QT
    C[..., m:, m:] = (Q * (2 * sinh * sinh)) @ QT
    return C


def apply(X: Array, C: Array, P: Array) -> Array:
    """exp(S(X)) P for stacks X (..., r, m) with their cores C (..., 2m, 2m), and P (..., r + m, q)."""
    r, m = X.shape[-2:]
    U1, V = P[..., :r, :], P[..., r:, :]
    w = C @ np.concatenate([np.swapaxes(X, -1, -2) @ U1, V], axis=-2)
    return np.concatenate([U1 + X @ w[..., :m, :], V + w[..., m:, :]], axis=-2)


def exponential(X: Array, P: Array) -> Array:
    """exp(S(X)) P for stacks X (..., r, m) and P (..., r + m, q)."""
    return apply(X, core(X), P)


def cf4(half: Array, full: Array) -> tuple[Array, Array]:
    """Exponents of the fourth-order commutator-free Magnus step, first to act first (Blanes and Moan 2006).

    Args:
        half: (..., r, m) integral of F over the first half of the step.
        full: (..., r, m) integral of F over the step.
    """
    D = (2 / 3) * (full - 2 * half)
    return full / 2 - D, full / 2 + D


@dataclass(frozen=True)
class Chain:
    """Links of a Magnus chain, each with all before it as one low-rank update of P.

    Attributes:
        basis: (r, q) column space of the exponents of all links.
        T: (links + 1, q + m, q + m) what the first 0, 1, ... links are there.
    """

    basis: Array
    T: Array

    def move(self, P: Array, links: int) -> Array:
        """P (k, k') moved by the first so many links."""
        r, q = self.basis.shape
        T = self.T[links]
        moved = (T - np.eye(len(T))) @ np.vstack([self.basis.T @ P[:r], P[r:]])
        return np.vstack([P[:r] + self.basis @ moved[:q], P[r:] + moved[q:]])


def chain(X: Array) -> Chain:
    """Magnus chain along the integrals X (2 links + 1, r, m) of F on an even grid, X[0] = 0.

    The exponents share a thin column space; the products of exponentials are formed there.
    """
    m = X.shape[2]
    basis, small = np.linalg.qr(np.hstack(list(X[1:])))
    q = basis.shape[1]
    x = np.concatenate([np.zeros((1, q, m)), np.moveaxis(small.reshape(q, -1, m), 1, 0)])
    exponents = np.stack(cf4(x[1::2] - x[:-1:2], x[2::2] - x[:-1:2]), axis=1)
    T: list[Array] = [np.eye(q + m)]
    for (first, second), (core1, core2) in zip(exponents, core(exponents), strict=True):
        T.append(apply(second, core2, apply(first, core1, T[-1])))
    return Chain(basis, np.array(T))
