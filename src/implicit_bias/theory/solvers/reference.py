"""A kernel near that of the flow, diagonalised, and variation of constants in its coordinates (ours).

See docs/integrator.md, "Where the stiffness is".
"""

from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np
from numpy.polynomial import Legendre, Polynomial

from implicit_bias.theory.problem import Array, Problem

NODES = np.concatenate([[0.0], (1 + np.sort(np.real(Legendre.basis(5).deriv().roots()))) / 2, [1.0]])
"""(6,) Lobatto nodes on [0, 1]."""
TO_MONOMIALS = np.linalg.inv(np.vander(NODES, increasing=True))
"""(6, 6) coefficients of the polynomial through given values at the nodes."""
DROPPED = Polynomial.fromroots(np.delete(NODES, 2)).coef
"""(6,) coefficients of the nodal polynomial of five of the nodes."""

_FACTORIALS = np.array([factorial(p) for p in range(NODES.size)], float)


_STILL = 1e-30  # rate over the largest, below which a mode does not decay
_FAR = 1e50  # an integral without an end
_NEAR = 1.5  # |z| up to which phi_k are summed as series
_TERMS = 22


@cache
def _series(last: int) -> Array:
    """(last + 1, terms) coefficients 1 / (k + j)! of phi_k(z) = sum_j z^j / (k + j)!."""
    return np.array([[1 / factorial(k + j) for j in range(_TERMS)] for k in range(last + 1)])


def phi(z: Array, last: int) -> Array:
    """phi_0 = exp, ..., phi_last of z, phi_{k+1}(z) = (phi_k(z) - 1/k!) / z; shape (last + 1, *z.shape)."""
    flat = z.reshape(-1)
    near = np.abs(flat) <= _NEAR
    inverse = 1 / np.where(near, 1.0, flat)
    values = np.empty((last + 1, flat.size))
    np.exp(flat, values[0])
    for k in range(last):
        np.multiply(values[k] - 1 / factorial(k), inverse, values[k + 1])
    small = flat[near]
    powers = np.empty((_TERMS, small.size))
    powers[0] = 1.0
    powers[1:] = small
    np.multiply.accumulate(powers, axis=0, out=powers)
    values[:, near] = _series(last) @ powers
    return values.reshape(-1, *z.shape)


def left_product(A: Array, M: Array) -> Array:
    """A (p, q) times M (q, s) or every matrix of the stack M (T, q, s), as one product; (p, s) or (T, p, s)."""
    if M.ndim == 2:
        return A @ M
    T, q, s = M.shape
    return np.swapaxes((A @ np.swapaxes(M, 0, 1).reshape(q, T * s)).reshape(-1, T, s), 0, 1)


def _sum(weights: Array, n: Array) -> Array:
    """Sum over p of weights (T, p, r, m) times n (p, r, m)."""
    total: Array = np.einsum("tprm,prm->trm", weights, n)
    return total


def _decays(L: Array) -> Array:
    """Whether E decays in each mode, whose rates are L."""
    return np.asarray(_STILL * np.max(L) < L)


def endless_integral(e: Array, L: Array, h: float, blind: Array, rounding: float) -> Array:
    """int_h^inf exp(-t L) e dt, entry by entry: without end where L is next to 0, unless L is `blind`, e `rounding`."""
    e = np.where(np.logical_and(blind, np.abs(e) <= rounding), 0.0, e)
    decays = _decays(L)
    return np.where(decays, np.exp(-h * L) * e / np.where(decays, L, 1.0), _FAR * np.sign(e))


@dataclass(frozen=True)
class Reference:
    """Eigendecomposition of a kernel near K: V V^T = Q diag(c) Q^T, the c_j of a cluster replaced by their mean.

    In the coordinates e = hat(E), column by column, the reference kernel multiplies by `L`.

    Attributes:
        sigma: (r, 1) singular values of the data.
        Q: (m, m) eigenvectors of V V^T.
        clusters: columns of E Q that share a basis, and that basis Z (r, r).
        L: (r, m) eigenvalues of diag(sigma) (c_j I + U1 U1^T) diag(sigma).
        blind: (r, m) where these are rounding errors, as of a network narrower than its output.
        rounding: largest entry of hat(E) that is nothing but rounding errors.
    """

    sigma: Array
    Q: Array
    clusters: tuple[tuple[slice, Array], ...]
    L: Array
    blind: Array
    rounding: float

    @classmethod
    def at(cls, problem: Problem, R: Array, spread: float) -> "Reference":
        """Reference kernel at the state R (k, k'), merging c_j with (max - min) / (max + min) <= spread."""
        r, sigma = problem.r, problem.sigma[:, None]
        V = R[r:]
        sU1 = sigma * R[:r]
        c, Q = np.linalg.eigh(V @ V.T)
        c = np.maximum(c, 0.0)
        gram = sU1 @ sU1.T
        clusters, L, start = [], np.empty((r, c.size)), 0
        while start < c.size:
            stop = start + int(np.count_nonzero(c[start:] - c[start] <= spread * (c[start:] + c[start])))
            columns = slice(start, stop)
            values, Z = np.linalg.eigh(gram + np.diag(np.mean(c[columns]) * problem.sigma**2))
            L[:, columns] = np.maximum(values, 0.0)[:, None]
            clusters.append((columns, Z))
            start = stop
        eps = len(R) * np.finfo(float).eps
        return cls(
            sigma=sigma,
            Q=Q,
            clusters=tuple(clusters),
            L=L,
            blind=eps * np.max(L) >= L,
            rounding=eps * float(np.linalg.norm(problem.Y_tilde)),
        )

    @property
    def decays(self) -> Array:
        """(r, m) whether E decays in each mode."""
        return _decays(self.L)

    @property
    def exact(self) -> bool:
        """Whether no two eigenvalues c_j were merged."""
        return len(self.clusters) == len(self.Q)

    def hat(self, E: Array) -> Array:
        """Coordinates (..., r, m) of E (..., r, m)."""
        EQ = E @ self.Q
        return np.concatenate([left_product(Z.T, EQ[..., columns]) for columns, Z in self.clusters], axis=-1)

    def unhat(self, e: Array) -> Array:
        """E (..., r, m) of its coordinates e."""
        return np.concatenate([left_product(Z, e[..., columns]) for columns, Z in self.clusters], axis=-1) @ self.Q.T

    def force(self, x: Array) -> Array:
        """diag(sigma) E of the coordinates x of E, (..., r, m)."""
        return self.sigma * self.unhat(x)

    def left_to_go(self, e: Array, h: float = 0.0) -> Array:
        """Integral (..., r, m) of F from time h to infinity were the kernel frozen here, e being hat(E) now."""
        return self.force(endless_integral(e, self.L, h, self.blind, self.rounding))


@dataclass(frozen=True)
class Weights:
    """Variation of constants E' = -K_ref E + N, N(theta) = sum_p theta^p n_p, at times theta h, in hat coordinates.

    Attributes:
        decay, lift: (T, r, m) weight of e_n in e and in x = int e.
        on_e, on_x: (T, 6, r, m) weights of the n_p.
    """

    decay: Array
    lift: Array
    on_e: Array
    on_x: Array

    @classmethod
    def at(cls, theta: Array, h: float | Array, L: Array) -> "Weights":
        s = (h * theta)[:, None, None]
        values = np.moveaxis(phi(-s * L, NODES.size + 1), 0, 1)
        powers = (_FACTORIALS * theta[:, None] ** np.arange(NODES.size))[:, :, None, None] * s[:, None]
        return cls(
            decay=values[:, 0],
            lift=s * values[:, 1],
            on_e=powers * values[:, 1:-1],
            on_x=powers * s[:, None] * values[:, 2:],
        )

    def residual(self, e: Array, n: Array) -> Array:
        """hat(E) (T, r, m)."""
        return self.decay * e + _sum(self.on_e, n)

    def integral(self, e: Array, n: Array) -> Array:
        """Integral (T, r, m) of hat(E)."""
        return self.lift * e + _sum(self.on_x, n)
