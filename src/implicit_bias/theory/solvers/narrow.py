"""Steps of the flow of networks narrower than their target, by collocation about its Hessian (ours).

Their force F does not vanish at the end, and holds steps of the group to ||F|| h <= 2. Near a minimum P obeys
P' = -H (P - P_end) with the Hessian H of the loss, which knows of F what P feels of it. It is a dense matrix, and its
eigenvectors make the linear part exact. See docs/integrator.md, "Narrow networks".
"""

from dataclasses import dataclass, field

import numpy as np

from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import force_rounding, losses_at_rest
from implicit_bias.theory.solvers.limit import settler
from implicit_bias.theory.solvers.reference import DROPPED, NODES, TO_MONOMIALS, Weights, phi
from implicit_bias.theory.solvers.step_size import factor
from implicit_bias.theory.solvers.trajectory import Step, excess_loss, residual, velocity

LARGEST_HESSIAN = 400
"""Unknowns (r + m) k' up to which the Hessian is made and diagonalised."""
_MOST_SWEEPS = 12
_MOST_REJECTIONS = 60
_NEAR_SADDLE = 1e-3  # speed over ||F|| ||P||
_LONG_WAY = 30.0  # ||X||
_UNFELT = 1e-2  # speed over ||F|| ||P||
_SLOW_GROWTH = 0.05  # rate of growth over ||F||
_ARRIVED = 1e-3  # of the way to the end that may be left there
_SEEN = 1e3  # times tol: part of a hidden direction whose growth errors of a step do not time
_ROUNDING = 1e-15  # of the smallest hidden direction, relative to the largest
_REACHED = 1e-24  # least loss over that of 0, at which a target is in reach
_NEAREST = 1e-11  # to the end, relative to P, that is asked for before the last step
_FAST = 20.0  # exponent of the decay within a step, beyond which a mode follows the others
_HELD = 3  # sweeps in which only the modes that follow are moved
_LARGEST_GROWTH = 2.0  # of the exponent of a growing mode in one step


def jacobian(problem: Problem, P: Array) -> Array:
    """Derivative of the velocity at P (k, k'), minus the Hessian of the loss: symmetric, (k k', k k')."""
    r, (k, q) = problem.r, P.shape
    U1, V, s2 = P[:r], P[r:], problem.sigma**2
    F = problem.sigma[:, None] * residual(problem, P)
    J = np.zeros((k, q, k, q))
    J[:r, :, :r] = np.einsum("ab,ij->aibj", -np.diag(s2), V.T @ V)
    J[r:, :, r:] = np.einsum("ab,ij->aibj", -np.eye(k - r), (U1.T * s2) @ U1)
    mixed = np.einsum("bc,ij->bicj", F, np.eye(q)) - np.einsum("bj,ci->bicj", s2[:, None] * U1, V)
    J[:r, :, r:] = mixed
    J[r:, :, :r] = mixed.transpose(2, 3, 0, 1)
    return J.reshape(k * q, k * q)


def restore(P: Array, r: int, imbalance: Array) -> Array:
    """P (k, k') moved along J P Z, Z symmetric, to where its Lambda is a given one near it, up to rounding.

    To first order Lambda changes by P^T P Z + Z P^T P, a Lyapunov equation.
    """
    size = np.inf
    while True:
        missing = imbalance - imbalance_matrix(P, r)
        last, size = size, float(np.linalg.norm(missing))
        if not size < last / 2:
            return P
        a, Q = np.linalg.eigh(P.T @ P)
        Z = Q @ ((Q.T @ missing @ Q) / (a[:, None] + a)) @ Q.T
        P = P + np.vstack([P[:r], -P[r:]]) @ Z


def best_product(problem: Problem, width: int) -> Array:
    """(r, m) U1 V^T of the least loss of `width` hidden directions (Eckart and Young 1936)."""
    A, s, BT = np.linalg.svd(problem.Y_tilde, full_matrices=False)
    best: Array = (A[:, :width] * s[:width]) @ BT[:width] / problem.sigma[:, None]
    return best


def velocities(problem: Problem, P: Array) -> Array:
    """Velocity (T, k, k') of a stack of states P."""
    U1, V = P[:, : problem.r], P[:, problem.r :]
    sigma = problem.sigma[:, None]
    F = sigma * (problem.Y_tilde - sigma * (U1 @ np.swapaxes(V, 1, 2)))
    return np.concatenate([F @ V, np.swapaxes(F, 1, 2) @ U1], axis=1)


@dataclass
class Linear:
    """The flow about a state R (k, k') at time t0: P' = velocity(R) + J (P - R) + what is of higher order.

    Attributes:
        rates, Q: eigenvalues (n,) and eigenvectors (n, n) of J, n = k k'.
        start: (n,) velocity at R, in eigenvectors.
        sizes: (k',) norms of the hidden directions.
        imbalance: (k', k') Lambda, which all states of the flow have.
    """

    problem: Problem
    R: Array
    t0: float
    rates: Array = field(init=False)
    Q: Array = field(init=False)
    start: Array = field(init=False)
    sizes: Array = field(init=False)
    imbalance: Array = field(init=False)

    def __post_init__(self) -> None:
        self.rates, self.Q = np.linalg.eigh(jacobian(self.problem, self.R))
        self.start = self.Q.T @ velocity(self.problem, self.R).ravel()
        self.sizes = np.linalg.norm(self.R, axis=0)
        self.imbalance = imbalance_matrix(self.R, self.problem.r)

    def relative(self, way: Array) -> float:
        """Largest norm of a hidden direction of changes (..., n) of P, in eigenvectors, relative to the direction."""
        columns = np.linalg.norm((way @ self.Q.T).reshape(-1, *self.R.shape), axis=1)
        return float(np.max(columns / self.sizes))

    def least_growing(self, rate: float) -> float:
        """Smallest part of P, relative to its hidden direction, that grows faster than `rate`; inf if there is none."""
        growing = self.rates > rate
        parts = np.diag(np.where(growing, self.start / np.where(growing, self.rates, 1.0), 0.0))[growing]
        return min((self.relative(part) for part in parts), default=np.inf)

    def way(self, theta: Array, h: float, n: Array) -> Array:
        """(T, n) P - R at theta h by variation of constants, in eigenvectors.

        Args:
            n: (6, n) monomial coefficients, over a step of size h, of the velocity without its linear part.
        """
        weights = Weights.at(theta, h, -self.rates[:, None])
        return weights.residual(np.zeros((1, 1)), n[..., None])[..., 0]

    def error(self, way: Array, h: float, tol: float) -> float:
        """`relative` of an error (n,) over a step of size h, less what rounding errors of F explain beyond `tol`."""
        of_force = force_rounding(self.problem, self.R) / len(self.R)
        noise = of_force * h * phi(np.minimum(self.rates, 0.0) * h, 1)[1]
        return self.relative(way * tol / np.maximum(noise, tol))

    def collocate(self, h: float, tol: float) -> Array | None:
        """The n of a step of size h by fixed-point sweeps, to 0.03 tol; None if they diverge."""
        moved: Array = np.zeros((1, self.start.size))
        values, change = np.tile(self.start, (NODES.size, 1)), np.inf
        for sweep in range(_MOST_SWEEPS):
            n = TO_MONOMIALS @ values
            before, moved = moved[-1], self.way(NODES[1:], h, n)
            last, change = change, self.error(moved[-1] - before, h, tol)
            if not self.relative(moved) <= 1 or (sweep > 2 and change > last):
                return None
            if change <= 0.03 * tol:
                return n
            values[1:] = self._departure(self._states(moved), moved)
        return None

    def collocate_slow(self, h: float, tol: float) -> Array | None:
        """As `collocate`, where modes that decay within the step follow the others on a curved manifold.

        Near it the slow modes feel a distance d from it as h times the rate of the fast modes times d, which no sweep
        survives. So each sweep puts the fast modes where their velocity is that of the collocation, by a Newton step
        at each node, and the slow ones are told what this changes. They are held until the manifold is found.
        """
        fast = -self.rates * h > _FAST
        slow = ~fast
        values, change = np.tile(self.start, (NODES.size, 1)), np.inf
        moved = self.way(NODES[1:], h, TO_MONOMIALS @ values)
        for sweep in range(_MOST_SWEEPS if np.any(fast) else 0):
            if not self.relative(moved) <= 1:
                return None
            P = self._states(moved)
            departure = self._departure(P, moved)
            for node, state in enumerate(P):
                J = self.Q.T @ (jacobian(self.problem, state) @ self.Q[:, fast])
                off = np.linalg.solve(J[fast], (departure[node] - values[node + 1])[fast])
                values[node + 1, fast] += self.rates[fast] * off
                if sweep >= _HELD:
                    values[node + 1, slow] = departure[node, slow] - J[slow] @ off
            n = TO_MONOMIALS @ values
            before, moved = moved[-1], self.way(NODES[1:], h, n)
            last, change = change, self.error(moved[-1] - before, h, tol)
            if sweep > _HELD + 2 and change > last:
                return None
            if sweep >= _HELD and change <= 0.03 * tol:
                return n
        return None

    def _states(self, moved: Array) -> Array:
        return self.R + (moved @ self.Q.T).reshape(-1, *self.R.shape)

    def _departure(self, P: Array, moved: Array) -> Array:
        """Velocity (T, n) of states P without its linear part, in eigenvectors."""
        return velocities(self.problem, P).reshape(len(P), -1) @ self.Q - self.rates * moved

    def state(self, way: Array) -> Array:
        """(k, k') the state R + way, way (n,) in eigenvectors, put back to the imbalance of R."""
        return restore(self.R + (self.Q @ way).reshape(self.R.shape), self.problem.r, self.imbalance)

    def step(self, h: float, n: Array) -> Step:
        def at(t: float) -> Array:
            return self.state(self.way(np.array([(t - self.t0) / h]), h, n)[0])

        return Step(self.t0, self.t0 + h, at(self.t0 + h), at)


@dataclass
class Narrow:
    """Steps of the flow where the width keeps it from its target.

    Attributes:
        problem: the reparametrised problem.
        tol: error of a step relative to P.
        floor, next_loss: least excess loss at the end, and of a saddle.
        best: (r, m) product at the end.
        h: size of the next step; 0 before the first one.
    """

    problem: Problem
    tol: float
    floor: float
    next_loss: float
    best: Array
    h: float = 0.0

    @classmethod
    def of(cls, problem: Problem, R: Array, tol: float) -> "Narrow | None":
        """None if R (k, k') are too many unknowns for a Hessian."""
        if R.size > LARGEST_HESSIAN:
            return None
        width = R.shape[1]
        floor, next_loss = losses_at_rest(problem, width)
        reached = floor <= _REACHED * np.sum(problem.Y_tilde**2)
        return cls(problem, tol, 0.0 if reached else floor, next_loss, best_product(problem, width))

    def suits(self, R: Array, left: float) -> bool:
        """Whether rounding errors of P (k, k') spare its smallest hidden direction, and steps of the group may not do.

        They do where the target is in reach, unless there is a long way `left` to go in the group, P feels next to
        nothing of F, or is at the end.
        """
        sizes = np.linalg.svd(R, compute_uv=False)
        if sizes[-1] < _ROUNDING / self.tol * sizes[0]:
            return False
        return bool(self.floor > 0 or left > _LONG_WAY or self._felt(R) < _UNFELT or self._end(R)[1] <= self._near)

    def _felt(self, R: Array) -> float:
        force = np.linalg.norm(self.problem.sigma[:, None] * residual(self.problem, R))
        return float(np.linalg.norm(velocity(self.problem, R)) / (force * np.linalg.norm(R)))

    def _end(self, R: Array) -> tuple[Array | None, float]:
        """The minimum that the flow from R goes to, if it is found, and its distance relative to R."""
        if excess_loss(self.problem, R) >= self.next_loss:
            return None, np.inf
        end = settler(self.problem.r, R)(self.best)
        rounding = len(R) * np.finfo(float).eps * np.linalg.norm(self.best)
        if self._missing(end) > _ARRIVED * self._missing(R) + rounding:
            return None, np.inf
        return end, float(np.linalg.norm(end - R) / np.linalg.norm(R))

    @property
    def _near(self) -> float:
        return max(self.tol, _NEAREST)

    def _missing(self, R: Array) -> float:
        return float(np.linalg.norm(self.best - R[: self.problem.r] @ R[self.problem.r :].T))

    def step(self, t: float, R: Array) -> Step | None:
        """The next step from R (k, k') at time t: to infinity once the end is as near as `tol`.

        None near a saddle that is left about as fast as F can move anything.

        Raises:
            ArithmeticError: rounding errors keep the tolerance from being met.
        """
        end, distance = self._end(R)
        if end is not None and distance <= self._near:
            return closing_step(self.problem, t, R, end, np.sqrt(self.tol) if self.floor == 0 else 0.0)
        tol = max(min(self.tol, np.sqrt(self.tol) * distance), _NEAREST) if self.floor == 0 else self.tol
        turn = np.linalg.svd(R, full_matrices=False)[2].T
        linear = Linear(self.problem, R @ turn, t)
        force = float(np.linalg.norm(self.problem.sigma[:, None] * residual(self.problem, R), 2))
        ahead = self.floor == 0 or (self._felt(R) < _NEAR_SADDLE and excess_loss(self.problem, R) >= self.next_loss)
        if ahead and linear.least_growing(_SLOW_GROWTH * force) < _SEEN * self.tol:
            return None
        h = self.h or tol ** (1 / 6) / linear.relative(linear.start)
        h = min(h, _LARGEST_GROWTH / max(linear.rates[-1], 1e-300))
        for _ in range(_MOST_REJECTIONS):
            n = linear.collocate(h, tol)
            if n is None:
                n = linear.collocate_slow(h, tol)
            if n is None:
                h *= 0.3
                continue
            error = 0.05 * linear.error(linear.way(np.ones(1), h, DROPPED[:, None] * n[-1])[0], h, tol)
            self.h = h * factor(error, tol, 6)
            if error <= tol:
                return linear.step(h, n).turned(turn)
            h = self.h
        raise ArithmeticError(f"no step from t = {t:g} meets tol = {tol:g} in floating point")


def closing_step(problem: Problem, t0: float, R: Array, end: Array, error: float) -> Step:
    """From R (k, k') to the minimum `end` beside it, at the rates of the Hessian there.

    If the loss there is 0, `error` is that of R - end, relative to it.
    """
    linear = Linear(problem, end, t0)
    left, rates = linear.Q.T @ (R - end).ravel(), np.minimum(linear.rates, 0.0)
    decays = rates < len(R) * np.finfo(float).eps * np.min(rates)

    def at(t: float) -> Array:
        return end if t == np.inf else linear.state(np.exp(rates * (t - t0)) * left)

    def residual_error(t: float) -> float:
        slowest = np.exp(np.max(rates[decays]) * (t - t0)) * np.linalg.norm(left[decays])
        return float(error * slowest / max(np.linalg.norm((np.exp(rates * (t - t0)) * left)[decays]), 1e-300))

    return Step(t0, np.inf, end, at, residual_error if error > 0 and np.any(decays) else None)
