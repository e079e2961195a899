"""The last step of a flow, from a state near its solution to t = infinity (ours, docs/integrator.md "The limit")."""

from collections.abc import Callable

import numpy as np

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.orbit import exponential
from implicit_bias.theory.solvers.reference import NODES, TO_MONOMIALS, Reference, Weights
from implicit_bias.theory.solvers.trajectory import Step, residual

_FIRST_PANEL, _GROWTH = 1.0, 2.0  # times 1 / lambda_max(K); of a panel over the one before
_END = 1e43  # times 1 / lambda_max(K), when all that decays has done so
_FARTHEST = 2.0  # ||X|| of a correction; a point farther away is not looked for
_ROUNDING = 1e-17  # ||X|| of the next correction, with which none is made


def settler(r: int, R: Array) -> Callable[[Array], Array]:
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
            last, size = size, float(np.linalg.norm(X))
            if not size < min(last / 2, _FARTHEST):
                return P
            P = exponential(X, P)
            if size * size <= _ROUNDING * last < np.inf:
                return P

    return settle


class Tail:
    """E on its way to 0, by the kernel of the limit and what the departure from it feeds from one mode to another.

    E' = -K_lim E + N, N = diag(sigma)((X M^T + M X^T) F + F (X^T M + M^T X)), M = U1 V^T, X = int_t^inf F: to first
    order in X this is -(K - K_lim) E. Fast modes die early, but what they have fed to slow ones stays. N is
    interpolated on panels of doubling length, each of which resolves the modes that are left by then.

    Attributes:
        reference: kernel of the limit, in whose coordinates all is.
        product: (r, m) M.
        e: (r, m) hat(E) at the start.
    """

    def __init__(self, reference: Reference, product: Array, e: Array) -> None:
        self.reference, self.product, self.e = reference, product, e
        self._first = _FIRST_PANEL / float(np.max(reference.L))
        self._inverse = np.where(reference.decays, 1 / np.where(reference.decays, reference.L, 1.0), 0.0)
        self._panels: list[tuple[Array, Array]] = []
        self._end = e

    def at(self, t: float) -> Array:
        """hat(E) (r, m) at the time t after the start."""
        if t / self._first > _END:
            return np.where(self.reference.decays, 0.0, self.e)
        grown = 1 + (_GROWTH - 1) * t / self._first
        panel = int(np.log(grown) / np.log(_GROWTH))
        self._extend(panel + 1)
        length = self._first * _GROWTH**panel
        theta = np.array([(grown / _GROWTH**panel - 1) / (_GROWTH - 1)])
        return Weights.at(theta, length, self.reference.L).residual(*self._panels[panel])[0]

    def left_to_go(self, e: Array) -> Array:
        """X for hat(E) = e, by the modes that decay: in the others E is 0 at the limit, and rounding on the way."""
        return self.reference.left_to_go(np.where(self.reference.decays, e, 0.0))

    def relative_error(self, error: float, t: float) -> float:
        """Of E at the time t after the start, if X is wrong by `error` in the slowest mode at the start."""
        left = float(np.linalg.norm(self.left_to_go(self.at(t))))
        return error * float(np.exp(-np.min(self.reference.L) * t)) / max(left, 1e-300)

    def _extend(self, count: int) -> None:
        """Have so many panels: hat(E) at the start of each, and the monomial coefficients of N."""
        made, L = len(self._panels), self.reference.L
        if count <= made:
            return
        lengths = self._first * _GROWTH ** np.arange(made, count)
        decay = np.exp(-np.multiply.outer(lengths[:, None] * NODES, L))
        ends = Weights.at(np.ones(len(lengths)), lengths, L)
        for i in range(len(lengths)):
            e = self._end
            n = (TO_MONOMIALS @ self._fed(decay[i] * e).reshape(NODES.size, -1)).reshape(-1, *e.shape)
            self._panels.append((e, n))
            self._end = ends.decay[i] * e + np.sum(ends.on_e[i] * n, axis=0)

    def _fed(self, e: Array) -> Array:
        """N (T, r, m) for hat(E) = e (T, r, m), in hat coordinates."""
        reference, M = self.reference, self.product
        blind = np.logical_and(reference.blind, np.abs(e) <= reference.rounding)
        F, X = np.split(reference.force(np.concatenate([e, np.where(blind, 0.0, e) * self._inverse])), 2)
        XT, MTX = np.swapaxes(X, -1, -2), M.T @ X
        return reference.hat(reference.sigma * (X @ (M.T @ F) + M @ (XT @ F) + F @ (np.swapaxes(MTX, -1, -2) + MTX)))


def limit(problem: Problem, R: Array, t0: float, tol: float, error: float) -> Step | None:
    """The last step, from t0 to infinity: E decays as a Tail, R follows on its orbit.

    None if the limit is not found to `tol`, as when the kernel is nearly singular. `error` is that of X at t0.
    """
    settle = settler(problem.r, R)
    end = settle(problem.min_norm_coordinates)
    reference = Reference.at(problem, end, spread=0.0)
    if np.linalg.norm(reference.left_to_go(reference.hat(residual(problem, end)))) > tol:
        return None
    product, e = end[: problem.r] @ end[problem.r :].T, reference.hat(residual(problem, R))
    tail = Tail(reference, product, e)

    def at(t: float) -> Array:
        if t == np.inf:
            return end
        E = reference.unhat(tail.at(t - t0))
        return settle((problem.Y_tilde - E) / problem.sigma[:, None])

    error += float(np.linalg.norm(tail.left_to_go(e))) ** 3  # what the Tail leaves out
    return Step(t0=t0, t1=np.inf, R=end, at=at, residual_error=lambda t: tail.relative_error(error, t - t0))
