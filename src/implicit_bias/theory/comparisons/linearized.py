"""The linearised flow (the NTK view): the network replaced by its first-order expansion about its initial parameters.

The kernel K(0) is constant, the error solves E' = -K(0) E, and U1, V move by its integral: closed form at any time.
See docs/lazy.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import residual


@dataclass(frozen=True)
class LinearizedFlow:
    """Gradient flow of the linearised network U1 V(0)^T + U1(0) (V - V(0))^T, U2 V^T, with U2' = 0 as in (7).

    With V(0) V(0)^T = Q diag(c) Q^T, column j of E Q decays by the kernel K_j = diag(sigma)(c_j I + U1U1^T)diag(sigma).

    Attributes:
        sigma: (r,) singular values of the data.
        Y_tilde: (r, m) reachable targets.
        E0: (r, m) error at t = 0.
        R0: (k, k') state at t = 0.
        Q: (m, m) eigenvectors of V(0) V(0)^T.
        rates: (m, r) eigenvalues of each K_j, decreasing; 0 where the network has no direction to move in.
        modes: (m, r, r) their eigenvectors, in columns.
    """

    sigma: Array
    Y_tilde: Array
    E0: Array
    R0: Array
    Q: Array
    rates: Array
    modes: Array

    def error(self, t: ArrayLike) -> Array:
        """(T, r, m) E at flow times t (T,), infinity included."""
        return self._filtered(np.exp(-self._exponents(t)))

    def product(self, t: ArrayLike) -> Array:
        """(T, r, m) linearised U1 V^T."""
        return (self.Y_tilde - self.error(t)) / self.sigma[:, None]

    def V(self, t: ArrayLike) -> Array:
        """(T, m, k') V = V(0) + (int_0^t E)^T diag(sigma) U1(0)."""
        moves = self.rates > 0
        decayed = -np.expm1(-self._exponents(t))
        integral = self._filtered(np.divide(decayed, self.rates, out=np.zeros_like(decayed), where=moves))
        r = self.sigma.size
        return self.R0[r:] + integral.swapaxes(1, 2) @ (self.sigma[:, None] * self.R0[:r])

    def excess(self, t: ArrayLike) -> Array:
        """(T,) L - L* of the linearised network."""
        return 0.5 * np.sum(self.error(t) ** 2, axis=(1, 2))

    def _exponents(self, t: ArrayLike) -> Array:
        """(T, m, r) rate times time, 0 at rate 0 even for t = infinity."""
        times = np.atleast_1d(np.asarray(t, float))[:, None, None]
        exponents = np.zeros((len(times), *self.rates.shape))
        return np.multiply(times, self.rates, out=exponents, where=self.rates > 0)

    def _filtered(self, gains: Array) -> Array:
        """(T, r, m) E0 with each mode multiplied by its gain (T, m, r)."""
        coefficients = np.einsum("jri,rj->ji", self.modes, self.E0 @ self.Q)
        return np.einsum("jri,tji->trj", self.modes, gains * coefficients, optimize=True) @ self.Q.T


def linearized_flow(problem: Problem, state: State) -> LinearizedFlow:
    """Linearise a network at its initial state: m singular value decompositions of (r, r + k') matrices.

    The modes come from the factor diag(sigma)[c_j^(1/2) I, U1] of K_j, not from K_j, so that rates keep digits at
    conditionings as large as 1e16. Only where V(0) does not reach output j can a mode be still; then as many are as U1
    lacks in rank.
    """
    V, sU1 = state.V, problem.sigma[:, None] * state.U1
    c, Q = np.linalg.eigh(V @ V.T)
    reached = c > np.finfo(float).eps * max(V.shape) * np.sum(V**2)
    rank = int(np.linalg.matrix_rank(state.U1))
    factors = [np.hstack([np.diag(np.sqrt(max(cj, 0.0)) * problem.sigma), sU1]) for cj in c]
    modes, values, _ = zip(*(np.linalg.svd(factor, full_matrices=False) for factor in factors), strict=True)
    moving = np.arange(problem.r) < np.where(reached, problem.r, rank)[:, None]
    return LinearizedFlow(
        sigma=problem.sigma,
        Y_tilde=problem.Y_tilde,
        E0=residual(problem, state.R),
        R0=state.R,
        Q=Q,
        rates=np.where(moving, np.array(values) ** 2, 0.0),
        modes=np.array(modes),
    )
