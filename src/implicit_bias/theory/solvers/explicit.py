"""The gradient flow by an explicit Runge-Kutta method: best where the problem is well conditioned."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from scipy.linalg.blas import dnrm2

from implicit_bias.theory.kernel import kernel_largest
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.equilibria import residual_rounding
from implicit_bias.theory.solvers.exponential import LOOSEST, TIGHTEST, exponential_steps
from implicit_bias.theory.solvers.limit import limit
from implicit_bias.theory.solvers.runge_kutta import Field, RungeKutta8
from implicit_bias.theory.solvers.step_size import factor
from implicit_bias.theory.solvers.trajectory import Step, residual, velocity

_STABLE = 6.0  # lambda_max(K) h up to which a step is stable
_ARRIVAL = 0.1  # ||X|| left to go for the last step, over what it may be at most
_MOST_REJECTIONS = 60
_MOST_STEPS = 1000


def field(problem: Problem) -> Field:
    """The flow's field for a Runge-Kutta method."""
    r, sigma = problem.r, problem.sigma[:, None]
    pull, decay = sigma * problem.Y_tilde, -(sigma**2)
    F = np.empty(pull.shape)

    def bind(P: Array, out: Array) -> Callable[[], None]:
        U1, V, FT, VT, dU1, dV = P[:r], P[r:], F.T, P[r:].T, out[:r], out[r:]

        def evaluate() -> None:
            np.dot(U1, VT, F)
            np.multiply(F, decay, F)
            np.add(F, pull, F)
            np.dot(F, V, dU1)
            np.dot(FT, U1, dV)

        return evaluate

    return bind


def explicit_steps(problem: Problem, R0: Array, tol: float) -> Iterator[Step]:
    """Integrate the reduced flow by DOP853 until the exponential flow can go to its end in one step.

    That one takes over, too, once the speed is below `tol` of the initial one, since speed does not tell arrival from a
    slow mode or from a saddle, and the exponential flow steps over both; and after 1000 steps.

    Args:
        problem: the reparametrised problem.
        R0: (k, k') initial reduced state.
        tol: accuracy relative to max |R|, from 1e-13 up to 1; steps are held to a hundredth of it, since the loss near
            its end is the square of a small difference.

    Raises:
        ValueError: tol is outside its range.
        ArithmeticError: the step size falls below rounding.
    """
    if not 1e-13 <= tol < 1:
        raise ValueError(f"tol must be in [1e-13, 1), got {tol}")
    return _steps(problem, np.array(R0, float), tol)


def _steps(problem: Problem, R: Array, tol: float) -> Iterator[Step]:
    """The generator behind `explicit_steps`, its arguments checked."""
    t, accuracy, near, checked = 0.0, max(tol / 100, 1e-13), _ARRIVAL * np.sqrt(min(tol, LOOSEST)), np.inf
    run, errors = RungeKutta8(field(problem), R), Errors(problem, R)
    dense = cache(lambda: RungeKutta8(field(problem), R))
    speed = fastest = _norm(run.velocity)
    slow = tol * speed
    h = min(tol ** (1 / 8) / max(_rate(problem, R), 1e-300), _STABLE / max(kernel_largest(problem, R), 1e-300))
    for _ in range(_MOST_STEPS):
        if speed <= slow:
            break
        size = _norm(R)
        if speed <= checked and speed * h <= _STABLE * near * size:
            left = left_to_go(problem, R)
            if left <= near and (last := limit(problem, R, t, tol, accuracy if t > 0 else 0.0)):
                yield last
                return
            checked = speed * min(near / left, 1.0)
        errors.at(R)
        allowed = max(accuracy, tol * min(speed / fastest, 1.0))
        for _ in range(_MOST_REJECTIONS):
            with np.errstate(over="ignore", invalid="ignore"):
                run.step(h)
                made, error = h, errors.relative(*run.error(h, errors.scale))
            h *= factor(error, allowed, 8)
            if error <= allowed:
                break
        else:
            raise ArithmeticError(f"the explicit flow failed at t = {t:.6g}: no step meets tol = {tol:g}")
        before, R = R, run.end.copy()
        yield Step(t, t + made, R, partial(_dense, dense, t, before))
        t += made
        run.restart(R)
        speed = _norm(run.velocity)
        fastest = max(fastest, speed)
    for later in exponential_steps(problem, R, tol, accuracy):
        yield later.delayed(t)


class Errors:
    """Size of an error of P (k, k'): relative to each hidden direction, and in E to the residual at the start.

    The former keeps tiny directions, on which the time of an escape depends; the latter the loss where the layers
    differ in size. Neither asks for more than floating point has.
    """

    scale: Array

    def __init__(self, problem: Problem, R: Array) -> None:
        self._problem, self._sigma, self._root = problem, problem.sigma[:, None], np.sqrt(R.shape[1])
        self._first = _norm(residual(problem, R))
        self._of_product = len(R) * np.finfo(float).eps * problem.sigma[0]
        self._of_targets = len(R) * np.finfo(float).eps * _norm(problem.Y_tilde)

    def at(self, R: Array) -> None:
        """Measure errors of steps from R."""
        r, self._R = self._problem.r, R
        sizes = self._root * np.sqrt(np.einsum("ij,ij->j", R, R))
        self.scale, self._U1, self._VT = np.where(sizes > 0, sizes, np.inf), R[:r], R[r:].T

    def relative(self, error: Array, size: float) -> float:
        """Size of an error whose norm, divided by `scale`, is `size`."""
        r = len(self._U1)
        product = np.dot(error[:r], self._VT)
        product += np.dot(self._U1, error[r:].T)
        product *= self._sigma
        moved = _norm(product)
        return max(size, moved / max(self._first, self._noise() / TIGHTEST))

    def _noise(self) -> float:
        """Rounding errors in E; a bound where it shows that they do not matter."""
        most = self._of_targets + self._of_product * _norm(self._U1) * _norm(self._VT.T)
        return most if most <= TIGHTEST * self._first else _norm(residual_rounding(self._problem, self._R))


def _norm(R: Array) -> float:
    return float(dnrm2(R.reshape(-1)))  # no overflow where squares do


def _rate(problem: Problem, R: Array) -> float:
    """How fast the residual and the state move, relatively: the larger of ||K(E)|| / ||E|| and ||P'|| / ||P||."""
    r, moved, E = problem.r, velocity(problem, R), residual(problem, R)
    KE = problem.sigma[:, None] * (moved[:r] @ R[r:].T + R[:r] @ moved[r:].T)
    return max(_norm(KE) / max(_norm(E), 1e-300), _norm(moved) / max(_norm(R), 1e-300))


def left_to_go(problem: Problem, R: Array) -> float:
    """||X_inf||, X_inf = int F to t = infinity were the kernel frozen at R (k, k'): A(X_inf) = diag(1 / sigma) E."""
    U1, V = R[: problem.r], R[problem.r :]
    c, Q = np.linalg.eigh(V @ V.T)
    gram, missing = U1 @ U1.T, (problem.min_norm_coordinates - U1 @ V.T) @ Q
    try:
        X = [np.linalg.solve(gram + c_j * np.eye(len(gram)), e) for c_j, e in zip(c, missing.T, strict=True)]
    except np.linalg.LinAlgError:
        return float("inf")
    return _norm(np.array(X))


def _dense(steps: Callable[[], RungeKutta8], t0: float, R: Array, t: float) -> Array:
    """State at time t by a step of its own from R, the state at t0."""
    run = steps()
    run.restart(R)
    run.step(t - t0)
    return run.end.copy()
