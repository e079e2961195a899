"""Gradient flow of a network with an activation: output times, stopping, record."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from implicit_bias.theory.networks.activation.explicit import explicit_steps
from implicit_bias.theory.networks.activation.exponential import exponential_steps
from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.run import Run, RunRecorder
from implicit_bias.theory.networks.activation.stabilized import stabilized_steps
from implicit_bias.theory.networks.activation.steps import FlowIntegrator, FlowStep, size
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.stopping import STATIONARY, TIME_LIMIT, TOLERANCE, Stop

INTEGRATORS: dict[str, FlowIntegrator] = {
    "explicit": explicit_steps,
    "stabilized": stabilized_steps,
    "exponential": exponential_steps,
}
REACH = 30.0
"""lambda_max(K) T up to which the explicit pair is cheaper than the stabilised method at a tolerance of 1e-4."""
FAR = 120.0
"""The same beside the exponential method, at any tolerance."""
STILL = 0.02
"""Relative movement of the kernel up to which the exponential method takes a few steps, kinks or not. Where the
explicit pair takes few, too, that has to be one step."""
ONE_STEP = 4.0
"""Relative movement of the kernel, over the tolerance, up to which one step is enough."""
ARRIVED = 1e-26
"""Part of the excess loss at the start below which it is rounding."""


def choose_integrator(model: Model, stiffness: float, tol: float, movement: float | None = None) -> str:
    """Name of the cheapest integrator for a run of lambda_max(K) T = stiffness.

    The explicit pair takes about 2 lambda_max(K) T gradients, however lax the tolerance, the stabilised method a number
    that grows like tol^(-1/3). That of the exponential one depends on how much the kernel moves: it is a step's where
    that is near the tolerance. It needs the kernel as a matrix. Many crossings of kinks cost all of them their order,
    the stabilised method the least.

    Args:
        model: the network.
        stiffness: lambda_max(K) T.
        tol: tolerance of the flow.
        movement: relative movement of the kernel to expect; None where it is too large to be made.
    """
    still = STILL if model.phi.kinks or stiffness > FAR else min(ONE_STEP * tol, STILL)
    if movement is not None and movement <= still:
        return "exponential"
    if model.phi.kinks:
        return "stabilized"
    if movement is not None:
        return "exponential" if stiffness > FAR else "explicit"
    return "stabilized" if stiffness > REACH * (1e-4 / tol) ** (1 / 3) else "explicit"


def gradient_flow(
    model: Model, R0: Array, times: Iterable[float], stop: Stop, method: str = "explicit", tol: float = 1e-6
) -> Run:
    """Train by gradient flow on L = 1/2 ||Y - phi(X U) V^T||_F^2.

    Where phi has kinks the flow is Filippov's: preactivations may slide along a kink, both sides pushing towards it.
    Steps cross kinks under error control; the error there is of the size of the tolerance, and the cost grows like
    its inverse: a tolerance below 1e-5 is then dear.

    Args:
        model: the network.
        R0: (r + m, h) initial state.
        times: increasing positive flow times to record; may be endless. Start and end are always recorded.
        stop: what ends the run; its excess loss is located by root finding on the dense output.
        method: "explicit", "stabilized" or "exponential".
        tol: local error relative to ||R||_F.

    Raises:
        ValueError: method or tol is outside its range, or a time is not larger than the one before.
        ArithmeticError: the step falls below rounding.
    """
    if method not in INTEGRATORS:
        raise ValueError(f"method must be one of {', '.join(INTEGRATORS)}, got {method!r}")
    if not 1e-13 <= tol < 1:
        raise ValueError(f"tol must be in [1e-13, 1), got {tol}")
    recorder, start = RunRecorder(model, R0), model.motion_at(R0)
    recorder.record(0.0, R0, start.loss - model.floor)
    if start.loss - model.floor <= stop.excess:
        return recorder.run(R0, TOLERANCE, 0, 1)
    speed0 = size(model.lift(start.G))
    if speed0 == 0:
        return recorder.run(R0, STATIONARY, 0, 1)
    rest = Rest(max(stop.stationary, tol) * speed0, tol, ARRIVED * (start.loss - model.floor), stop.t_max)
    pending = iter(times)
    target, last = next(pending, np.inf), 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # steps that are rejected for it
        for count, step in enumerate(INTEGRATORS[method](model, R0, tol, stop.t_max), start=1):
            end, reason = _end_of_run(model, step, stop, rest)
            while target < min(step.t1, end):
                if not target > last:
                    raise ValueError(f"times must be positive and increasing, got {target} after {last}")
                recorder.record(target, step.at(target))
                target, last = next(pending, np.inf), target
            if reason:
                R = step.R if end == step.t1 else step.at(end)
                recorder.record(end, R)
                return recorder.run(R, reason, count, step.evaluations)
    raise AssertionError("integrators yield steps until the run ends")


@dataclass(frozen=True)
class Rest:
    """When a flow is at rest: it is slow, and is not on its way to a smaller loss.

    A small eigenvalue of the kernel makes a flow slow long before it arrives: at speed v it takes v^2 off the loss per
    unit of time. At rest that is next to nothing of the loss, for as long as the run may yet take.

    Attributes:
        speed: at or below it the flow is slow.
        share: of the excess loss, that is next to nothing; its inverse is how many times longer than until now a run
            without a limit may take.
        arrived: excess loss that is rounding.
        t_max: limit of the run.
    """

    speed: float
    share: float
    arrived: float
    t_max: float

    def reached(self, step: FlowStep, excess: float) -> bool:
        """Whether a step ends at rest, with this excess loss."""
        ahead = min(self.t_max - step.t1, step.t1 / self.share)
        return step.speed <= self.speed and (excess <= self.arrived or step.speed**2 * ahead <= self.share * excess)


def _end_of_run(model: Model, step: FlowStep, stop: Stop, rest: Rest) -> tuple[float, str]:
    """Time at which this step ends the run and why; (inf, "") where it does not."""
    if step.loss - model.floor <= stop.excess:
        t = _crossing(model, step, stop.excess)
        if t <= stop.t_max:
            return t, TOLERANCE
    if step.t1 >= stop.t_max:
        return stop.t_max, TIME_LIMIT
    return (step.t1, STATIONARY) if rest.reached(step, step.loss - model.floor) else (np.inf, "")


def _crossing(model: Model, step: FlowStep, excess: float) -> float:
    """Time in the step at which the excess loss comes down to `excess`."""

    def gap(t: float) -> float:
        return float(np.log(max(model.excess(step.at(t)), 1e-300)) - np.log(max(excess, 1e-300)))

    if gap(step.t0) <= 0:
        return step.t0
    if gap(step.t1) >= 0:  # the step's own end is at or below, its dense output is above by rounding
        return step.t1
    return float(brentq(gap, step.t0, step.t1, xtol=1e-9 * (step.t1 - step.t0), rtol=1e-14))
