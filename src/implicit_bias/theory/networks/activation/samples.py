"""The data of a network with an activation: the samples themselves, in the coordinates of their row space."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from implicit_bias.theory.checks import as_matrix
from implicit_bias.theory.problem import Array, Problem, reparametrize


@dataclass(frozen=True)
class Samples:
    """A regression problem with its samples.

    A linear network needs W^T Y alone. An activation mixes what W^T separates, so a network with one needs every row.

    Attributes:
        problem: the reparametrised problem X = W diag(sigma) Phi1^T.
        Z: (n, r) X Phi1 = W diag(sigma), the samples in the coordinates of their row space.
        Y: (n, m) targets.
    """

    problem: Problem
    Z: Array
    Y: Array

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.Y.shape[0]


def read_samples(X: ArrayLike, Y: ArrayLike, rank_rtol: float | None = None) -> Samples:
    """Samples X (n, D), Y (n, m) or (n,), cut at the numerical rank of X as `reparametrize` does.

    Raises:
        ValueError: X, Y or rank_rtol is not what `reparametrize` takes.
    """
    problem = reparametrize(X, Y, rank_rtol)
    return Samples(problem=problem, Z=as_matrix("X", X) @ problem.Phi1, Y=as_matrix("Y", Y))
