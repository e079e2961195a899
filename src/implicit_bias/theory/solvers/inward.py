"""Parts of a start that decay to a saddle: they are solved in closed form, apart from the rest (ours).

With F = diag(sigma) E and F b = f a, the row u of a^T U1 = -b^T V decays where it is orthogonal to all other rows and a
belongs to one singular value s of the data: its block of the product, -|u|^2, sees nothing but its own part c of the
target, u' = -(c + s^2 |u|^2) u. Constant weights and a target of the other sign are so, or U = V = I and the negative
eigenvalues of a symmetric target (Bartlett, Helmbold and Long 2018). In floating point a^T U1 + b^T V holds rounding
errors, which an integrator would let grow.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import force_rounding
from implicit_bias.theory.solvers.stopping import RESOLVED
from implicit_bias.theory.solvers.trajectory import Step, excess_loss, residual

_ROUNDING = 100.0 * float(np.finfo(float).eps)
_TIE = 1e-6  # relative gap of rates whose directions are told apart by what they hold


@dataclass(frozen=True)
class Inward:
    """The decaying part of a start R (k, k'), and what is left.

    Attributes:
        problem: the problem without the target of this part, which nothing fits.
        rest: (k, k') the start without it.
        directions: (q, k) orthogonal rows (a, -b).
        content: (q, k') rows u.
        pull: (q,) c, positive, per unit of time.
        s2: (q,) squared singular values of the data.
    """

    problem: Problem
    rest: Array
    directions: Array
    content: Array
    pull: Array
    s2: Array

    @classmethod
    def of(cls, problem: Problem, R: Array) -> "Inward | None":
        """The part of that kind of a start R (k, k'); None where there is none."""
        found = list(_parts(problem, R))
        if not found:
            return None
        a, b, u, pull, s2 = (np.array(each) for each in zip(*found, strict=True))
        directions = np.hstack([a, -b])
        target = problem.Y_tilde - (a.T * (pull / np.sqrt(s2))) @ b
        return cls(replace(problem, Y_tilde=target), R - directions.T @ u, directions, u, pull, s2)

    def at(self, t: float) -> Array:
        """The part (k, k') at time t: |u|^2 is that of a logistic equation. 0 once its loss has fallen by RESOLVED."""
        size, left = self.s2 * np.sum(self.content**2, axis=1), np.exp(-2 * self.pull * t)
        decay = self.pull * left / (self.pull - size * np.expm1(-2 * self.pull * t))
        seen = decay * size > RESOLVED * self.pull
        return np.asarray(self.directions.T @ (np.sqrt(np.where(seen, decay, 0.0))[:, None] * self.content))

    def beside(self, step: Step) -> Step:
        """The step of the whole state, from one of the rest."""
        floor = RESOLVED * excess_loss(self.problem, step.at(step.t0)) if step.t1 == np.inf else -1.0

        def at(t: float) -> Array:
            rest = step.at(t)
            return (rest if excess_loss(self.problem, rest) > floor else step.R) + self.at(t)

        return Step(step.t0, step.t1, step.R + self.at(step.t1), at)


def _parts(problem: Problem, R: Array) -> Iterator[tuple[Array, Array, Array, float, float]]:
    """a (r,), b (m,), u (k',), c and s^2 of each part."""
    r, sigma, small = problem.r, problem.sigma, _ROUNDING * len(R)
    F = sigma[:, None] * residual(problem, R)
    U1, V = R[:r], R[r:]
    for a, b in _candidates(problem, R, F):
        u = a @ U1
        size, own = np.linalg.norm(u), np.concatenate([a, -b])
        if np.linalg.norm(u + b @ V) > small * size:
            continue
        f, s2, pull = a @ F @ b, a @ (sigma**2 * a), a @ (sigma[:, None] * problem.Y_tilde) @ b
        others, sizes = R - np.outer(own, u), np.linalg.norm(R, axis=1) + np.abs(own) * size
        if (
            pull > force_rounding(problem, R)
            and np.linalg.norm(F @ b - f * a) <= small * f
            and np.linalg.norm(sigma**2 * a - s2 * a) <= small * s2
            and np.all(np.abs(others @ u) <= small * sizes * size)
        ):
            yield a, b, u, float(pull), float(s2)


def _candidates(problem: Problem, R: Array, F: Array) -> Iterator[tuple[Array, Array]]:
    """Pairs of singular vectors of F (r, m); those of nearly equal values are turned towards what they do not hold."""
    A, f, BT = np.linalg.svd(F, full_matrices=False)
    growing = A.T @ R[: problem.r] + BT @ R[problem.r :]
    starts = [0, *(np.flatnonzero(f[1:] < (1 - _TIE) * f[:-1]) + 1), f.size]
    for start, end in pairwise(starts):
        tie = slice(start, end)
        turn = np.linalg.svd(growing[tie])[0] if end - start > 1 else np.eye(1)
        yield from zip((A[:, tie] @ turn).T, turn.T @ BT[tie], strict=True)
