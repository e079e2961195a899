"""Test points, split into what training sees of them and what it does not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.checks import as_matrix
from implicit_bias.theory.law.outputs import unseen_part
from implicit_bias.theory.problem import Array, Problem


@dataclass(frozen=True)
class Points:
    """N test points x = Phi1 a + Phi2 b.

    Attributes:
        seen: (N, r) a = Phi1^T x.
        unseen: (N, q) coordinates of Phi2 b in `basis`, q = min(N, D - r) at the most.
        basis: (D, q) orthonormal basis of the span of the parts Phi2 b.
    """

    seen: Array
    unseen: Array
    basis: Array

    @property
    def unseen_norms(self) -> Array:
        """(N,) ||b||."""
        return np.linalg.norm(self.unseen, axis=1)

    @property
    def squared_norms(self) -> Array:
        """(N,) ||x||^2."""
        return np.sum(self.seen**2, axis=1) + np.sum(self.unseen**2, axis=1)


def read_points(problem: Problem, x: ArrayLike) -> Points:
    """Test points x (N, D) of a problem.

    Raises:
        ValueError: x is not a finite (N, D) matrix.
    """
    rows = as_matrix("x", np.atleast_2d(np.asarray(x, float)))
    left, s, right = np.linalg.svd(unseen_part(problem, rows), full_matrices=False)
    q = int(np.count_nonzero(s > max(rows.shape) * np.finfo(float).eps * s[0]))
    q = min(q, problem.D - problem.r)
    return Points(seen=rows @ problem.Phi1, unseen=left[:, :q] * s[:q], basis=right[:q].T)
