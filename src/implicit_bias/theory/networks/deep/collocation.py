"""The flow of a deep network by exponential collocation: any conditioning, every imbalance kept to rounding (ours).

All the stiffness is in E' = -K E; the layers move smoothly in X = int F. So E is solved by variation of constants with
a reference kernel and by Lobatto collocation for the departure from it, as in theory.exponential, and the layers follow
X by Gauss links (links.py). See docs/depth.md section 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from implicit_bias.theory.networks.deep.dynamics import (
    flat,
    heads,
    kernel_matrix,
    kernel_times,
    product,
    residual,
    tails,
    velocity,
)
from implicit_bias.theory.networks.deep.links import LINKS, LinkError, chain, link
from implicit_bias.theory.networks.deep.state import Layers
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.exponential import LOOSEST, TIGHTEST
from implicit_bias.theory.solvers.reference import DROPPED, NODES, TO_MONOMIALS, Weights, endless_integral, phi
from implicit_bias.theory.solvers.trajectory import Step

_LARGEST_MOVE = 2.0  # of ||X|| in one step
_STALE_MOVE = 0.25  # summed ||X|| after which the reference kernel is rebuilt
_STALE_SWEEPS = 10
_MOST_SWEEPS = 14
_MOST_REJECTIONS = 60
_EQUILIBRIUM = 1e-14
_GRID = np.sort(np.concatenate([NODES, (NODES[1:] + NODES[:-1]) / 2]))  # the nodes, and half-way between them


def _norm(X: Array) -> float:
    return float(np.linalg.norm(X))


@dataclass(frozen=True)
class Reference:
    """Eigendecomposition K = Z diag(L) Z^T of the tangent kernel (r m, r m) at some layers; e = Z^T vec(E).

    Attributes:
        sigma: (r, 1) singular values of the data.
        m: outputs.
        Z: (r m, r m) eigenvectors.
        L: (r m, 1) eigenvalues.
        blind: (r m, 1) where these are rounding errors.
        rounding: largest entry of e that is nothing but rounding errors.
    """

    sigma: Array
    m: int
    Z: Array
    L: Array
    blind: Array
    rounding: float

    @classmethod
    def at(cls, problem: Problem, layers: Layers) -> "Reference":
        """Reference kernel at these layers."""
        values, Z = np.linalg.eigh(kernel_matrix(problem, layers))
        L = np.maximum(values, 0.0)[:, None]
        eps = (problem.r * problem.m + problem.m) * np.finfo(float).eps
        return cls(problem.sigma[:, None], problem.m, Z, L, eps * np.max(L) >= L, eps * _norm(problem.Y_tilde))

    def hat(self, E: Array) -> Array:
        """Coordinates (r m, 1) of E (r, m)."""
        return self.Z.T @ E.reshape(-1, 1)

    def unhat(self, e: Array) -> Array:
        """E (..., r, m) of coordinates (..., r m, 1)."""
        shape = e.shape[:-2]
        return (e.reshape(-1, len(self.Z)) @ self.Z.T).reshape(*shape, -1, self.m)

    def force(self, e: Array) -> Array:
        """diag(sigma) E (..., r, m) of coordinates (..., r m, 1)."""
        return self.sigma * self.unhat(e)

    def left_to_go(self, e: Array, h: float = 0.0) -> Array:
        """Integral (r, m) of F from time h to infinity were the kernel frozen here, e being hat(E) now."""
        return self.force(endless_integral(e, self.L, h, self.blind, self.rounding))


@dataclass(frozen=True)
class Segment:
    """A collocation step.

    Attributes:
        layers: where it starts.
        h: its size.
        e: (r m, 1) hat(E) at the start.
        n: (6, r m, 1) monomial coefficients of -(K - K_ref) E over the step, in hat coordinates.
        size: ||int F|| over the step.
        sweeps: fixed-point sweeps it took.
    """

    problem: Problem
    reference: Reference
    layers: Layers
    h: float
    e: Array
    n: Array
    size: float
    sweeps: int

    def move(self, theta: float) -> tuple[Layers, Array, Array]:
        """At theta h: the layers, their residual E (r, m) by variation of constants, the correction X (r, m) made.

        The chain's own residual misses E by the error of the links; where the kernel is stiff that would have died out
        during the step, and it is taken out.
        """
        grid = theta * np.arange(1, 2 * LINKS + 1) / (2 * LINKS)
        weights = Weights.at(grid, self.h, self.reference.L)
        X = self.reference.force(weights.integral(self.e, self.n))
        layers = chain(self.layers, np.concatenate([np.zeros((1, *X.shape[1:])), X]))[-1]
        e = weights.residual(self.e, self.n)[-1]
        missed = self.reference.hat(residual(self.problem, layers)) - e
        correction = self.reference.force(weights.lift[-1] * missed)
        return link(layers, correction, correction), self.reference.unhat(e), correction

    def dropped_node(self) -> Array:
        """Change (r, m) of the step's integral of F when one interior node is left out of the collocation."""
        on_x = Weights.at(np.ones(1), self.h, self.reference.L).on_x[0]
        return self.reference.force(np.tensordot(DROPPED, on_x, axes=1) * self.n[-1])


def departure(problem: Problem, reference: Reference, layers: Layers, E: Array) -> Array:
    """-(K - K_ref) E (r m, 1) in hat coordinates, K the kernel at these layers."""
    return reference.L * reference.hat(E) - reference.hat(kernel_times(problem, layers, E))


def collocate(
    problem: Problem, reference: Reference, layers: Layers, h: float, E: Array, N: Array, tol: float
) -> Segment | None:
    """Solve the collocation equations of a step of size h by fixed-point sweeps; None if they do not contract.

    Args:
        E: (r, m) residual of the layers.
        N: (r m, 1) departure of their kernel.
        tol: the integral of F over the step is wanted to 0.03 tol.
    """
    e = reference.hat(E)
    values = np.broadcast_to(N, (NODES.size, *N.shape)).copy()
    weights = Weights.at(_GRID[1:], h, reference.L)
    previous, change = np.zeros_like(E), np.inf
    for sweep in range(1, _MOST_SWEEPS + 1):
        n = np.tensordot(TO_MONOMIALS, values, axes=1)
        X = reference.force(weights.integral(e, n))
        size, last_change, change = _norm(X[-1]), change, _norm(X[-1] - previous)
        if not size <= _LARGEST_MOVE or (sweep > 3 and change > last_change):
            return None
        if change <= max(0.03 * tol, 4e-16 * size):
            return Segment(problem, reference, layers, h, e, n, size, sweep)
        previous = X[-1]
        at_nodes = weights.residual(e, n)[1::2]
        try:
            there = chain(layers, np.concatenate([np.zeros((1, *E.shape)), X]), rtol=min(1e-2 * tol, 1e-2 * change))
        except LinkError:
            return None
        for i, (W, e_i) in enumerate(zip(there, at_nodes, strict=True), start=1):
            values[i] = departure(problem, reference, W, reference.unhat(e_i))
    return None


def exponential_steps(problem: Problem, layers: Layers, tol: float) -> Iterator[Step]:
    """Integrate the gradient flow of the layers; the R of a step holds all of them as one vector.

    Every Lambda_l is kept to rounding whatever `tol` is. Where the flow converges to the min-norm product, the last
    step reaches t = infinity; at an equilibrium it does so at once.

    Args:
        problem: the reparametrised problem.
        layers: the initial layers.
        tol: error of a step, measured in X = int F.

    Raises:
        ValueError: tol is outside [1e-13, 1).
        ArithmeticError: rounding errors keep the tolerance from being met, or the layers overflow.
    """
    if not TIGHTEST <= tol < 1:
        raise ValueError(f"tol must be at least {TIGHTEST:g} and below 1, got {tol!r}")
    return _steps(problem, layers, min(tol, LOOSEST))


def _steps(problem: Problem, W: Layers, tol: float) -> Iterator[Step]:
    """The generator behind `exponential_steps`, its arguments checked."""
    t, h, moved, near = 0.0, 0.0, np.inf, np.sqrt(tol)
    E = smooth = residual(problem, W)
    while True:
        if _at_rest(problem, W, E):
            y = flat(W)
            yield Step(t0=t, t1=np.inf, R=y, at=partial(_still, y))
            return
        fresh = moved >= _STALE_MOVE
        if fresh:
            reference, moved = Reference.at(problem, W), 0.0
        e = reference.hat(E)
        far = _norm(reference.left_to_go(e)) > near
        if not far and not fresh:
            moved = np.inf
            continue
        if not far and (last := _limit(problem, W, t, tol)):
            yield last
            return
        N = np.zeros_like(e) if fresh else departure(problem, reference, W, smooth)
        h = h or _first_step(reference, e, min(0.3, tol ** (1 / 6) / 2), near)
        while far and _norm(reference.left_to_go(e, h)) < near / 2:
            h *= 0.8
        for _ in range(_MOST_REJECTIONS):
            moves = _attempt(problem, reference, W, h, E, N, tol)
            if moves is None:
                h *= 0.3
                continue
            segment, (W1, smooth1, correction) = moves
            error = max(0.05 * _norm(segment.dropped_node()), _norm(correction))
            h *= float(np.clip(0.9 * (tol / max(error, 1e-300)) ** (1 / 6), 0.2, 6.0))
            if error <= tol:
                break
        else:
            raise ArithmeticError(
                f"no step from t = {t:g} meets tol = {tol:g} in floating point; use a larger tolerance"
            )
        moved = np.inf if segment.sweeps > _STALE_SWEEPS else moved + segment.size
        yield Step(t0=t, t1=t + segment.h, R=flat(W1), at=partial(_dense, segment, t))
        t, W, E, smooth = t + segment.h, W1, residual(problem, W1), smooth1


def _attempt(
    problem: Problem, reference: Reference, W: Layers, h: float, E: Array, N: Array, tol: float
) -> tuple[Segment, tuple[Layers, Array, Array]] | None:
    """A step of size h and where it leads; None if its equations do not contract."""
    with np.errstate(over="ignore", invalid="ignore"):
        segment = collocate(problem, reference, W, h, E, N, tol)
        if segment is None:
            return None
        try:
            return segment, segment.move(1.0)
        except LinkError:
            return None


def _first_step(reference: Reference, e: Array, move: float, near: float) -> float:
    """A step in which ||int F|| reaches about `move` under the frozen kernel, or what is left of it falls to `near`."""
    h = move / _norm(reference.force(e))
    while _norm(reference.left_to_go(e, h)) > near:
        if _norm(reference.force(2 * h * phi(-2 * h * reference.L, 1)[1] * e)) > move:
            break
        h *= 2
    return h


def _dense(segment: Segment, t0: float, t: float) -> Array:
    return flat(segment.move((t - t0) / segment.h)[0])


def _still(y: Array, _: float) -> Array:
    return y


def _at_rest(problem: Problem, W: Layers, E: Array) -> bool:
    """Whether the residual E (r, m), or else the velocity, is nothing but rounding errors."""
    S = tails(W, problem.m)[0]
    rounding = (problem.r + len(S)) * np.finfo(float).eps
    rounding = rounding * (np.abs(problem.Y_tilde) + problem.sigma[:, None] * (np.abs(W[0]) @ np.abs(S)))
    moves, sizes = zip(*((_norm(v), _norm(w)) for v, w in zip(velocity(problem, W), W, strict=True)), strict=True)
    others = [np.prod([s for j, s in enumerate(sizes) if j != l]) for l in range(len(sizes))]
    scale = _norm(problem.sigma[:, None] * E) * float(np.hypot.reduce(others))
    return bool(float(np.hypot.reduce(moves)) <= _EQUILIBRIUM * scale or np.all(np.abs(E) <= rounding))


def _limit(problem: Problem, W: Layers, t0: float, tol: float) -> Step | None:
    """The last step, from t0 to infinity: E decays by the kernel of the limit, the layers follow their product.

    None if the limit is not found to `tol`, as when the kernel is nearly singular.
    """
    settler = _Settler(problem, W)
    try:
        limit = settler(problem.min_norm_coordinates)
    except LinkError:
        return None
    reference = Reference.at(problem, limit)
    if _norm(reference.left_to_go(reference.hat(residual(problem, limit)))) > tol:
        return None
    e, end = reference.hat(residual(problem, W)), flat(limit)

    def at(t: float) -> Array:
        if t == np.inf:
            return end
        E = reference.unhat(np.exp(-(t - t0) * reference.L) * e)
        return flat(settler((problem.Y_tilde - E) / problem.sigma[:, None]))

    return Step(t0=t0, t1=np.inf, R=end, at=at)


class _Settler:
    """Finds, by links from layers W, layers near them whose product A M is a given matrix (ours).

    A link along X moves the product by sum_l P_l P_l^T X S_l^T S_l to first order; this is solved with the
    eigenvectors at W. No conditioning of the data enters.
    """

    def __init__(self, problem: Problem, W: Layers) -> None:
        self._W, self._m = W, problem.m
        size = problem.r * problem.m
        A = np.zeros((size, size))
        for P, S in zip(heads(W, problem.r), tails(W, problem.m), strict=True):
            A += np.kron(P @ P.T, S.T @ S)
        values, self._Z = np.linalg.eigh(A)
        reachable = values > (size + problem.m) * np.finfo(float).eps * values[-1]
        self._inverse = np.where(reachable, 1 / np.where(reachable, values, 1.0), 0.0)

    def __call__(self, wanted: Array) -> Layers:
        W, size = self._W, np.inf
        while True:
            missing = (wanted - product(W, self._m)).ravel()
            X = (self._Z @ (self._inverse * (self._Z.T @ missing))).reshape(wanted.shape)
            last, size = size, _norm(X)
            if not size < last / 2:
                return W
            W = link(W, X, X)
