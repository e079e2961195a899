"""The reduced state: everything the loss, the imbalance and the min-norm distance know of a network of any width."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from implicit_bias.theory.networks.hidden import row_space
from implicit_bias.theory.problem import Array, Problem


@dataclass(frozen=True)
class State:
    """A network (U, V) of width h, rotated into the k' hidden directions that training can use (ours).

    k' is the rank of [U1; V], at the most min(h, r + m): directions that a start does not have are not there to grow.

    Stack P = [U1; V] (k, h). Training multiplies P from the left only, so P(t) = R(t) O^T with O (h, k') orthonormal
    and fixed; R is trained instead of P. U2 enters only through U2 O and, where norms alone are asked, through the
    triangular factor of U2 O. See docs/theory.md, "The exact reduction".

    Attributes:
        R: (k, k') reduced stack [U1 O; V O].
        U2: (q, k') triangular factor of U2 O, q = min(D - r, k'); U2 does not move (paper, eq. 7).
        r: rank of the data: the first r rows of R belong to U1.
        h: hidden width.
    """

    R: Array
    U2: Array
    r: int
    h: int

    @property
    def U1(self) -> Array:
        """(r, k') reduced U1."""
        return self.R[: self.r]

    @property
    def V(self) -> Array:
        """(m, k') reduced V."""
        return self.R[self.r :]


def triangular_factor(A: Array) -> Array:
    """Upper-triangular factor of A (p, q), shape (min(p, q), q): the same Gram matrix, hence ||A B|| = ||factor B||."""
    return scipy.linalg.qr(A, mode="r", check_finite=False)[0][: min(A.shape)]


def reduce_network(problem: Problem, U: Array, V: Array) -> State:
    """Reduce a full network to its State, exactly (ours, theory.md "The exact reduction").

    Args:
        problem: the reparametrised problem.
        U: (D, h) input weights.
        V: (m, h) output weights.
    """
    R, O = visible_directions(problem, U, V)
    U2 = U @ O
    U2 -= problem.Phi1 @ (problem.Phi1.T @ U2)
    return State(R=R, U2=unseen_factor(problem, U2), r=problem.r, h=U.shape[1])


def visible_directions(problem: Problem, U: Array, V: Array) -> tuple[Array, Array]:
    """R (k, k') = [Phi1^T U; V] O and the orthonormal hidden directions O (h, k') that [Phi1^T U; V] has."""
    P = np.vstack([problem.Phi1.T @ U, V])
    return row_space(P, lambda: np.vstack([np.abs(problem.Phi1.T) @ np.abs(U), np.abs(V)]))


def in_own_directions(state: State, size: Array | None = None) -> State:
    """The same network in the hidden directions that [U1; V] has, exactly (see `row_space`).

    Args:
        state: a state whose R (k, k') may have a rank below k'.
        size: (k, k') sizes of the numbers that the entries of R were computed from; |R| by default.
    """
    R, O = row_space(state.R, None if size is None else lambda: size)
    if R.shape == state.R.shape:
        return state
    U2 = state.U2 @ O
    return replace(state, R=R, U2=U2 if len(U2) <= U2.shape[1] else triangular_factor(U2))


def unseen_factor(problem: Problem, U2: Array) -> Array:
    """Triangular factor of Phi2 U2 O (D, k'), rotated so that it has the D - r rows that U2 has at the most."""
    factor, rows = triangular_factor(U2), problem.D - problem.r
    if factor.shape[0] <= rows:
        return factor
    _, s, right = np.linalg.svd(factor, full_matrices=False)
    return s[:rows, None] * right[:rows]


def imbalance_matrix(R: Array, r: int) -> Array:
    """Reduced imbalance (k', k'): U1^T U1 - V^T V in the hidden directions of R (paper, eq. 9)."""
    U1, V = R[:r], R[r:]
    return U1.T @ U1 - V.T @ V


def imbalance_spectrum(state: State) -> Array:
    """Eigenvalues (k',) of Lambda, decreasing; the other h - k' eigenvalues are 0 (paper, eq. 9; no h x h array).

    Eigenvalues within rounding of zero, 4 eps ||R||_F^2, are 0: they decide the sign of a rate.
    """
    spectrum = np.linalg.eigvalsh(imbalance_matrix(state.R, state.r))[::-1]
    return np.where(np.abs(spectrum) <= 4 * np.finfo(float).eps * np.sum(state.R**2), 0.0, spectrum)


def ordered_eigenvalue(spectrum: Array, h: int, i: int) -> float:
    """lambda_i (i = 1, 2, ..., decreasing) of the h x h matrix whose non-zero eigenvalues are in `spectrum`.

    Zero where undefined (i > h), as the paper defines it for Theorem 1.
    """
    if i > h:
        return 0.0
    spectrum = np.sort(spectrum)[::-1]
    above = int(np.count_nonzero(spectrum > 0))
    zeros = h - spectrum.size
    if i <= above:
        return float(spectrum[i - 1])
    return 0.0 if i <= above + zeros else float(spectrum[i - 1 - zeros])


@dataclass(frozen=True)
class Imbalance:
    """The imbalance quantities of Theorem 1 and of Min et al. (2022), all of Lambda = U1^T U1 - V^T V.

    Attributes:
        lambda_r: lambda_r(Lambda).
        lambda_m: lambda_m(-Lambda).
        c: [lambda_r(Lambda)]_+ + [lambda_m(-Lambda)]_+ (Theorem 1).
        spread_plus: [lambda_1(Lambda)]_+ - [lambda_r(Lambda)]_+.
        spread_minus: [lambda_1(-Lambda)]_+ - [lambda_m(-Lambda)]_+.
    """

    lambda_r: float
    lambda_m: float
    c: float
    spread_plus: float
    spread_minus: float


def imbalance(state: State) -> Imbalance:
    """Imbalance quantities of a state, conserved by the flow."""
    spectrum, m = imbalance_spectrum(state), state.R.shape[0] - state.r
    lambda_r = ordered_eigenvalue(spectrum, state.h, state.r)
    lambda_m = ordered_eigenvalue(-spectrum, state.h, m)
    plus, minus = max(lambda_r, 0.0), max(lambda_m, 0.0)
    return Imbalance(
        lambda_r=lambda_r,
        lambda_m=lambda_m,
        c=plus + minus,
        spread_plus=max(ordered_eigenvalue(spectrum, state.h, 1), 0.0) - plus,
        spread_minus=max(ordered_eigenvalue(-spectrum, state.h, 1), 0.0) - minus,
    )
