"""Steps of the flow of networks narrower than their target, by collocation about its Hessian (ours).

Their force F does not vanish at the end, and holds steps of the group to ||F|| h <= 2. Near a minimum P obeys
P' = -H (P - P_end) with the Hessian H of the loss, which knows of F what P feels of it. It is a dense matrix, and its
eigenvectors make the linear part exact. See docs/integrator.md, "Narrow networks".
"""

from dataclasses import dataclass, field

import numpy as np

from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import losses_at_rest
from implicit_bias.theory.solvers.limit import settler
from implicit_bias.theory.solvers.reference import DROPPED, NODES, TO_MONOMIALS, Weights
from implicit_bias.theory.solvers.trajectory import Step, excess_loss, residual, velocity

LARGEST_HESSIAN = 400
"""Unknowns (r + m) k' up to which the Hessian is made and diagonalised."""
_MOST_SWEEPS = 12
_MOST_REJECTIONS = 60
_NEAR_SADDLE = 1e-3  # speed over ||F|| ||P||
_REACHED = 1e-24  # least loss over that of 0, at which a target is in reach
_NEAREST = 1e-11  # to the end, relative to P, that is asked for before the last step
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
        imbalance: (k', k') Lambda, which all states of the flow have.
    """

    problem: Problem
    R: Array
    t0: float
    rates: Array = field(init=False)
    Q: Array = field(init=False)
    start: Array = field(init=False)
    imbalance: Array = field(init=False)

    def __post_init__(self) -> None:
        self.rates, self.Q = np.linalg.eigh(jacobian(self.problem, self.R))
        self.start = self.Q.T @ velocity(self.problem, self.R).ravel()
        self.imbalance = imbalance_matrix(self.R, self.problem.r)

    def way(self, theta: Array, h: float, n: Array) -> Array:
        """(T, n) P - R at theta h by variation of constants, in eigenvectors.

        Args:
            n: (6, n) monomial coefficients, over a step of size h, of the velocity without its linear part.
        """
        weights = Weights.at(theta, h, -self.rates[:, None])
        return weights.residual(np.zeros((1, 1)), n[..., None])[..., 0]

    def collocate(self, h: float, enough: float) -> Array | None:
        """The n of a step of size h by fixed-point sweeps until its end changes by `enough`; None if they diverge."""
        moved: Array = np.zeros((1, self.start.size))
        values, largest, change = np.tile(self.start, (NODES.size, 1)), np.linalg.norm(self.R), np.inf
        for sweep in range(_MOST_SWEEPS):
            n = TO_MONOMIALS @ values
            before, moved = moved[-1], self.way(NODES[1:], h, n)
            last, change = change, float(np.linalg.norm(moved[-1] - before))
            if not np.max(np.abs(moved)) <= largest or (sweep > 2 and change > last):
                return None
            if change <= enough:
                return n
            P = self.R + (moved @ self.Q.T).reshape(-1, *self.R.shape)
            values[1:] = velocities(self.problem, P).reshape(len(P), -1) @ self.Q - self.rates * moved
        return None

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
        next_loss: least loss of a saddle.
        best: (r, m) product at the end.
        h: size of the next step; 0 before the first one.
    """

    problem: Problem
    tol: float
    next_loss: float
    best: Array
    h: float = 0.0

    @classmethod
    def of(cls, problem: Problem, R: Array, tol: float) -> "Narrow | None":
        """None if k' hidden directions R (k, k') reach the target, or are too many for a Hessian."""
        width = R.shape[1]
        floor, next_loss = losses_at_rest(problem, width)
        if floor <= _REACHED * np.sum(problem.Y_tilde**2) or R.size > LARGEST_HESSIAN:
            return None
        return cls(problem, tol, next_loss, best_product(problem, width))

    def suits(self, R: Array) -> bool:
        """Whether errors of `tol` relative to P matter to no hidden direction of R (k, k'), nor to leaving a saddle."""
        sizes = np.linalg.svd(R, compute_uv=False)
        if sizes[-1] < 10 * np.sqrt(self.tol) * sizes[0]:
            return False
        force = np.linalg.norm(self.problem.sigma[:, None] * residual(self.problem, R))
        moves = np.linalg.norm(velocity(self.problem, R)) > _NEAR_SADDLE * force * np.linalg.norm(R)
        return bool(moves or excess_loss(self.problem, R) < self.next_loss)

    def step(self, t: float, R: Array) -> Step:
        """The next step from R (k, k') at time t: to infinity once the end is as near as `tol`.

        Raises:
            ArithmeticError: rounding errors keep the tolerance from being met.
        """
        size = float(np.linalg.norm(R))
        if excess_loss(self.problem, R) < self.next_loss:
            end = settler(self.problem.r, R)(self.best)
            if np.linalg.norm(end - R) <= max(self.tol, _NEAREST) * size:
                return closing_step(self.problem, t, R, end)
        linear = Linear(self.problem, R, t)
        h = self.h or self.tol ** (1 / 6) * size / float(np.linalg.norm(linear.start))
        h = min(h, _LARGEST_GROWTH / max(linear.rates[-1], 1e-300))
        for _ in range(_MOST_REJECTIONS):
            n = linear.collocate(h, 0.03 * self.tol * size)
            if n is None:
                h *= 0.3
                continue
            error = 0.05 * float(np.linalg.norm(linear.way(np.ones(1), h, DROPPED[:, None] * n[-1])))
            self.h = h * min(max(0.9 * (self.tol * size / max(error, 1e-300)) ** (1 / 6), 0.2), 6.0)
            if error <= self.tol * size:
                return linear.step(h, n)
            h = self.h
        raise ArithmeticError(f"no step from t = {t:g} meets tol = {self.tol:g} in floating point")


def closing_step(problem: Problem, t0: float, R: Array, end: Array) -> Step:
    """From R (k, k') to the minimum `end` beside it, at the rates of the Hessian there."""
    linear = Linear(problem, end, t0)
    left, rates = linear.Q.T @ (R - end).ravel(), np.minimum(linear.rates, 0.0)

    def at(t: float) -> Array:
        return end if t == np.inf else linear.state(np.exp(rates * (t - t0)) * left)

    return Step(t0, np.inf, end, at)
