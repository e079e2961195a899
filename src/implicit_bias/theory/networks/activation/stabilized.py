"""The flow by a stabilised explicit method: for wide spectra, where the step is not to be limited by stability."""

from collections.abc import Iterator
from math import sqrt

import numpy as np

from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.steps import FlowStep, first_step, next_step, size, step_towards
from implicit_bias.theory.networks.activation.tangent import Tangent
from implicit_bias.theory.problem import Array

DAMPING, MARGIN, REFRESH = 2 / 13, 1.1, 5


def stabilized_steps(model: Model, R0: Array, tol: float, end: float = np.inf) -> Iterator[FlowStep]:
    """Runge-Kutta-Chebyshev, order 2 (Sommeijer, Shampine, Verwer 1997): s gradients per step of 0.65 s^2 / rho.

    Stages are increments C (n + m, h) of the state (network.py). Dense output is the cubic Hermite interpolant.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        tol: local error relative to ||R||_F.
        end: no step goes beyond this time, and one ends there.

    Raises:
        ArithmeticError: the step falls below rounding.
    """
    r = model.samples.problem.r
    t, R, H = 0.0, R0, model.hidden(R0)
    E, G = model.motion(H, R[r:])
    F, spectrum, evaluations = model.lift(G), Spectrum(model), 1
    dt, rejected, accepted, known = first_step(tol, 3, R, size(F)), False, 0, -REFRESH
    while True:
        dt, t1 = step_towards(end, t, dt)
        if t1 == t:
            raise ArithmeticError(f"the stabilised flow failed at t = {t:.6g}: the step fell below rounding")
        if accepted - known >= (1 if rejected else REFRESH):
            evaluations, known = evaluations + spectrum.update(H, R[r:], E), accepted
        stages = max(2, 1 + int(sqrt(1.54 * dt * spectrum.radius + 1)))
        C = chebyshev_step(model, H, R[r:], G, dt, stages)
        R1 = R + model.lift(C)
        H1 = model.hidden(R1)
        E1, G1 = model.motion(H1, R1[r:])
        evaluations += stages
        error = size(model.lift(0.4 * dt * (G + G1) - 0.8 * C)) / (tol * max(size(R), size(R1)))
        if not error <= 1:
            dt, rejected = next_step(dt, error if np.isfinite(error) else 1e10, 3, True), True
            continue
        F1 = model.lift(G1)
        yield FlowStep(t, t1, R1, 0.5 * float(np.vdot(E1, E1)), size(F1), _Hermite(t, dt, R, R1, F, F1), evaluations)
        t, R, H, E, G, F, accepted = t1, R1, H1, E1, G1, F1, accepted + 1
        dt, rejected = next_step(dt, error, 3, rejected), False


def chebyshev_step(model: Model, H: Array, V: Array, G: Array, dt: float, stages: int) -> Array:
    """Increment C (n + m, h) of one step of size dt from H, V with gradient G there (Sommeijer et al. 1997)."""
    n = model.samples.n
    b, shift, w0, w1 = _chebyshev(stages)
    before, C = np.zeros_like(G), (b[1] * w1 * dt) * G
    for j in range(2, stages + 1):
        mu, nu, step = 2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], 2 * b[j] * w1 / b[j - 1] * dt
        _, slope = model.motion(H + model.hidden_change(C), V + C[n:])
        slope *= step
        slope += mu * C
        slope += nu * before
        slope -= (shift[j - 1] * step) * G
        before, C = C, slope
    return C


def _chebyshev(stages: int) -> tuple[Array, Array, float, float]:
    """b_j and 1 - b_j T_j(w0), j = 0..stages, with w0 and w1."""
    w0 = 1 + DAMPING / stages**2
    T, first, second = np.ones(stages + 1), np.zeros(stages + 1), np.zeros(stages + 1)
    T[1], first[1] = w0, 1.0
    for j in range(2, stages + 1):
        T[j] = 2 * w0 * T[j - 1] - T[j - 2]
        first[j] = 2 * T[j - 1] + 2 * w0 * first[j - 1] - first[j - 2]
        second[j] = 4 * first[j - 1] + 2 * w0 * second[j - 1] - second[j - 2]
    b = np.empty(stages + 1)
    b[2:] = second[2:] / first[2:] ** 2
    b[:2] = b[2]
    return b, 1 - b * T, w0, first[stages] / second[stages]


class Spectrum:
    """A bound on the spectral radius of the flow's Jacobian, kept up to date by power iterations on the kernel.

    The Jacobian is -J^T J plus the residual times second derivatives. J^T J has the spectrum of the tangent kernel
    K = J J^T; the second derivatives in (u_j, v_j) contribute at most ||Z||_2 max |phi'| ||E||_F. Those in u_j are left
    to the margin and to error control.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._vector: Array = np.empty(0)
        self.radius = 0.0

    def update(self, H: Array, V: Array, E: Array) -> int:
        """Bring `radius` up to date at H, V with residual E; returns the kernel products taken, gradients in cost."""
        tangent = Tangent.at(self._model, H, V)
        vector: Array = (
            self._vector if self._vector.size else E + 1e-3 * size(E) * np.cos(np.arange(E.size)).reshape(E.shape)
        )
        largest, count = 0.0, 0
        while count < 50:
            vector = vector / (size(vector) or 1.0)
            vector = tangent.product(vector)
            largest, before, count = size(vector), largest, count + 1
            if abs(largest - before) <= 0.01 * largest:
                break
        self._vector = vector
        second = float(self._model.samples.problem.sigma[0]) * size(E) * float(np.abs(tangent.slope).max())
        self.radius = MARGIN * largest + second
        return count


class _Hermite:
    """Cubic interpolant of states and velocities at both ends of a step."""

    def __init__(self, t: float, dt: float, R: Array, R1: Array, F: Array, F1: Array) -> None:
        self._t, self._dt, self._ends = t, dt, (R, R1, F, F1)

    def __call__(self, t: float) -> Array:
        R, R1, F, F1 = self._ends
        x, dt = (t - self._t) / self._dt, self._dt
        y = 1 - x
        return y * R + x * R1 - x * y * ((y - x) * (R1 - R) - y * dt * F + x * dt * F1)
