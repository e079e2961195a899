"""Gradient flow by exponential collocation: exact conservation of the imbalance at a cost blind to stiffness (ours).

The flow P' = S(F) P of P = [U1; V], with S(F) = [[0, F], [F^T, 0]] and F = diag(sigma) E, moves P by elements of
O(r, m); so does every product of exponentials exp(S(X)), hence Lambda is kept to rounding at any tolerance. All the
stiffness sits in the linear equation E' = -K E of the tangent kernel K(E) = diag(sigma) A(diag(sigma) E), where
A(F) = U1 U1^T F + F V V^T. It is solved exactly for a reference kernel, and by collocation for the departure from it.
See docs/integrator.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import factorial

import numpy as np
from numpy.polynomial import Legendre, Polynomial

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.trajectory import Step, residual, velocity

NODES = np.concatenate([[0.0], (1 + np.sort(np.real(Legendre.basis(5).deriv().roots()))) / 2, [1.0]])
"""(6,) Lobatto nodes on [0, 1]."""

TIGHTEST, LOOSEST = 1e-13, 1e-5
"""Rounding forbids smaller tolerances; larger ones save few steps and are met with room to spare."""

_LAST = NODES.size - 1
_TO_MONOMIALS = np.linalg.inv(np.vander(NODES, increasing=True))
_DROPPED = Polynomial.fromroots(np.delete(NODES, 2)).coef
_FACTORIALS = np.array([factorial(p) for p in range(NODES.size)], float)
_LINKS = 8  # commutator-free steps that make up one step of the group
_SPREAD = 0.15  # eigenvalues c_j this close, relatively, share one eigendecomposition
_LARGEST_MOVE = 2.0  # of ||X|| in one step
_STALE_MOVE = 0.25  # summed ||X|| after which the reference kernel is rebuilt
_STALE_SWEEPS = 10
_MOST_SWEEPS = 14
_MOST_REJECTIONS = 60
_EQUILIBRIUM = 1e-14  # ||P'|| / (||F|| ||P||) that rounding cannot tell from zero


def phi(z: Array, last: int) -> Array:
    """phi_0 = exp, ..., phi_last of z <= 0, phi_{k+1}(z) = (phi_k(z) - 1/k!) / z; shape (last + 1, *z.shape)."""
    values = np.empty((last + 1, *z.shape))
    values[0] = np.exp(z)
    far = z < -1.5
    x, y = z[far], z[~far]
    upward = values[0][far]
    downward = np.zeros_like(y)
    for j in range(17, -1, -1):
        downward = downward * y + 1 / factorial(last + j)
    for k in range(last):
        upward = (upward - 1 / factorial(k)) / x
        values[k + 1][far] = upward
    for k in range(last, 0, -1):
        values[k][~far] = downward
        downward = downward * y + 1 / factorial(k - 1)
    return values


def _norm(X: Array) -> float:
    return float(np.linalg.norm(X))


def _left(A: Array, M: Array) -> Array:
    """A (p, q) times M (q, s) or every matrix of the stack M (T, q, s), as one product; (p, s) or (T, p, s)."""
    if M.ndim == 2:
        return A @ M
    T, q, s = M.shape
    return np.swapaxes((A @ np.swapaxes(M, 0, 1).reshape(q, T * s)).reshape(-1, T, s), 0, 1)


def _sum(weights: Array, n: Array) -> Array:
    """Sum over p of weights (T, p, r, m) times n (p, r, m)."""
    total: Array = np.einsum("tprm,prm->trm", weights, n)
    return total


def _core(X: Array) -> Array:
    """C (..., 2m, 2m) with exp S(X) = I + diag(X, I) C diag(X, I)^T: entire functions of X^T X, for X (..., r, m)."""
    m = X.shape[-1]
    f2, Q = np.linalg.eigh(np.swapaxes(X, -1, -2) @ X)
    f = np.sqrt(np.maximum(f2, 0.0))[..., None, :]
    QT = np.swapaxes(Q, -1, -2)
    half = np.where(f > 0, np.sinh(f / 2) / np.where(f > 0, f / 2, 1.0), 1.0)
    C = np.empty((*X.shape[:-2], 2 * m, 2 * m))
    C[..., :m, :m] = (Q * (half**2 / 2)) @ QT
    C[..., :m, m:] = C[..., m:, :m] = (Q * (half * np.cosh(f / 2))) @ QT
    C[..., m:, m:] = (Q * (2 * np.sinh(f / 2) ** 2)) @ QT
    return C


def _apply(X: Array, C: Array, P: Array) -> Array:
    """exp(S(X)) P for stacks X (..., r, m) with their cores C (..., 2m, 2m), and P (..., r + m, q)."""
    r, m = X.shape[-2:]
    U1, V = P[..., :r, :], P[..., r:, :]
    w = C @ np.concatenate([np.swapaxes(X, -1, -2) @ U1, V], axis=-2)
    return np.concatenate([U1 + X @ w[..., :m, :], V + w[..., m:, :]], axis=-2)


def _exp(X: Array, P: Array) -> Array:
    """exp(S(X)) P for stacks X (..., r, m) and P (..., r + m, q)."""
    return _apply(X, _core(X), P)


def _cf4(half: Array, full: Array) -> tuple[Array, Array]:
    """Exponents of the fourth-order commutator-free Magnus step, first to act first (Blanes and Moan 2006).

    Args:
        half: (..., r, m) integral of F over the first half of the step.
        full: (..., r, m) integral of F over the step.
    """
    D = (2 / 3) * (full - 2 * half)
    return full / 2 - D, full / 2 + D


def _chain(X: Array, P: Array) -> Array:
    """Magnus chain: move P (k, k') along the integrals X (2 links + 1, r, m) of F, X[0] = 0, on an even grid.

    The exponents share a thin column space; the product of exponentials is formed there and applied to P at once.
    """
    r, m = X.shape[1:]
    basis, small = np.linalg.qr(np.hstack(list(X[1:])))
    q = basis.shape[1]
    x = np.concatenate([np.zeros((1, q, m)), np.moveaxis(small.reshape(q, -1, m), 1, 0)])
    exponents = np.stack(_cf4(x[1::2] - x[:-1:2], x[2::2] - x[:-1:2]), axis=1).reshape(-1, q, m)
    T: Array = np.eye(q + m)
    for exponent, core in zip(exponents, _core(exponents), strict=True):
        T = _apply(exponent, core, T)
    move = (T - np.eye(q + m)) @ np.vstack([basis.T @ P[:r], P[r:]])
    return np.vstack([P[:r] + basis @ move[:q], P[r:] + move[q:]])


@dataclass(frozen=True)
class Reference:
    """Eigendecomposition of a kernel near K: V V^T = Q diag(c) Q^T, the c_j of a cluster replaced by their mean.

    In the coordinates e = hat(E), column by column, the reference kernel multiplies by `L`.

    Attributes:
        sigma: (r, 1) singular values of the data.
        Q: (m, m) eigenvectors of V V^T.
        clusters: columns of E Q that share a basis, and that basis Z (r, r).
        L: (r, m) eigenvalues of diag(sigma) (c_j I + U1 U1^T) diag(sigma).
        blind: (r, m) where these are rounding errors, as of a network narrower than its output.
        rounding: largest entry of hat(E) that is nothing but rounding errors.
    """

    sigma: Array
    Q: Array
    clusters: tuple[tuple[slice, Array], ...]
    L: Array
    blind: Array
    rounding: float

    @classmethod
    def at(cls, problem: Problem, R: Array, spread: float) -> "Reference":
        """Reference kernel at the state R (k, k'), merging c_j with (max - min) / (max + min) <= spread."""
        r, sigma = problem.r, problem.sigma[:, None]
        V = R[r:]
        sU1 = sigma * R[:r]
        c, Q = np.linalg.eigh(V @ V.T)
        c = np.maximum(c, 0.0)
        gram = sU1 @ sU1.T
        clusters, L, start = [], np.empty((r, c.size)), 0
        while start < c.size:
            stop = start + int(np.count_nonzero(c[start:] - c[start] <= spread * (c[start:] + c[start])))
            columns = slice(start, stop)
            values, Z = np.linalg.eigh(gram + np.diag(np.mean(c[columns]) * problem.sigma**2))
            L[:, columns] = np.maximum(values, 0.0)[:, None]
            clusters.append((columns, Z))
            start = stop
        eps = len(R) * np.finfo(float).eps
        return cls(
            sigma=sigma,
            Q=Q,
            clusters=tuple(clusters),
            L=L,
            blind=eps * np.max(L) >= L,
            rounding=eps * _norm(problem.Y_tilde),
        )

    @property
    def exact(self) -> bool:
        """Whether no two eigenvalues c_j were merged."""
        return len(self.clusters) == len(self.Q)

    def hat(self, E: Array) -> Array:
        """Coordinates (..., r, m) of E (..., r, m)."""
        EQ = E @ self.Q
        return np.concatenate([_left(Z.T, EQ[..., columns]) for columns, Z in self.clusters], axis=-1)

    def unhat(self, e: Array) -> Array:
        """E (..., r, m) of its coordinates e."""
        return np.concatenate([_left(Z, e[..., columns]) for columns, Z in self.clusters], axis=-1) @ self.Q.T

    def force(self, x: Array) -> Array:
        """diag(sigma) E of the coordinates x of E, (..., r, m)."""
        return self.sigma * self.unhat(x)

    def left_to_go(self, e: Array, h: float = 0.0) -> Array:
        """Integral (r, m) of F from time h to infinity were the kernel frozen here, e being hat(E) now."""
        e = np.where(np.logical_and(self.blind, np.abs(e) <= self.rounding), 0.0, e)
        return self.force(np.exp(-h * self.L) * e / np.maximum(self.L, 1e-30 * np.max(self.L) + 1e-200))


@dataclass(frozen=True)
class _Weights:
    """Variation of constants E' = -K_ref E + N, N(theta) = sum_p theta^p n_p, at times theta h, in hat coordinates.

    Attributes:
        decay, lift: (T, r, m) weight of e_n in e and in x = int e.
        on_e, on_x: (T, 6, r, m) weights of the n_p.
    """

    decay: Array
    lift: Array
    on_e: Array
    on_x: Array

    @classmethod
    def at(cls, theta: Array, h: float, L: Array) -> "_Weights":
        s = (h * theta)[:, None, None]
        values = np.moveaxis(phi(-s * L, _LAST + 2), 0, 1)
        powers = (_FACTORIALS * theta[:, None] ** np.arange(_LAST + 1))[:, :, None, None] * s[:, None]
        return cls(
            decay=values[:, 0],
            lift=s * values[:, 1],
            on_e=powers * values[:, 1:-1],
            on_x=powers * s[:, None] * values[:, 2:],
        )

    def residual(self, e: Array, n: Array) -> Array:
        """hat(E) (T, r, m)."""
        return self.decay * e + _sum(self.on_e, n)

    def integral(self, e: Array, n: Array) -> Array:
        """Integral (T, r, m) of hat(E)."""
        return self.lift * e + _sum(self.on_x, n)


@dataclass(frozen=True)
class Segment:
    """A collocation step from R (k, k').

    Attributes:
        reference: kernel that variation of constants is made with.
        h: size of the step.
        e: (r, m) hat(E) at the start.
        n: (6, r, m) monomial coefficients of -(K - K_ref) E over the step, in hat coordinates.
        size: ||int F|| over the step.
        sweeps: fixed-point sweeps it took.
    """

    problem: Problem
    reference: Reference
    R: Array
    h: float
    e: Array
    n: Array
    size: float
    sweeps: int

    def move(self, theta: float) -> tuple[Array, Array, Array]:
        """State at theta h: R (k, k'), its residual E (r, m) by variation of constants, the correction X (r, m) made.

        The chain's own residual misses E by the Magnus error; where the kernel is stiff that error would have died out
        during the step, and it is taken out.
        """
        grid = theta * np.arange(1, 2 * _LINKS + 1) / (2 * _LINKS)
        weights = _Weights.at(grid, self.h, self.reference.L)
        X = self.reference.force(weights.integral(self.e, self.n))
        R = _chain(np.concatenate([np.zeros((1, *X.shape[1:])), X]), self.R)
        e = weights.residual(self.e, self.n)[-1]
        missed = self.reference.hat(residual(self.problem, R)) - e
        correction = self.reference.force(weights.lift[-1] * missed)
        return _exp(correction, R), self.reference.unhat(e), correction

    def dropped_node(self) -> Array:
        """Change (r, m) of the step's integral of F when one interior node is left out of the collocation."""
        on_x = _Weights.at(np.ones(1), self.h, self.reference.L).on_x[0]
        return self.reference.force(np.tensordot(_DROPPED, on_x, axes=1) * self.n[-1])


def collocate(
    problem: Problem, reference: Reference, R: Array, h: float, E: Array, N: Array, tol: float
) -> Segment | None:
    """Solve the collocation equations of a step of size h by fixed-point sweeps; None if they do not contract.

    Args:
        E: (r, m) residual of R.
        N: (r, m) departure -(K - K_ref) E of the kernel at R, in hat coordinates.
        tol: the integral of F over the step is wanted to 0.03 tol.
    """
    r, m = problem.r, problem.m
    e, blocks = reference.hat(E), np.zeros((_LAST, r + m, 2 * m))  # diag(F, I) at each node
    blocks[:, r:, m:] = np.eye(m)
    values = np.broadcast_to(N, (_LAST + 1, r, m)).copy()
    weights = _Weights.at(np.concatenate([NODES[1:], NODES[1:] / 2]), h, reference.L)
    previous, change = np.zeros((r, m)), np.inf
    for sweep in range(1, _MOST_SWEEPS + 1):
        n = np.tensordot(_TO_MONOMIALS, values, axes=1)
        X = reference.force(weights.integral(e, n))
        size, last_change, change = _norm(X[_LAST - 1]), change, _norm(X[_LAST - 1] - previous)
        if not size <= _LARGEST_MOVE or (sweep > 3 and change > last_change):
            return None
        if change <= max(0.03 * tol, 4e-16 * size):
            return Segment(problem, reference, R, h, e, n, size, sweep)
        previous = X[_LAST - 1]
        at_nodes = weights.residual(e, n)[:_LAST]
        blocks[:, :r, :m] = F = reference.force(at_nodes)
        first, second = _cf4(X[_LAST:], X[:_LAST])
        core1, core2 = _core(first), _core(second)
        moved = _left(R.T, _apply(first, core1, _apply(second, core2, blocks)))
        U1F, V = moved[..., :m], moved[..., m:]
        AF = _apply(second, core2, _apply(first, core1, _left(R, U1F)))[:, :r] + F @ (np.swapaxes(V, -1, -2) @ V)
        values[1:] = reference.L * at_nodes - reference.hat(problem.sigma[:, None] * AF)
    return None


def departure(problem: Problem, reference: Reference, R: Array, E: Array) -> Array:
    """-(K - K_ref) E (r, m) in hat coordinates, K the kernel at R (k, k')."""
    U1, V = R[: problem.r], R[problem.r :]
    F = problem.sigma[:, None] * E
    KE = problem.sigma[:, None] * (U1 @ (U1.T @ F) + F @ (V @ V.T))
    return reference.L * reference.hat(E) - reference.hat(KE)


def _settler(r: int, R: Array) -> Callable[[Array], Array]:
    """Solver for the point of the orbit of R (k, k') where U1 V^T is a given matrix (r, m) near that of R (ours).

    P <- exp(S(X)) P moves U1 V^T by U1 U1^T X + X V V^T to first order; this Sylvester equation is solved to rounding
    with the eigenvectors at R. No conditioning of the data enters.
    """
    a, A = np.linalg.eigh(R[:r] @ R[:r].T)
    c, Q = np.linalg.eigh(R[r:] @ R[r:].T)
    denominator = np.maximum(a, 0.0)[:, None] + np.maximum(c, 0.0)
    reachable = denominator > len(R) * np.finfo(float).eps * np.max(denominator)
    inverse = np.where(reachable, 1 / np.where(reachable, denominator, 1.0), 0.0)

    def settle(product: Array) -> Array:
        P, size = R, np.inf
        while True:
            X = A @ (inverse * (A.T @ (product - P[:r] @ P[r:].T) @ Q)) @ Q.T
            last, size = size, _norm(X)
            if not size < last / 2:
                return P
            P = _exp(X, P)

    return settle


def _limit(problem: Problem, R: Array, t0: float, tol: float) -> Step | None:
    """The last step, from t0 to infinity: E decays by the kernel of the limit, R follows on its orbit.

    None if the limit is not found to `tol`, as when the kernel is nearly singular.
    """
    settle = _settler(problem.r, R)
    limit = settle(problem.min_norm_coordinates)
    reference = Reference.at(problem, limit, spread=0.0)
    if _norm(reference.left_to_go(reference.hat(residual(problem, limit)))) > tol:
        return None
    e = reference.hat(residual(problem, R))

    def at(t: float) -> Array:
        if t == np.inf:
            return limit
        E = reference.unhat(np.exp(-(t - t0) * reference.L) * e)
        return settle((problem.Y_tilde - E) / problem.sigma[:, None])

    return Step(t0=t0, t1=np.inf, R=limit, at=at)


def _first_step(reference: Reference, e: Array, move: float, near: float) -> float:
    """A step in which ||int F|| reaches about `move` under the frozen kernel, or what is left of it falls to `near`."""
    h = move / _norm(reference.force(e))
    while _norm(reference.left_to_go(e, h)) > near:
        if _norm(reference.force(2 * h * phi(-2 * h * reference.L, 1)[1] * e)) > move:
            break
        h *= 2
    return h


def _dense(segment: Segment, t0: float, t: float) -> Array:
    return segment.move((t - t0) / segment.h)[0]


def _at_rest(problem: Problem, R: Array, E: Array) -> bool:
    """Whether the residual E (r, m) of R, or else the velocity P', is nothing but rounding errors."""
    sigma, U1, V = problem.sigma[:, None], R[: problem.r], R[problem.r :]
    rounding = len(R) * np.finfo(float).eps * (np.abs(problem.Y_tilde) + sigma * (np.abs(U1) @ np.abs(V).T))
    slow = _norm(velocity(problem, R)) <= _EQUILIBRIUM * _norm(sigma * E) * _norm(R)
    return slow or bool(np.all(np.abs(E) <= rounding))


def _still(R: Array, _: float) -> Array:
    return R


def exponential_steps(problem: Problem, R0: Array, tol: float) -> Iterator[Step]:
    """Integrate the gradient flow of the reduced state; an `Integrator`.

    Lambda is kept to rounding whatever `tol` is. Where the flow converges to the min-norm product, the last step
    reaches t = infinity; at an equilibrium it does so at once; otherwise steps go on for as long as they are asked for.

    Args:
        R0: (k, k') initial reduced state.
        tol: error of a step relative to P, measured in the exponent X. The loss is then right to about sqrt(tol) of
            itself however small it has become.

    Raises:
        ValueError: tol is outside [1e-13, 1).
        ArithmeticError: rounding errors keep the tolerance from being met.
    """
    if not TIGHTEST <= tol < 1:
        raise ValueError(f"tol must be at least {TIGHTEST:g} and below 1, got {tol!r}")
    return _steps(problem, np.array(R0, float), min(tol, LOOSEST))


def _steps(problem: Problem, R: Array, tol: float) -> Iterator[Step]:
    """The generator behind `exponential_steps`, its arguments checked."""
    t, h, moved, near = 0.0, 0.0, np.inf, np.sqrt(tol)
    E = smooth = residual(problem, R)
    while True:
        if _at_rest(problem, R, E):
            yield Step(t0=t, t1=np.inf, R=R, at=partial(_still, R))
            return
        fresh = moved >= _STALE_MOVE
        if fresh:
            reference, moved = Reference.at(problem, R, _SPREAD), 0.0
        e = reference.hat(E)
        far = _norm(reference.left_to_go(e)) > near
        if not far and not fresh:
            moved = np.inf
            continue
        if not far and (last := _limit(problem, R, t, tol)):
            yield last
            return
        N = np.zeros_like(E) if fresh and reference.exact else departure(problem, reference, R, smooth)
        h = h or _first_step(reference, e, min(0.3, tol ** (1 / 6) / 2), near)
        while far and _norm(reference.left_to_go(e, h)) < near / 2:
            h *= 0.8
        for _ in range(_MOST_REJECTIONS):
            segment = collocate(problem, reference, R, h, E, N, tol)
            if segment is None:
                h *= 0.3
                continue
            R1, smooth1, correction = segment.move(1.0)
            error = max(0.05 * _norm(segment.dropped_node()), _norm(correction))
            h *= float(np.clip(0.9 * (tol / max(error, 1e-300)) ** (1 / 6), 0.2, 6.0))
            if error <= tol:
                break
        else:
            raise ArithmeticError(
                f"no step from t = {t:g} meets tol = {tol:g} in floating point; use a larger tolerance"
            )
        moved = np.inf if segment.sweeps > _STALE_SWEEPS else moved + segment.size
        yield Step(t0=t, t1=t + segment.h, R=R1, at=partial(_dense, segment, t))
        t, R, E, smooth = t + segment.h, R1, residual(problem, R1), smooth1
