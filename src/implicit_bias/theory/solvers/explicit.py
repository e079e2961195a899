"""The gradient flow by an explicit Runge-Kutta method: best where the problem is well conditioned."""

from collections.abc import Callable, Iterator
from functools import partial

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

_STABLE = 5.0  # lambda_max(K) h up to which a step is stable, and its dense output of the size of its error
_ARRIVAL = 0.1  # ||X|| left to go for the last step, over what it may be at most
_EARLY = 0.25  # error of a step over tol while the flow is fastest; that of the dense output, of order 7, is larger
_INTERPOLATED = 1e-9, 0.05  # tolerances that the dense output keeps; for others a step is made to each time asked for
_LOOSE = 0.05  # of lambda_max(K)^{1/2}, by which a bound may exceed it
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
    speed = fastest = _norm(run.velocity)
    smooth = _INTERPOLATED[0] <= tol <= _INTERPOLATED[1]
    slow = tol * speed
    h, fast = tol ** (1 / 8) / max(_rate(problem, R), 1e-300), Fastest(problem, R)
    for _ in range(_MOST_STEPS):
        if speed <= slow:
            break
        h, size = min(h, fast.longest(R, h)), _norm(R)
        if speed <= checked and speed * h <= _STABLE * near * size:
            left = left_to_go(problem, R)
            if left <= near and (last := limit(problem, R, t, tol, accuracy if t > 0 else 0.0)):
                yield last
                return
            checked = speed * min(near / left, 1.0)
        errors.at(R)
        allowed = max(accuracy, _EARLY * tol * min(speed / fastest, 1.0))
        for _ in range(_MOST_REJECTIONS):
            with np.errstate(over="ignore", invalid="ignore"):
                run.step(h)
                made, error = h, errors.relative(*run.error(h, errors.scale))
            h *= factor(error, allowed, 8)
            if error <= allowed:
                break
        else:
            raise ArithmeticError(f"the explicit flow failed at t = {t:.6g}: no step meets tol = {tol:g}")
        before, R, output = R, run.end.copy(), Dense(problem, R, t, made, run)
        yield Step(t, t + made, R, output.at if smooth else partial(_at, problem, before, t))
        output.leave()
        t += made
        run.restart(R)
        speed = _norm(run.velocity)
        fastest = max(fastest, speed)
    for later in exponential_steps(problem, R, tol, accuracy):
        yield later.delayed(t)


def _at(problem: Problem, R: Array, t0: float, t: float) -> Array:
    """State at time t by a step from R, the state at t0."""
    run = RungeKutta8(field(problem), R)
    run.step(t - t0)
    return run.end


class Dense:
    """Dense output of a step, made when it is first asked for: from the run's stages, or later from a step repeated.

    Args:
        problem: the reparametrised problem.
        R: (k, k') state at the start of the step.
        t0: time there.
        h: size of the step.
        run: has just made the step.
    """

    def __init__(self, problem: Problem, R: Array, t0: float, h: float, run: RungeKutta8) -> None:
        self._problem, self._R, self._t0, self._h = problem, R, t0, h
        self._run: RungeKutta8 | None = run
        self._output: Callable[[float], Array] | None = None

    def leave(self) -> None:
        """The run goes on, and its stages are no longer those of the step."""
        self._run = None

    def at(self, t: float) -> Array:
        """State at time t in the step."""
        if self._output is None:
            run = self._run
            if run is None:
                run = RungeKutta8(field(self._problem), self._R)
                run.step(self._h)
            self._output = run.dense(self._h)
        return self._output((t - self._t0) / self._h)


class Fastest:
    """Bound of lambda_max(K) along a run, from its value at a state R and the way from there to P (ours).

    K = A A^T with A = [diag(sigma) U1 (x) I, diag(sigma) (x) V], which changes by at most sigma_1 ||P - R||_F. So
    lambda_max(K)^{1/2} = ||A|| is at most its value at R and that.
    """

    def __init__(self, problem: Problem, R: Array) -> None:
        self._problem = problem
        self._look(R)

    def _look(self, R: Array) -> None:
        self._R, self._root = R, np.sqrt(max(kernel_largest(self._problem, R), 1e-300))

    def longest(self, R: Array, h: float) -> float:
        """Size up to which steps from R are known to be stable; the bound is made sharp where it would shorten h."""
        way = self._problem.sigma[0] * _norm(R - self._R)
        if h * (self._root + way) ** 2 > _STABLE and way > _LOOSE * self._root:
            self._look(R)
            way = 0.0
        return float(_STABLE / (self._root + way) ** 2)


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
