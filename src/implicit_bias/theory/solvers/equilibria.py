"""States that do not move, in floating point: minima, and the saddles between them."""

from collections.abc import Iterator

import numpy as np

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.reference import Reference
from implicit_bias.theory.solvers.stopping import SADDLE, SLOW, STATIONARY
from implicit_bias.theory.solvers.trajectory import excess_loss, residual, velocity

LARGEST = 1e70
"""Numbers of a problem larger than this, or smaller than its inverse, are refused: their fourth powers are computed."""

_EPS = float(np.finfo(float).eps)
_LONG_ENOUGH = 0.5  # time, in units of 1 / rate of growth, in which growth is seen
_SEEN_TO_GROW = 0.1  # share of the expected growth that is taken for growth
_LARGEST_EXPONENT = 700.0  # of a growth that is a number
_NEAR = 1e-3
_NEAR_SLOPE = 0.2
_SAMPLES = 3  # per decade, that show a slope


def residual_rounding(problem: Problem, R: Array) -> Array:
    """Size (r, m) of the rounding errors in the residual E of R (k, k')."""
    sizes = np.abs(R[: problem.r]) @ np.abs(R[problem.r :]).T
    rounding: Array = len(R) * _EPS * (np.abs(problem.Y_tilde) + problem.sigma[:, None] * sizes)
    return rounding


def at_solution(problem: Problem, R: Array) -> bool:
    """Whether the residual is nothing but rounding errors."""
    return bool(np.all(np.abs(residual(problem, R)) <= residual_rounding(problem, R)))


def _rounding_of_force(problem: Problem, R: Array) -> Array:
    """Size (r, m) of the rounding errors in F = diag(sigma) E and in its products."""
    E = np.abs(residual(problem, R))
    return problem.sigma[:, None] * (len(R) * _EPS * E + residual_rounding(problem, R))


def force_rounding(problem: Problem, R: Array) -> float:
    """Norm of the rounding errors in F = diag(sigma) E and in its products."""
    return float(np.linalg.norm(_rounding_of_force(problem, R)))


def at_rest(problem: Problem, R: Array) -> bool:
    """Whether the velocity of each hidden direction is nothing but rounding errors of that direction, row by row.

    The columns of R (k, k') move by the same S(F), each by itself: a tiny one is as exact as a large one. Columns of
    about one size are turned into their principal directions first, and these are exact to rounding of the largest.
    Rows of U1 belong to singular values of the data: where these are small, so are the errors.
    """
    rounding = _rounding_of_force(problem, R)
    error = np.concatenate([np.linalg.norm(rounding, axis=1), np.linalg.norm(rounding, axis=0)])
    moves = velocity(problem, R)
    if np.any(np.linalg.norm(moves, axis=1) > error * np.linalg.norm(R)):
        return False
    for group in _of_one_size(R):
        _, sizes, turn = np.linalg.svd(R[:, group], full_matrices=False)
        seen = np.maximum(sizes, len(R) * _EPS * sizes[0])
        if np.any(np.abs(moves[:, group] @ turn.T) > error[:, None] * seen):
            return False
    return True


def _of_one_size(R: Array) -> Iterator[Array]:
    """Groups of columns of R (k, k') whose norms are within a factor of 1000, the largest first."""
    sizes = np.linalg.norm(R, axis=0)
    rest = np.argsort(-sizes)
    while rest.size:
        group = rest[sizes[rest] >= 1e-3 * sizes[rest[0]]]
        yield group
        rest = rest[group.size :]


def escape(problem: Problem, R: Array) -> tuple[float, float]:
    """Size of what grows under S(F), F frozen, beyond the rounding of its entries, and its mean rate of growth.

    With F = A diag(f) B^T, the rows of A^T U1 + B^T V grow at the rates f: the second-order picture of a saddle.
    """
    A, f, BT = np.linalg.svd(problem.sigma[:, None] * residual(problem, R), full_matrices=False)
    U1, V = R[: problem.r], R[problem.r :]
    growing = A.T @ U1 + BT @ V
    noise = len(R) * _EPS * (np.abs(A.T) @ np.abs(U1) + np.abs(BT) @ np.abs(V))
    f = np.where(f > force_rounding(problem, R), f, 0.0)
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
    rounding = 1e-12 * first_out + (problem.k * _EPS) ** 2 * s2[0]
    dearer = kept[kept > first_out + rounding] - first_out
    floor = 0.5 * float(np.sum(s2[width:]))
    return floor, floor + 0.5 * float(dearer[-1]) if dearer.size else np.inf


def tied_at_the_cut(problem: Problem, width: int) -> bool:
    """Whether the best fit of `width` hidden directions is one of many: s_width = s_{width + 1} of Y~, to rounding."""
    s = np.linalg.svd(problem.Y_tilde, compute_uv=False)
    return width < s.size and bool(0 < s[width] and s[width - 1] - s[width] <= problem.k * _EPS * s[0])


def at_a_tied_fit(problem: Problem, R: Array, tol: float) -> bool:
    """Whether R (k, k') is one of many best fits: its loss to rounding, its velocity to `tol` of what E could cause.

    Rounding errors move it among them for ever.
    """
    floor, _ = losses_at_rest(problem, R.shape[1])
    rounding = problem.k * _EPS * float(np.sum(problem.Y_tilde**2))
    force = np.linalg.norm(problem.sigma[:, None] * residual(problem, R)) * np.linalg.norm(R)
    arrived = excess_loss(problem, R) - floor <= rounding
    return arrived and bool(np.linalg.norm(velocity(problem, R)) <= tol * force)


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
    rotation, done = np.zeros((R.shape[1], R.shape[1])), 0
    for group in _of_one_size(R):
        rotation[group, done : done + group.size] = np.linalg.qr(growing[:, group].T, mode="complete")[0]
        done += group.size
    return rotation


class Watch:
    """Tells a run that rests from one that leaves a saddle, while neither moves beyond rounding errors."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._seen: tuple[float, float] | None = None

    def rests(self, t: float, R: Array) -> bool:
        """Whether the state R (k, k') at time t will not move: what would grow is not there, or has not grown."""
        if at_solution(self.problem, R):
            return True
        if not at_rest(self.problem, R):
            self._seen = None
            return False
        size, rate = escape(self.problem, R)
        if size == 0:
            return True
        since, before = self._seen or (t, 0.0)
        if self._seen and (t - since) * rate < _LONG_ENOUGH:
            return False
        if size <= before * np.exp(min(_SEEN_TO_GROW * rate * (t - since), _LARGEST_EXPONENT)):
            return True
        self._seen = t, size
        return False


def how_slow(problem: Problem, R: Array) -> str:
    """What a state R (k, k') of little speed, not at rest, is: STATIONARY near its end, "" near a saddle, else SLOW."""
    floor, next_loss = losses_at_rest(problem, R.shape[1])
    E, excess = residual(problem, R), excess_loss(problem, R)
    reference = Reference.at(problem, R, spread=0.0)
    left = float(np.linalg.norm(reference.left_to_go(reference.hat(E))))
    if left <= _NEAR or (0 < floor and excess - floor <= _NEAR * min(floor, next_loss - floor)):
        return STATIONARY
    force = np.linalg.norm(problem.sigma[:, None] * E) * np.linalg.norm(R)
    at_saddle = excess > (floor + next_loss) / 2 and np.linalg.norm(velocity(problem, R)) <= _NEAR * force
    return "" if at_saddle else SLOW


def decays_algebraically(t: Array, excess: Array) -> bool:
    """Whether the excess loss (N,) falls as t^-2 over three decades of time (N,), before the last one.

    So does that of balanced modes without a target, u' = -u^3 (docs/integrator.md, "Slow ends").
    """
    edges = np.log(t[-1]) - np.log(10) * np.arange(4, 0, -1)
    if not edges[0] >= np.log(t[0]) or np.any(np.histogram(np.log(t), edges)[0] < _SAMPLES):
        return False
    slopes = np.diff(np.interp(edges, np.log(t), np.log(np.maximum(excess, 1e-300)))) / np.log(10)
    return bool(np.all(np.abs(slopes + 2) < _NEAR_SLOPE))


def check_magnitudes(problem: Problem, R: Array) -> None:
    """Refuse numbers whose products leave floating point.

    Raises:
        ValueError: the data, the targets or the weights R (k, k') are too large or too small.
    """
    sigma, weights = float(problem.sigma[0]), float(np.max(np.abs(R), initial=0.0))
    targets = float(np.max(np.abs(problem.Y_tilde)))
    sizes = {
        "the data": sigma,
        "the weights": weights,
        "the data times the weights": sigma * weights,
        "the data times the squared weights": sigma * weights**2,
        "the targets": targets,
    }
    for name, size in sizes.items():
        if not size <= LARGEST:
            raise ValueError(f"{name} must not be larger than {LARGEST:g}, got {size:g}: rescale")
    error = float(np.max(np.abs(residual(problem, R))))
    for name, size in {"the data": sigma, "the residual": error}.items():
        if 0 < size < 1 / LARGEST:
            raise ValueError(f"{name} must not be smaller than {1 / LARGEST:g}, got {size:g}: rescale")
