"""Starts on the stable manifold of a saddle: the flow of such a start ends at the saddle (ours).

With F = diag(sigma) E = A diag(f) B^T, what the rows of A^T U1 + B^T V have grows at the rates f, and what the rows of
A^T U1 - B^T V have decays. In a symmetric problem, rows of the first kind stay zero if they start so: U = V with a
symmetric target keeps U = V, and goes to the positive part of the target alone (identity initialisation: Bartlett,
Helmbold and Long 2018). In floating point such rows hold rounding errors, and these would grow.
"""

from dataclasses import dataclass, replace

import numpy as np

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import force_rounding
from implicit_bias.theory.solvers.trajectory import residual

_EPS = float(np.finfo(float).eps)
_ROUNDING = 100.0  # share of rounding at a start, over that of a sum of k terms
_MADE = 1e6  # the same after a step
_ALONE = 1e-4  # share of a row's rate at which others mix with it


@dataclass(frozen=True)
class Inward:
    """Directions in which a state R (k, k') has nothing that grows beyond rounding.

    Attributes:
        A: (r, q) orthonormal columns.
        B: (m, q) orthonormal columns, F B = A diag(f).
        f: (q,) rates, positive.
    """

    A: Array
    B: Array
    f: Array

    @classmethod
    def of(cls, problem: Problem, R: Array) -> "Inward | None":
        """The directions of that kind at a start R (k, k'); None where there are none."""
        return cls._within(problem, R, _ROUNDING * len(R) * _EPS, problem.k)

    def after(self, problem: Problem, R: Array, t: float, made: float) -> "Inward | None":
        """Those of them that are left after a step from time t to R (k, k'), `made` the rounding of its int F.

        Raises:
            ArithmeticError: rounding errors have grown out of what was left after the first step.
        """
        left = self._within(problem, R, _MADE * max(len(R) * _EPS, made), self.f.size)
        if t > 0 and (left is None or left.f.size < self.f.size):
            raise ArithmeticError(
                f"after t = {t:g} rounding errors decide whether this start leaves a saddle, as with U = V and a "
                "symmetric target: start from other weights"
            )
        return left

    @classmethod
    def _within(cls, problem: Problem, R: Array, share: float, most: int) -> "Inward | None":
        """The directions, `most` at the most, in which less than this share of each hidden direction grows.

        They belong to a saddle if the target has a part there, which the network does not fit.
        """
        A, f, BT = np.linalg.svd(problem.sigma[:, None] * residual(problem, R), full_matrices=False)
        moving = f > force_rounding(problem, R)
        A, f, BT = A[:, moving], f[moving], BT[moving]
        size = share * np.linalg.norm(R, axis=0)
        growing = (A.T @ R[: problem.r] + BT @ R[problem.r :])[:, size > 0] / size[size > 0]
        empty = np.linalg.norm(growing, axis=1) <= _ROUNDING / _MADE
        turn = np.hstack([np.eye(f.size)[:, empty], _combined(f, growing, ~empty)])
        if not turn.size:
            return None
        inward = cls(A @ turn, BT.T @ turn, f @ turn**2)
        F = problem.sigma[:, None] * residual(problem, inward.decayed(R, np.inf))
        left = np.sum(inward.A * (F @ inward.B), axis=0) > force_rounding(problem, R)
        size = np.where(left, np.linalg.norm(turn.T @ growing, axis=1), np.inf)
        kept = np.argsort(size)[: min(most, np.count_nonzero(left))]
        return cls(inward.A[:, kept], inward.B[:, kept], inward.f[kept]) if kept.size else None

    def settled(self, R: Array) -> Array:
        """R (k, k') with exactly nothing that grows in these directions."""
        grown = self.A.T @ R[: len(self.A)] + self.B.T @ R[len(self.A) :]
        return R - np.vstack([self.A @ grown, self.B @ grown]) / 2

    def decayed(self, R: Array, t: float) -> Array:
        """R (k, k') after time t, were nothing else to move."""
        left = self.A.T @ R[: len(self.A)] - self.B.T @ R[len(self.A) :]
        gone = -np.expm1(-self.f * t)[:, None] * left
        return R - np.vstack([self.A @ gone, -self.B @ gone]) / 2

    def rest(self, problem: Problem, R: Array, tol: float) -> "tuple[Problem, Array] | None":
        """What is left once these directions have decayed, their residual to `tol`; None before.

        Returns:
            the problem without their part of the target, which nothing fits, and the state (k, k') without them.
        """
        saddle, E = self.decayed(R, np.inf), residual(problem, R)
        left, sigma, r = residual(problem, saddle), problem.sigma[:, None], problem.r
        if np.linalg.norm(left - E) > tol * np.linalg.norm(E):
            return None
        A, f, BT = np.linalg.svd(sigma * left, full_matrices=False)
        own = np.sum((A.T @ self.A) ** 2, axis=1) > 0.5
        if np.count_nonzero(own) != self.f.size:
            return None
        A, f, BT = A[:, own], f[own], BT[own]
        rest = np.vstack([saddle[:r] - A @ (A.T @ saddle[:r]), saddle[r:] - BT.T @ (BT @ saddle[r:])])
        return replace(problem, Y_tilde=problem.Y_tilde - (A * f) @ BT / sigma), rest


def _combined(f: Array, growing: Array, rows: Array) -> Array:
    """Combinations (p, q) of some of the rows (p, k') below 1, of nearly one rate (p,): where rates cross."""
    left, sizes, _ = np.linalg.svd(growing[rows])
    empty = np.eye(f.size)[:, rows] @ left[:, np.append(sizes, np.zeros(len(left) - sizes.size)) <= 1]
    rates, turn = np.linalg.eigh(empty.T @ (f[:, None] * empty))
    turn = empty @ turn
    return turn[:, np.linalg.norm(f[:, None] * turn - turn * rates, axis=0) <= _ALONE * rates]
