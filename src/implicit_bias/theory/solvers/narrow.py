"""Steps of the flow of networks narrower than their target, by collocation about its Hessian (ours).

Their force F does not vanish at the end, and holds steps of the group to ||F|| h <= 2. Near a minimum P obeys
P' = -H (P - P_end) with the Hessian H of the loss, which knows of F what P feels of it. It is a dense matrix, and its
eigenvectors make the linear part exact. See docs/integrator.md, "Narrow networks".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import losses_at_rest
from implicit_bias.theory.solvers.limit import settler
from implicit_bias.theory.solvers.reference import DROPPED, NODES, TO_MONOMIALS, Weights
from implicit_bias.theory.solvers.trajectory import Step, excess_loss, residual, velocity

LARGEST_HESSIAN = 400
"""Unknowns (r + m) k' up to which the Hessian is made and diagonalised."""
_MOST_SWEEPS = 12
_MOST_REJECTIONS = 60
_NEAR_SADDLE = 1e-3


def jacobian(problem: Problem, P: Array) -> Array:
    """Derivative of the velocity at P (k, k'), minus the Hessian of the loss: symmetric, (k k', k k')."""
    r, (k, q) = problem.r, P.shape
    U1, V, s2 = P[:r], P[r:], problem.sigma**2
    F = problem.sigma[:, None] * residual(problem, P)
    J = np.zeros((k, q, k, q))
    J[:r, :, :r] = np.einsum("ab,ij->aibj", -np.diag(s2), V.T @ V)
    J[r:, :, r:] = np.einsum("ab,ij->aibj", -np.eye(k - r), (U1.T * s2) @ U1)
    mixed = np.einsum("bc,ij->bicj", F, np.eye(q)) - np.einsum("bj,ci->bicj", s2[:, None] * U1, V)
    J[:r, :, r:] = mixed
    J[r:, :, :r] = mixed.transpose(2, 3, 0, 1)
    return J.reshape(k * q, k * q)


def restore(P: Array, r: int, imbalance: Array) -> Array:
    """P (k, k') moved along J P Z, Z symmetric, to where its Lambda is a given one near it, up to rounding.

    To first order Lambda changes by P^T P Z + Z P^T P, a Lyapunov equation.
    """
    size = np.inf
    while True:
        missing = imbalance - imbalance_matrix(P, r)
        last, size = size, float(np.linalg.norm(missing))
        if not size < last / 2:
            return P
        a, Q = np.linalg.eigh(P.T @ P)
        Z = Q @ ((Q.T @ missing @ Q) / (a[:, None] + a)) @ Q.T
        P = P + np.vstack([P[:r], -P[r:]]) @ Z


def best_product(problem: Problem, width: int) -> Array:
    """(r, m) U1 V^T of the least loss of `width` hidden directions (Eckart and Young 1936)."""
    A, s, BT = np.linalg.svd(problem.Y_tilde, full_matrices=False)
    best: Array = (A[:, :width] * s[:width]) @ BT[:width] / problem.sigma[:, None]
    return best


@dataclass
class Narrow:
    """Steps of the flow where the width keeps it from its target.

    Attributes:
        problem: the reparametrised problem.
        tol: error of a step relative to P.
        next_loss: least loss of a saddle.
        best: (r, m) product at the end.
        h: size of the next step; 0 before the first one.
    """

    problem: Problem
    tol: float
    next_loss: float
    best: Array
    h: float = 0.0

    @classmethod
    def of(cls, problem: Problem, R: Array, tol: float) -> "Narrow | None":
        """None if k' hidden directions R (k, k') reach the target, or are too many for a Hessian."""
        width = R.shape[1]
        floor, next_loss = losses_at_rest(problem, width)
        if floor <= 1e-24 * np.sum(problem.Y_tilde**2) or R.size > LARGEST_HESSIAN:
            return None
        return cls(problem, tol, next_loss, best_product(problem, width))

    def suits(self, R: Array) -> bool:
        """Whether errors of `tol` relative to P matter to no hidden direction of R (k, k'), nor to leaving a saddle."""
        sizes = np.linalg.svd(R, compute_uv=False)
        if sizes[-1] < 10 * np.sqrt(self.tol) * sizes[0]:
            return False
        force = np.linalg.norm(self.problem.sigma[:, None] * residual(self.problem, R))
        moves = np.linalg.norm(velocity(self.problem, R)) > _NEAR_SADDLE * force * np.linalg.norm(R)
        return bool(moves or excess_loss(self.problem, R) < self.next_loss)

    def step(self, t: float, R: Array) -> Step:
        """The next step from R (k, k') at time t: to infinity once the end is as near as `tol`.

        Raises:
            ArithmeticError: rounding errors keep the tolerance from being met.
        """
        if excess_loss(self.problem, R) < self.next_loss:
            end = settler(self.problem.r, R)(self.best)
            if np.linalg.norm(end - R) <= max(self.tol, 1e-11) * np.linalg.norm(R):
                return self._last(t, R, end)
        rates, Q = np.linalg.eigh(jacobian(self.problem, R))
        start, size = Q.T @ velocity(self.problem, R).ravel(), self.tol * np.linalg.norm(R)
        h = self.h or self.tol ** (1 / 6) * float(np.linalg.norm(R) / np.linalg.norm(start))
        h = min(h, 2 / max(rates[-1], 1e-300))
        for _ in range(_MOST_REJECTIONS):
            n = self._collocate(R, rates, Q, start, h, 0.03 * size)
            if n is None:
                h *= 0.3
                continue
            error = 0.05 * np.linalg.norm(self._moved(rates, h, n[-1] * DROPPED[:, None]))
            made, h = h, h * float(np.clip(0.9 * (size / max(error, 1e-300)) ** (1 / 6), 0.2, 6.0))
            if error <= size:
                self.h = h
                return self._made(t, R, made, lambda theta: Q @ self._moved(rates, made, n, theta))
        raise ArithmeticError(f"no step from t = {t:g} meets tol = {self.tol:g} in floating point")

    def _collocate(self, R: Array, rates: Array, Q: Array, start: Array, h: float, enough: float) -> Array | None:
        """Monomial coefficients (6, n) of the velocity without its linear part over the step, or None.

        Args:
            rates, Q: eigenvalues (n,) and eigenvectors (n, n) of the Jacobian at R.
            start: velocity at R in these.
            enough: change of the step's end at which sweeps stop.
        """
        weights = Weights.at(NODES[1:], h, -rates[:, None])
        values = np.tile(start, (NODES.size, 1))
        moved = np.zeros((NODES.size - 1, start.size))
        change = np.inf
        for sweep in range(_MOST_SWEEPS):
            n = TO_MONOMIALS @ values
            before, moved = moved, weights.residual(np.zeros((1, 1)), n[..., None])[..., 0]
            last, change = change, float(np.linalg.norm(moved[-1] - before[-1]))
            if not np.max(np.abs(moved)) <= np.linalg.norm(R) or (sweep > 2 and change > last):
                return None
            if change <= enough:
                return n
            P = R + (moved @ Q.T).reshape(-1, *R.shape)
            values[1:] = velocities(self.problem, P).reshape(len(P), -1) @ Q - rates * moved
        return None

    def _moved(self, rates: Array, h: float, n: Array, theta: float = 1.0) -> Array:
        """Way (n,) made at theta h, in eigenvectors."""
        weights = Weights.at(np.array([theta]), h, -rates[:, None])
        return weights.residual(np.zeros((1, 1)), n[..., None])[0, :, 0]

    def _made(self, t: float, R: Array, h: float, way: Callable[[float], Array]) -> Step:
        at = partial(self._at, t, R, h, way)
        return Step(t, t + h, at(t + h), at)

    def _at(self, t0: float, R: Array, h: float, way: Callable[[float], Array], t: float) -> Array:
        r = self.problem.r
        return restore(R + way((t - t0) / h).reshape(R.shape), r, imbalance_matrix(R, r))

    def _last(self, t0: float, R: Array, end: Array) -> Step:
        rates, Q = np.linalg.eigh(jacobian(self.problem, end))
        left = Q.T @ (R - end).ravel()

        def at(t: float) -> Array:
            if t == np.inf:
                return end
            P = end + (Q @ (np.exp(np.minimum(rates, 0.0) * (t - t0)) * left)).reshape(R.shape)
            return restore(P, self.problem.r, imbalance_matrix(end, self.problem.r))

        return Step(t0, np.inf, end, at)


def velocities(problem: Problem, P: Array) -> Array:
    """Velocity (T, k, k') of a stack of states P."""
    U1, V = P[:, : problem.r], P[:, problem.r :]
    sigma = problem.sigma[:, None]
    F = sigma * (problem.Y_tilde - sigma * (U1 @ np.swapaxes(V, 1, 2)))
    return np.concatenate([F @ V, np.swapaxes(F, 1, 2) @ U1], axis=1)
