"""Gradient flow by exponential collocation: exact conservation of the imbalance at a cost blind to stiffness (ours).

The flow P' = S(F) P of P = [U1; V], with S(F) = [[0, F], [F^T, 0]] and F = diag(sigma) E, moves P by elements of
O(r, m); so does every product of exponentials exp(S(X)), hence Lambda is kept to rounding at any tolerance. All the
stiffness sits in the linear equation E' = -K E of the tangent kernel K(E) = diag(sigma) A(diag(sigma) E), where
A(F) = U1 U1^T F + F V V^T. It is solved exactly for a reference kernel, and by collocation for the departure from it.
See docs/integrator.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.linalg.blas import dnrm2

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import Watch, at_a_tied_fit, gather, tied_at_the_cut
from implicit_bias.theory.solvers.limit import limit
from implicit_bias.theory.solvers.narrow import Narrow
from implicit_bias.theory.solvers.orbit import LINKS, Chain, apply, cf4, chain, core, exponential
from implicit_bias.theory.solvers.reference import DROPPED, NODES, TO_MONOMIALS, Reference, Weights, left_product, phi
from implicit_bias.theory.solvers.step_size import factor
from implicit_bias.theory.solvers.trajectory import Step, residual

TIGHTEST, LOOSEST = 1e-13, 1e-5
"""Rounding forbids smaller tolerances; larger ones save few steps and are met with room to spare."""

_LAST = NODES.size - 1
_SPREAD = 0.15  # eigenvalues c_j this close, relatively, share one eigendecomposition
_LARGEST_MOVE = 2.0  # of ||X|| in one step
_STALE_MOVE = 0.25  # summed ||X|| after which the reference kernel is rebuilt
_STALE_SWEEPS = 10
_MOST_SWEEPS = 14
_MOST_REJECTIONS = 60
_LARGEST_NOISE = 0.1  # of ||X|| by rounding errors in one step
_FITTED = 1e-12  # ||E|| over ||Y~|| at which a slow mode that floating point does not hold is at its end
_LONGEST = 1e60  # first step, over 1 / the largest rate
_LONG_WAY = 30.0  # ||X|| left to go beyond which a start is near a saddle


def _norm(X: Array) -> float:
    return float(dnrm2(np.ravel(X)))  # no overflow where squares do


@dataclass(frozen=True)
class Segment:
    """A collocation step from R (k, k').

    Attributes:
        reference: kernel that variation of constants is made with.
        h: size of the step.
        e: (r, m) hat(E) at the start.
        n: (6, r, m) monomial coefficients of -(K - K_ref) E over the step, in hat coordinates.
        size: ||int F|| over the step.
        noise: what rounding errors of A and of E make of int F over the step.
        sweeps: fixed-point sweeps it took.
    """

    problem: Problem
    reference: Reference
    R: Array
    h: float
    e: Array
    n: Array
    size: float
    noise: float
    sweeps: int

    @cached_property
    def _links(self) -> tuple[Array, Chain]:
        """X(j / 16) (17, r, m), and the chain along them."""
        grid = np.arange(2 * LINKS + 1) / (2 * LINKS)
        X = self._integral(Weights.at(grid, self.h, self.reference.L))
        return X, chain(X)

    def _integral(self, weights: Weights) -> Array:
        return self.reference.force(weights.integral(self.e, self.n))

    def move(self, theta: float) -> tuple[Array, Array, Array]:
        """State at theta h: R (k, k'), its residual E (r, m) by variation of constants, the correction X (r, m) made.

        Whole links are those of the step, the last one ends at theta. The chain's own residual misses E by the Magnus
        error; where the kernel is stiff that error would have died out during the step, and it is taken out.
        """
        X, links = self._links
        done = min(int(LINKS * theta), LINKS)
        start = done / LINKS
        weights = Weights.at(np.array([(start + theta) / 2, theta]), self.h, self.reference.L)
        R = links.move(self.R, done)
        if theta != start:
            exponents = np.stack(cf4(*(self._integral(weights) - X[2 * done])))
            for exponent, its_core in zip(exponents, core(exponents), strict=True):
                R = apply(exponent, its_core, R)
        e = weights.residual(self.e, self.n)[-1]
        missed = self.reference.hat(residual(self.problem, R)) - e
        correction = self.reference.force(weights.lift[-1] * missed)
        return exponential(correction, R), self.reference.unhat(e), correction

    def dropped_node(self) -> Array:
        """Change (r, m) of the step's integral of F when one interior node is left out of the collocation."""
        on_x = Weights.at(np.ones(1), self.h, self.reference.L).on_x[0]
        return self.reference.force(np.tensordot(DROPPED, on_x, axes=1) * self.n[-1])


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
    weights = Weights.at(np.concatenate([NODES[1:], NODES[1:] / 2]), h, reference.L)
    previous, change = np.zeros((r, m)), np.inf
    eps = float(np.finfo(float).eps)
    of_A = eps * h * _norm(R) ** 2 * problem.sigma[:, None] ** 2
    of_E = eps * _norm(problem.Y_tilde) / np.sqrt(r * m) * _norm(reference.force(weights.lift[_LAST - 1]))
    for sweep in range(1, _MOST_SWEEPS + 1):
        n = np.tensordot(TO_MONOMIALS, values, axes=1)
        X = reference.force(weights.integral(e, n))
        size, last_change, change = _norm(X[_LAST - 1]), change, _norm(X[_LAST - 1] - previous)
        noise = _norm(of_A * X[_LAST - 1]) + of_E
        if not size <= _LARGEST_MOVE or (sweep > 3 and change > last_change):
            return None
        if change <= max(0.03 * tol, 0.03 * noise, 4e-16 * size):
            return Segment(problem, reference, R, h, e, n, size, noise, sweep)
        previous = X[_LAST - 1]
        at_nodes = weights.residual(e, n)[:_LAST]
        blocks[:, :r, :m] = F = reference.force(at_nodes)
        first, second = exponents = np.stack(cf4(X[_LAST:], X[:_LAST]))
        core1, core2 = core(exponents)
        moved = left_product(R.T, apply(first, core1, apply(second, core2, blocks)))
        U1F, V = moved[..., :m], moved[..., m:]
        AF = apply(second, core2, apply(first, core1, left_product(R, U1F)))[:, :r] + F @ (np.swapaxes(V, -1, -2) @ V)
        values[1:] = reference.L * at_nodes - reference.hat(problem.sigma[:, None] * AF)
    return None


def departure(problem: Problem, reference: Reference, R: Array, E: Array) -> Array:
    """-(K - K_ref) E (r, m) in hat coordinates, K the kernel at R (k, k')."""
    U1, V = R[: problem.r], R[problem.r :]
    F = problem.sigma[:, None] * E
    KE = problem.sigma[:, None] * (U1 @ (U1.T @ F) + F @ (V @ V.T))
    return reference.L * reference.hat(E) - reference.hat(KE)


def _first_step(reference: Reference, e: Array, move: float, near: float) -> float:
    """A step in which ||int F|| reaches about `move` under the frozen kernel, or what is left of it falls to `near`."""
    h = move / _norm(reference.force(e))
    while h * np.max(reference.L) < _LONGEST and _norm(reference.left_to_go(e, h)) > near:
        with np.errstate(over="ignore", invalid="ignore"):
            if not _norm(reference.force(2 * h * phi(-2 * h * reference.L, 1)[1] * e)) <= move:
                break
        h *= 2
    return h


def _dense(segment: Segment, t0: float, basis: Array, t: float) -> Array:
    return segment.move((t - t0) / segment.h)[0] @ basis.T


def _still(R: Array, _: float) -> Array:
    return R


def exponential_steps(problem: Problem, R0: Array, tol: float, made: float = 0.0) -> Iterator[Step]:
    """Integrate the gradient flow of the reduced state; an `Integrator`.

    Lambda is kept to rounding whatever `tol` is. Where the flow converges to the min-norm product, the last step
    reaches t = infinity; at an equilibrium it does so at once; otherwise steps go on for as long as they are asked for.

    Args:
        R0: (k, k') initial reduced state.
        tol: error of a step relative to P, measured in the exponent X. The loss is then right to about sqrt(tol) of
            itself, down to what fast modes feed to slow ones at second order (docs/integrator.md, "The limit").
        made: error of R0 itself, in X.

    Raises:
        ValueError: tol is outside [1e-13, 1).
        ArithmeticError: rounding errors keep the tolerance from being met.
    """
    if not TIGHTEST <= tol < 1:
        raise ValueError(f"tol must be at least {TIGHTEST:g} and below 1, got {tol!r}")
    return _steps(problem, np.array(R0, float), min(tol, LOOSEST), made)


def _steps(problem: Problem, R: Array, tol: float, made: float) -> Iterator[Step]:
    """The generator behind `exponential_steps`, its arguments checked. R is kept in hidden directions of its own."""
    t, h, moved, near = 0.0, 0.0, np.inf, np.sqrt(tol)
    basis, watch, narrow = np.eye(R.shape[1]), Watch(problem), Narrow.of(problem, R, tol)
    E, tied = residual(problem, R), tied_at_the_cut(problem, R.shape[1])
    smooth = E
    while True:
        if watch.rests(t, R) or (tied and at_a_tied_fit(problem, R, tol)):
            yield Step(t0=t, t1=np.inf, R=R @ basis.T, at=partial(_still, R @ basis.T))
            return
        fresh = moved >= _STALE_MOVE
        if fresh:
            reference, moved = Reference.at(problem, R, _SPREAD), 0.0
        e = reference.hat(E)
        left = _norm(reference.left_to_go(e))
        far = left > near
        if not far and not fresh:
            moved = np.inf
            continue
        if not far and (last := limit(problem, R @ basis.T, t, tol, tol if t > 0 else made)):
            yield last
            return
        if far and narrow and narrow.suits(R, left) and (step := narrow.step(t, R)):
            yield step.turned(basis)
            if step.t1 == np.inf:
                return
            t, R, moved, h = step.t1, step.R, np.inf, 0.0
            E = smooth = residual(problem, R)
            continue
        if fresh and left > _LONG_WAY:
            rotation = gather(problem, R)
            R, basis = R @ rotation, basis @ rotation
        N = np.zeros_like(E) if fresh and reference.exact else departure(problem, reference, R, smooth)
        h = h or _first_step(reference, e, min(0.3, tol ** (1 / 6) / 2), near)
        while far and _norm(reference.left_to_go(e, h)) < near / 2:
            h *= 0.8
        for _ in range(_MOST_REJECTIONS):
            with np.errstate(over="ignore", invalid="ignore"):  # a step that is far too long
                segment = collocate(problem, reference, R, h, E, N, tol)
            if segment is None:
                h *= 0.3
                continue
            with np.errstate(over="ignore", invalid="ignore"):  # a correction that is far too large
                R1, smooth1, correction = segment.move(1.0)
            error = max(0.05 * _norm(segment.dropped_node()), _norm(correction))
            allowed = max(tol, segment.noise)
            if not np.all(np.isfinite(R1)):
                error = np.inf
            h *= factor(error, allowed, 6)
            if error <= allowed:
                break
        else:
            raise ArithmeticError(
                f"no step from t = {t:g} meets tol = {tol:g} in floating point; use a larger tolerance"
            )
        if segment.noise > _LARGEST_NOISE and _norm(E) <= _FITTED * _norm(problem.Y_tilde):
            yield Step(t0=t, t1=np.inf, R=R @ basis.T, at=partial(_still, R @ basis.T))
            return
        if segment.noise > _LARGEST_NOISE:
            raise ArithmeticError(
                f"at t = {t:g} modes of rates from {_norm(reference.force(e)) / _norm(R):.1g} to "
                f"{np.max(reference.L):.1g} matter at once: floating point does not hold both"
            )
        moved = np.inf if segment.sweeps > _STALE_SWEEPS else moved + segment.size
        yield Step(t0=t, t1=t + segment.h, R=R1 @ basis.T, at=partial(_dense, segment, t, basis))
        t, R, E, smooth = t + segment.h, R1, residual(problem, R1), smooth1
