"""What is kept of a training run of a network with an activation."""

from dataclasses import dataclass, field

import numpy as np

from implicit_bias.theory.networks.activation.network import Model, neuron_imbalance
from implicit_bias.theory.problem import Array


@dataclass(frozen=True)
class Run:
    """A training run sampled at T flow times, the last one being where it stopped.

    Attributes:
        t: (T,) flow times on L = 1/2 ||Y - phi(X U) V^T||_F^2.
        excess: (T,) L - floor.
        drift: (T,) ||delta(t) - delta(0)||_1 / max_t ||R||_F^2, delta_j = ||u1_j||^2 - k ||v_j||^2, if phi is
            homogeneous of degree k; NaN if it is not.
        R: (r + m, h) final state [A; V].
        stop_reason: as of a `Trajectory`.
        steps: steps of the solver.
        evaluations: gradients taken, or what costs as much.
    """

    t: Array
    excess: Array
    drift: Array
    R: Array
    stop_reason: str
    steps: int
    evaluations: int


@dataclass
class RunRecorder:
    """Collects a Run, state by state."""

    model: Model
    R0: Array
    _t: list[float] = field(default_factory=list)
    _excess: list[float] = field(default_factory=list)
    _moved: list[float] = field(default_factory=list)
    _scale: float = 0.0

    def __post_init__(self) -> None:
        self._start = self._imbalance(self.R0)

    def _imbalance(self, R: Array) -> Array:
        degree = self.model.phi.degree
        return np.full(1, np.nan) if degree is None else neuron_imbalance(R, self.model.samples.problem.r, degree)

    def record(self, t: float, R: Array, excess: float | None = None) -> None:
        """Add the state R (r + m, h) reached at flow time t, with its excess loss if that is known."""
        self._t.append(t)
        self._excess.append(self.model.excess(R) if excess is None else excess)
        self._moved.append(float(np.sum(np.abs(self._imbalance(R) - self._start))))
        self._scale = max(self._scale, float(np.vdot(R, R)))

    def run(self, R: Array, stop_reason: str, steps: int, evaluations: int) -> Run:
        """Close the record with the final state."""
        return Run(
            t=np.array(self._t),
            excess=np.array(self._excess),
            drift=np.array(self._moved) / (self._scale or 1.0),
            R=R,
            stop_reason=stop_reason,
            steps=steps,
            evaluations=evaluations,
        )
