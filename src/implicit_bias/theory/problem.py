"""The regression problem in the coordinates of its data: SVD reparametrisation and min-norm solution."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.checks import Array as Array
from implicit_bias.theory.checks import as_matrix
from implicit_bias.theory.rounding import binary_deviation, rounding_norm


@dataclass(frozen=True)
class Problem:
    """A regression problem min ||Y - X Theta||_F^2 reparametrised by X = W diag(sigma) Phi1^T (paper, eq. 4).

    Attributes:
        n: number of rows of X.
        sigma: (r,) the singular values of X above the rank cut, decreasing; Sigma_x = diag(sigma^2).
        Phi1: (D, r) orthonormal basis of the row space of X.
        Y_tilde: (r, m) W^T Y, the reachable part of the targets.
        loss_floor: L* = 1/2 ||(I - W W^T) Y||_F^2, the part of the loss no network can remove (eq. 8).
    """

    n: int
    sigma: Array
    Phi1: Array
    Y_tilde: Array
    loss_floor: float

    @property
    def D(self) -> int:
        """Input dimension."""
        return self.Phi1.shape[0]

    @property
    def m(self) -> int:
        """Output dimension."""
        return self.Y_tilde.shape[1]

    @property
    def r(self) -> int:
        """Numerical rank of X."""
        return self.sigma.size

    @property
    def k(self) -> int:
        """Rows r + m of the stacked state [U1; V]."""
        return self.r + self.m

    @property
    def cond(self) -> float:
        """Condition number lambda_1(Sigma_x) / lambda_r(Sigma_x) = (sigma_1 / sigma_r)^2."""
        return float((self.sigma[0] / self.sigma[-1]) ** 2)

    @property
    def min_norm_coordinates(self) -> Array:
        """(r, m) Phi1^T Theta^ = diag(1/sigma) Y~, the value of U1 V^T at convergence."""
        return self.Y_tilde / self.sigma[:, None]

    @property
    def min_norm_solution(self) -> Array:
        """(D, m) Theta^ = Phi1 diag(1/sigma) Y~ = X^T (X X^T)^+ Y (eq. 11, 13)."""
        return self.Phi1 @ self.min_norm_coordinates

    @property
    def y_norm(self) -> float:
        """||Y||_F, the norm of all targets: reachable and unreachable parts are orthogonal (eq. 8)."""
        return float(np.sqrt(np.sum(self.Y_tilde**2) + 2 * self.loss_floor))

    def averaged(self, excess: ArrayLike) -> Array:
        """Turn an excess loss L - L* into that of the averaged loss L~ = ||Y - X U V^T||_F^2 / n, i.e. times 2/n."""
        return np.asarray(excess, float) * (2 / self.n)

    def iterations(self, t: ArrayLike, step_size: float) -> Array:
        """Gradient-descent iterations on the averaged loss that span flow time t: k = t n / (2 eta)."""
        return np.asarray(t, float) * (self.n / (2 * step_size))

    def flow_time(self, iterations: ArrayLike, step_size: float) -> Array:
        """Flow time of iteration k of gradient descent with step eta on the averaged loss: t = k 2 eta / n."""
        return np.asarray(iterations, float) * (2 * step_size / self.n)


def rank_cut(shape: tuple[int, int], sigma_1: float, rank_rtol: float | None = None, rounding: float = 0.0) -> float:
    """The singular value up to which the data cannot be told from rounding.

    Args:
        shape: (n, D).
        sigma_1: the largest singular value.
        rank_rtol: the cut relative to sigma_1, whatever the rounding; None means max(n, D) * machine epsilon * sigma_1,
            the error of the SVD itself, or `rounding` where that is larger.
        rounding: bound of the spectral norm of the rounding errors in X.

    Raises:
        ValueError: rank_rtol is outside [0, 1), or rounding is negative or not finite.
    """
    if rank_rtol is not None and not 0 <= rank_rtol < 1:
        raise ValueError(f"rank_rtol must be in [0, 1), got {rank_rtol}")
    if not 0 <= rounding < np.inf:
        raise ValueError(f"rounding must be finite and >= 0, got {rounding}")
    if rank_rtol is not None:
        return rank_rtol * sigma_1
    return max(max(shape) * float(np.finfo(float).eps) * sigma_1, rounding)


def doubtful_ranks(sigma: Array, cut: float) -> tuple[int, int] | None:
    """The ranks between which a spectrum leaves the choice; None if it has a gap at the cut.

    A singular value less than ten times the cut is known to less than one digit, so that the rank may be any from the
    number of those above ten times the cut to the number of those above the cut.

    Args:
        sigma: singular values in any order; those below the cut make no difference.
        cut: the size of the rounding.
    """
    low, high = int(np.count_nonzero(sigma > 10 * cut)), int(np.count_nonzero(sigma > cut))
    return (low, high) if low < high else None


def reparametrize(
    X: ArrayLike,
    Y: ArrayLike,
    rank_rtol: float | None = None,
    rounding: float | None = None,
    rank: int | None = None,
) -> Problem:
    """Reparametrise a regression problem by the thin SVD of its data (paper, section 2.1).

    The numerical rank r counts the singular values above `rank_cut`.

    Args:
        X: (n, D) data, one sample per row.
        Y: (n, m) or (n,) targets.
        rank_rtol: relative rank cut; None means max(n, D) * machine epsilon, or `rounding` where that is larger.
        rounding: bound of the spectral norm of the rounding errors in X, as of `rounding_norm`; None means that of the
            type of X where it is float32 or float16, else 0. Data that were shifted, scaled or rounded before carry
            more than their numbers show.
        rank: the rank itself, whatever the spectrum.

    Raises:
        ValueError: X or Y is not a finite matrix, their rows differ, X is zero, rank_rtol is outside [0, 1), rounding
            is negative, all of X is below the rounding, or there is no such rank.
    """
    eps = _precision(X)
    X, Y = as_matrix("X", X), as_matrix("Y", Y)
    if X.shape[0] != Y.shape[0]:
        raise ValueError(f"X and Y must have the same number of rows, got {X.shape[0]} and {Y.shape[0]}")
    if rounding is None:
        rounding = rounding_norm(binary_deviation(X, eps), X.shape[0]) if eps else 0.0
    W, sigma, PhiT = np.linalg.svd(X, full_matrices=False)
    cut = rank_cut(X.shape, float(sigma[0]), rank_rtol, rounding)
    if sigma[0] == 0:
        raise ValueError("X must have rank at least 1, got a zero matrix")
    if rank is not None and not 1 <= rank <= np.count_nonzero(sigma):
        raise ValueError(f"rank must be from 1 to {np.count_nonzero(sigma)}, got {rank}")
    r = int(np.count_nonzero(sigma > cut)) if rank is None else rank
    if r == 0:
        raise ValueError(
            f"X must have rank at least 1: its largest singular value {sigma[0]:.3g} is below its rounding, {cut:.3g}"
        )
    W, sigma, Phi1 = W[:, :r], sigma[:r], np.ascontiguousarray(PhiT[:r].T)
    Y_tilde = W.T @ Y
    return Problem(
        n=X.shape[0],
        sigma=sigma,
        Phi1=Phi1,
        Y_tilde=Y_tilde,
        loss_floor=float(0.5 * np.sum((Y - W @ Y_tilde) ** 2)),
    )


def _precision(value: ArrayLike) -> float:
    """Machine epsilon of floats shorter than float64; 0 for all other numbers."""
    dtype = getattr(value, "dtype", None)
    short = isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize < 8
    return float(np.finfo(dtype).eps) if short else 0.0
