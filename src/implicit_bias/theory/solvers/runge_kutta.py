"""Steps of DOP853 on arrays made once, for fields of few operations (Hairer, Norsett, Wanner 1993, II.5 and II.10)."""

from collections.abc import Callable

import numpy as np
from scipy.integrate import DOP853
from scipy.linalg.blas import dnrm2

from implicit_bias.theory.problem import Array

Field = Callable[[Array, Array], Callable[[], None]]
"""(state, velocity) -> what computes the velocity from the state, both of them arrays that stay where they are."""

_STAGES: int = DOP853.n_stages
_TABLEAU = np.zeros((_STAGES + 1, _STAGES + 1))
_TABLEAU[:_STAGES, 1:] = DOP853.A
_TABLEAU[_STAGES, 1:] = DOP853.B
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
        flat = rows.reshape(len(rows), -1)
        self.start, self.velocity, self.end = rows[0], rows[1], np.empty(start.shape)
        self._target, self._all, self._velocities = self.end.reshape(-1), flat, flat[1:]
        self._first = field(self.start, self.velocity)
        self._stages = [(stage, flat[: stage + 1], field(self.end, rows[stage + 1])) for stage in range(1, _STAGES)]
        self.restart(start)

    def restart(self, state: Array) -> None:
        """Let the next step start at the state."""
        self.start[...] = state
        self._first()

    def step(self, h: float) -> None:
        """Make a step of size h; `end` is not finite if h is far too large."""
        weights = h * _TABLEAU
        weights[:, 0] = 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            for stage, rows, evaluate in self._stages:
                np.dot(weights[stage, : stage + 1], rows, self._target)
                evaluate()
            np.dot(weights[_STAGES], self._all, self._target)

    def error(self, h: float, scale: Array) -> Array:
        """Estimated error of the step of size h just made, its order that of the state divided by `scale`."""
        with np.errstate(over="ignore", invalid="ignore"):
            e5, e3 = (_ERRORS @ self._velocities).reshape(2, *self.start.shape)
            size5, size3 = (dnrm2((e / scale).reshape(-1)) for e in (e5, e3))  # no square underflows
            error: Array = h * (size5 / np.hypot(size5, 0.1 * size3)) * e5 if size5 != 0 else np.zeros_like(e5)
        return error
