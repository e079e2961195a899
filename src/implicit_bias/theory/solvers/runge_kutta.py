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
_TABLEAU = np.zeros((_STAGES + 1, _STAGES))
_TABLEAU[:_STAGES] = DOP853.A
_TABLEAU[_STAGES] = DOP853.B
_ERRORS = np.stack([DOP853.E5[:_STAGES], DOP853.E3[:_STAGES]])


class RungeKutta8:
    """A step of order 8 from `start`; state and stage velocities are rows, so that a stage is one product with them.

    Attributes:
        start: state at the start of the step.
        velocity: velocity there.
        end: state at the end of the step.
    """

    def __init__(self, field: Field, start: Array) -> None:
        rows = np.empty((_STAGES + 1, *start.shape))
        flat, weights = rows.reshape(len(rows), -1), np.ones((_STAGES + 1, _STAGES + 1))
        self.start, self.velocity, self.end = rows[0], rows[1], np.empty(start.shape)
        self._target, self._velocities, self._errors = self.end.reshape(-1), flat[1:], np.empty((2, *start.shape))
        self._flat_errors = self._errors.reshape(2, -1)
        self._first, self._weights = field(self.start, self.velocity), weights[:, 1:]
        self._stages = [
            (weights[stage, : stage + 1], flat[: stage + 1], field(self.end, rows[stage + 1]))
            for stage in range(1, _STAGES)
        ]
        self._last = weights[_STAGES], flat
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
        dot(*self._last, target)

    def error(self, h: float, scale: Array) -> tuple[Array, float]:
        """Estimated error of the step of size h just made, and its norm when divided by `scale`."""
        np.dot(_ERRORS, self._velocities, self._flat_errors)
        e5, e3 = (self._errors / scale).reshape(2, -1)
        size5, size3 = dnrm2(e5), dnrm2(e3)  # no square underflows
        share = h * (size5 / hypot(size5, 0.1 * size3)) if size5 != 0 else 0.0
        return share * self._errors[0], share * size5
