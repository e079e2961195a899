"""States that do not move, in floating point: minima, and the saddles between them."""

import numpy as np

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.stopping import SADDLE, STATIONARY
from implicit_bias.theory.trajectory import excess_loss, residual, velocity

LARGEST = 1e70
"""Numbers of a problem larger than this, or smaller than its inverse, are refused: their fourth powers are computed."""

_EPS = float(np.finfo(float).eps)


def residual_rounding(problem: Problem, R: Array) -> Array:
    """Size (r, m) of the rounding errors in the residual E of R (k, k')."""
    sizes = np.abs(R[: problem.r]) @ np.abs(R[problem.r :]).T
    rounding: Array = len(R) * _EPS * (np.abs(problem.Y_tilde) + problem.sigma[:, None] * sizes)
    return rounding


def at_solution(problem: Problem, R: Array) -> bool:
    """Whether the residual is nothing but rounding errors."""
    return bool(np.all(np.abs(residual(problem, R)) <= residual_rounding(problem, R)))


def at_rest(problem: Problem, R: Array) -> bool:
    """Whether the velocity of each hidden direction is nothing but rounding errors of that direction.

    The columns of R (k, k') move by the same S(F), each by itself: a tiny one is as exact as a large one.
    """
    sigma, r = problem.sigma[:, None], problem.r
    F, noise = sigma * residual(problem, R), sigma * residual_rounding(problem, R)
    U1, V = (np.linalg.norm(part, axis=0) for part in (R[:r], R[r:]))
    error = len(R) * _EPS * np.linalg.norm(F) + np.linalg.norm(noise)
    return bool(np.all(np.linalg.norm(velocity(problem, R), axis=0) <= error * np.hypot(U1, V)))


def escape(problem: Problem, R: Array) -> tuple[float, float]:
    """Size of what grows under S(F), F frozen, beyond the rounding of its entries, and its mean rate of growth.

    With F = A diag(f) B^T, the rows of A^T U1 + B^T V grow at the rates f: the second-order picture of a saddle.
    """
    A, f, BT = np.linalg.svd(problem.sigma[:, None] * residual(problem, R), full_matrices=False)
    U1, V = R[: problem.r], R[problem.r :]
    growing = A.T @ U1 + BT @ V
    noise = len(R) * _EPS * (np.abs(A.T) @ np.abs(U1) + np.abs(BT) @ np.abs(V))
    weights = f * np.linalg.norm(np.where(np.abs(growing) > noise, growing, 0.0), axis=1)
    size = float(np.linalg.norm(weights))
    return size, float(f @ (weights / size) ** 2) if size > 0 else 0.0


def losses_at_rest(problem: Problem, width: int) -> tuple[float, float]:
    """Least excess loss of `width` hidden directions, and the next larger one that an equilibrium has.

    At an equilibrium diag(sigma) U1 V^T is Y~ restricted to some of its singular vectors, at the most `width`; keeping
    the largest is the minimum (Eckart and Young 1936), and all others are saddles (Baldi and Hornik 1989).
    """
    s2 = np.linalg.svd(problem.Y_tilde, compute_uv=False) ** 2
    kept, first_out = s2[:width], s2[width] if width < s2.size else 0.0
    dearer = kept[kept > first_out * (1 + 1e-12)] - first_out
    floor = 0.5 * float(np.sum(s2[width:]))
    return floor, floor + 0.5 * float(dearer[-1]) if dearer.size else np.inf


def kind_of_rest(problem: Problem, R: Array) -> str:
    """STATIONARY if the equilibrium R (k, k') is a minimum for its hidden directions, SADDLE if it is not."""
    floor, next_loss = losses_at_rest(problem, R.shape[1])
    minimum = at_solution(problem, R) or excess_loss(problem, R) < (floor + next_loss) / 2
    return STATIONARY if minimum else SADDLE


def gather(problem: Problem, R: Array) -> Array:
    """Rotation (k', k') of the hidden directions that gathers what grows under S(F), fastest first (ours).

    Near a saddle one direction grows large while others stay tiny. Were a tiny one spread over large columns, their
    rounding errors would drown it. Columns of about one size are rotated among themselves alone.
    """
    A, _, BT = np.linalg.svd(problem.sigma[:, None] * residual(problem, R), full_matrices=False)
    growing = A.T @ R[: problem.r] + BT @ R[problem.r :]
    sizes = np.linalg.norm(R, axis=0)
    rest, rotation = np.argsort(-sizes), np.zeros((sizes.size, sizes.size))
    done = 0
    while rest.size:
        group = rest[sizes[rest] >= 1e-3 * sizes[rest[0]]]
        rest = rest[group.size :]
        rotation[group, done : done + group.size] = np.linalg.qr(growing[:, group].T, mode="complete")[0]
        done += group.size
    return rotation


def check_magnitudes(problem: Problem, R: Array) -> None:
    """Refuse numbers whose products leave floating point.

    Raises:
        ValueError: the data, the targets or the weights R (k, k') are too large or too small.
    """
    weights, targets = float(np.max(np.abs(R), initial=0.0)), float(np.max(np.abs(problem.Y_tilde)))
    sizes = {
        "the targets": targets,
        "the data times the weights": float(problem.sigma[0]) * weights,
        "the data times the squared weights": float(problem.sigma[0]) * weights**2,
        "the data": float(problem.sigma[0]),
    }
    for name, size in sizes.items():
        if size != 0 and not 1 / LARGEST <= size <= LARGEST:
            raise ValueError(f"{name} must be of a size between {1 / LARGEST:g} and {LARGEST:g}, got {size:g}: rescale")
