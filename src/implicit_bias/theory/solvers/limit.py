"""The last step of a flow, from a state near its solution to t = infinity (ours, docs/integrator.md "The limit")."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.orbit import exponential
from implicit_bias.theory.solvers.reference import NODES, TO_MONOMIALS, Reference, Weights
from implicit_bias.theory.solvers.trajectory import Step, residual

_FIRST_PANEL = 0.5  # times 1 / lambda_max(K)
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


@dataclass
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

    reference: Reference
    product: Array
    e: Array
    _panels: list[tuple[float, float, Array, Array, Array]] = field(default_factory=list)

    def at(self, t: float) -> Array:
        """hat(E) (r, m) at the time t after the start."""
        start, length, e, n, _ = self._panel(t)
        theta = np.array([(t - start) / length])
        return Weights.at(theta, length, self.reference.L).residual(e, n)[0]

    def left_to_go(self, e: Array) -> Array:
        """X for hat(E) = e, by the modes that decay: in the others E is 0 at the limit, and rounding on the way."""
        return self.reference.left_to_go(np.where(self.reference.decays, e, 0.0))

    def relative_error(self, error: float, t: float) -> float:
        """Of E at the time t after the start, if X is wrong by `error` in the slowest mode at the start."""
        left = float(np.linalg.norm(self.left_to_go(self.at(t))))
        return error * float(np.exp(-np.min(self.reference.L) * t)) / max(left, 1e-300)

    def _panel(self, t: float) -> tuple[float, float, Array, Array, Array]:
        if not self._panels:
            self._panels.append(self._make(0.0, _FIRST_PANEL / float(np.max(self.reference.L)), self.e))
        while t > sum(self._panels[-1][:2]):
            start, length, _, _, end = self._panels[-1]
            self._panels.append(self._make(start + length, 2 * length, end))
        return next(panel for panel in reversed(self._panels) if panel[0] <= t)

    def _make(self, start: float, length: float, e: Array) -> tuple[float, float, Array, Array, Array]:
        weights = Weights.at(NODES, length, self.reference.L)
        n = np.tensordot(TO_MONOMIALS, self._fed(weights.decay * e), axes=1)
        return start, length, e, n, weights.residual(e, n)[-1]

    def _fed(self, e: Array) -> Array:
        """N (T, r, m) for hat(E) = e (T, r, m), in hat coordinates."""
        reference, M = self.reference, self.product
        F, X = reference.force(e), self.left_to_go(e)
        XT, MT = np.swapaxes(X, -1, -2), M.T
        return reference.hat(reference.sigma * (X @ (MT @ F) + M @ (XT @ F) + F @ (XT @ M + MT @ X)))


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
