"""Steps of DOP853 on arrays made once, for fields of few operations (Hairer, Norsett, Wanner 1993, II.5 and II.10)."""

from collections.abc import Callable
from math import hypot

import numpy as np
from scipy.integrate import DOP853
from scipy.linalg.blas import dnrm2

from implicit_bias.theory.problem import Array

Field = Callable[[Array, Array], Callable[[], None]]
"""(state, velocity) -> what computes the velocity from the state, both of them arrays that stay where they are."""

_STAGES: int = DOP853.n_stages
_ALL = _STAGES + 1 + len(DOP853.A_EXTRA)
"""Stages of the step, the velocity at its end, and the stages of the dense output."""
_TABLEAU = np.zeros((_ALL, _ALL))
_TABLEAU[:_STAGES, :_STAGES] = DOP853.A
_TABLEAU[_STAGES, :_STAGES] = DOP853.B
_TABLEAU[_STAGES + 1 :] = DOP853.A_EXTRA
_ERRORS = np.stack([DOP853.E5[:_STAGES], DOP853.E3[:_STAGES]])

_FIRST, _LAST = np.eye(_ALL)[[0, _STAGES]]
_MOVED = _TABLEAU[_STAGES]
DENSE = np.stack([_MOVED, _FIRST - _MOVED, 2 * _MOVED - _LAST - _FIRST, *DOP853.D])
"""Velocities of all stages, times the step -> coefficients of the dense output of order 7 (II.6); see `shares`."""


def shares(theta: float) -> Array:
    """(7,) theta, theta (1 - theta), theta^2 (1 - theta), ...: factors of the coefficients at theta in [0, 1]."""
    factors = np.full(len(DENSE), theta)
    factors[1::2] = 1 - theta
    return np.cumprod(factors)


class RungeKutta8:
    """A step of order 8 from `start`; state and stage velocities are rows, so that a stage is one product with them.

    Attributes:
        start: state at the start of the step.
        velocity: velocity there.
        end: state at the end of the step.
    """

    def __init__(self, field: Field, start: Array) -> None:
        rows = np.empty((_ALL + 1, *start.shape))
        flat, weights = rows.reshape(len(rows), -1), np.ones((_ALL, _ALL + 1))
        self.start, self.velocity, self.end = rows[0], rows[1], np.empty(start.shape)
        self._target, self._velocities, self._errors = self.end.reshape(-1), flat[1:], np.empty((2, *start.shape))
        self._flat_errors = self._errors.reshape(2, -1)
        self._first, self._weights = field(self.start, self.velocity), weights[:, 1:]
        stages = [
            (weights[stage, : stage + 1], flat[: stage + 1], field(self.end, rows[stage + 1]))
            for stage in range(1, _ALL)
        ]
        self._stages, self._extra = stages[: _STAGES - 1], stages[_STAGES:]
        self._to_end, self._rows_to_end, self._velocity_at_end = stages[_STAGES - 1]
        self.restart(start)

    def restart(self, state: Array) -> None:
        """Let the next step start at the state."""
        self.start[...] = state
        self._first()

    def step(self, h: float) -> None:
        """Make a step of size h; `end` is not finite if h is far too large, and the caller is to expect overflows."""
        np.multiply(_TABLEAU, h, self._weights)
        dot, target = np.dot, self._target
        for weights, rows, evaluate in self._stages:
            dot(weights, rows, target)
            evaluate()
        dot(self._to_end, self._rows_to_end, target)

    def error(self, h: float, scale: Array) -> tuple[Array, float]:
        """Estimated error of the step of size h just made, and its norm when divided by `scale`."""
        np.dot(_ERRORS, self._velocities[:_STAGES], self._flat_errors)
        e5, e3 = (self._errors / scale).reshape(2, -1)
        size5, size3 = dnrm2(e5), dnrm2(e3)  # no square underflows
        share = h * (size5 / hypot(size5, 0.1 * size3)) if size5 != 0 else 0.0
        return share * self._errors[0], share * size5

    def dense(self, h: float) -> Callable[[float], Array]:
        """The step of size h just made as a function of theta in [0, 1], from `start` on, of order 7 (II.6).

        It takes three more stages and leaves `end` as it is.
        """
        start, end = self.start.copy(), self.end.copy()
        self._velocity_at_end()
        for weights, rows, evaluate in self._extra:
            np.dot(weights, rows, self._target)
            evaluate()
        self.end[...] = end
        coefficients = h * np.dot(DENSE, self._velocities)
        return lambda theta: start + np.dot(shares(theta), coefficients).reshape(start.shape)
