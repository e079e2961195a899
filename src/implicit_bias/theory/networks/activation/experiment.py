"""One point of a sweep of networks with an activation, composed: draw, train, measure."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from implicit_bias.theory.checks import check
from implicit_bias.theory.experiment import output_times
from implicit_bias.theory.networks.activation.descent import gradient_descent
from implicit_bias.theory.networks.activation.exponential import Reference
from implicit_bias.theory.networks.activation.flow import choose_integrator, gradient_flow
from implicit_bias.theory.networks.activation.frozen import deviation_law, frozen_law, frozen_part
from implicit_bias.theory.networks.activation.network import Model, neuron_imbalance, predictions
from implicit_bias.theory.networks.activation.points import Points
from implicit_bias.theory.networks.activation.references import kernel_change, kernel_prediction
from implicit_bias.theory.networks.activation.run import Run
from implicit_bias.theory.networks.activation.stabilized import Spectrum
from implicit_bias.theory.networks.activation.tangent import Tangent
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.registry import whole_iterations
from implicit_bias.theory.solvers.stopping import Stop

SOLVERS = (
    "gradient_flow",
    "gradient_descent",
    "momentum",
    "flow_explicit",
    "flow_stabilized",
    "flow_exponential",
)
KERNEL_SIZE = 1500
"""Up to this size n m the kernel at initialisation is diagonalised, to choose integrator and output times."""


@dataclass(frozen=True)
class Network:
    """A network at initialisation, as far as training and the test points see it.

    Attributes:
        R: (r + m, h) [Phi1^T U; V].
        frozen: (N, h) x^T Phi2 Phi2^T U at N test points; it does not move.
    """

    R: Array
    frozen: Array


def draw_network(
    model: Model, points: Points, h: int, sigma_U: float, sigma_V: float, rng: np.random.Generator
) -> Network:
    """A network with i.i.d. entries N(0, sigma_U^2) of U (D, h) and N(0, sigma_V^2) of V (m, h), without U itself.

    Raises:
        ValueError: h is not a positive integer, or a scale is not positive and finite.
    """
    if h != int(h) or h < 1:
        raise ValueError(f"h must be a positive integer, got {h}")
    check("sigma_U", sigma_U, sigma_U > 0, "finite and > 0")
    check("sigma_V", sigma_V, sigma_V > 0, "finite and > 0")
    problem = model.samples.problem
    A = sigma_U * rng.standard_normal((problem.r, int(h)))
    V = sigma_V * rng.standard_normal((problem.m, int(h)))
    return Network(R=np.vstack([A, V]), frozen=frozen_part(points, sigma_U, int(h), rng))


def reduce_network(model: Model, points: Points, U: Array, V: Array) -> Network:
    """The Network of given weights U (D, h), V (m, h)."""
    A = model.samples.problem.Phi1.T @ U
    return Network(R=np.vstack([A, V]), frozen=points.unseen @ (points.basis.T @ U))


class Outlook(NamedTuple):
    """The linearised flow at initialisation.

    Attributes:
        largest: largest eigenvalue of the kernel.
        horizon: time to the loss that ends the run.
        movement: relative movement of the kernel up to there, to first order; None above KERNEL_SIZE.
    """

    largest: float
    horizon: float
    movement: float | None


def linearized_outlook(model: Model, R: Array, stop: Stop) -> Outlook:
    """How stiff and how long the run is if the kernel stays what it is at R (r + m, h).

    Above KERNEL_SIZE only the mean rate of the residual is known, which makes the horizon too short.
    """
    tangent = Tangent.at(model, model.hidden(R), R[model.samples.problem.r :])
    E = model.samples.Y - tangent.S @ tangent.V.T
    level = 0.5 * float(np.sum(E * E)) - model.floor
    target = max(stop.excess, 1e-26 * level)
    reference = Reference(tangent) if E.size <= KERNEL_SIZE else None
    if reference is not None:
        e = reference.hat(E)
        w, weights = reference.rates[~reference.blind], 0.5 * e[~reference.blind] ** 2
        largest = float(w[-1]) if w.size else 0.0
    else:
        G, spectrum = model.lift(tangent.gradient(E)), Spectrum(model)
        spectrum.update(model.hidden(R), tangent.V, E)
        w, weights = np.array([float(np.vdot(G, G)) / (2 * (level + model.floor))]), np.array([level])
        largest = spectrum.radius
    if not w.size or not w[-1] > 0:
        return Outlook(0.0, min(1.0, stop.t_max), None)

    def gap(log_t: float) -> float:
        return float(np.log(max(weights @ np.exp(-2 * w * np.exp(log_t)), 1e-300)) - np.log(max(target, 1e-300)))

    low, high = -np.log(w[-1]) - 30, np.log(1e3 / w[0])
    horizon = float(min(np.exp(brentq(gap, low, high)) if gap(low) > 0 > gap(high) else 1 / w[0], stop.t_max))
    if reference is None:
        return Outlook(largest, horizon, None)
    return Outlook(largest, horizon, kernel_change(model, R, R + model.lift(reference.frozen_move(e, horizon))))


def train(
    model: Model,
    R: Array,
    solver: str = "gradient_flow",
    step_size: float = 5e-3,
    stop: Stop | None = None,
    points: int = 60,
    tol: float = 1e-4,
    momentum: float = 0.9,
) -> tuple[Run, str]:
    """Train by a named solver and sample about `points` times along the way.

    Args:
        model: the network.
        R: (r + m, h) initial state.
        solver: one of SOLVERS; "gradient_flow" takes the cheaper integrator.
        step_size: step on the averaged loss; for the flow it only sets the unit of the iteration axis.
        stop: what ends the run; None stops at an averaged loss of 1e-8 above the floor.
        points: about how many samples to record.
        tol: local error of the flow relative to the size of the state.
        momentum: of the solver "momentum".

    Returns:
        The run and the name of the method used.

    Raises:
        ValueError: an argument is outside its range.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}")
    stop = Stop(excess=0.5e-8 * model.samples.n) if stop is None else stop
    outlook = linearized_outlook(model, R, stop)
    times = output_times(outlook.horizon, stop.t_max, points)
    if solver in ("gradient_descent", "momentum"):
        step = float(model.samples.problem.flow_time(1, step_size))
        iterations = whole_iterations(times, step)
        return gradient_descent(model, R, step_size, iterations, stop, momentum * (solver == "momentum")), solver
    method = solver.removeprefix("flow_")
    if solver == "gradient_flow":
        method = choose_integrator(model, outlook.largest * outlook.horizon, tol, outlook.movement)
    return gradient_flow(model, R, times, stop, method, tol), method


class Measured(NamedTuple):
    """What is measured of a trained network.

    Attributes:
        metrics: name -> value; a metric whose premise fails is left out.
        predictions: (N, m) of the network itself at the test points.
        mean: (N, m) of the frozen law, given the trained network.
        std: (N, m) of the frozen law.
    """

    metrics: dict[str, float]
    predictions: Array
    mean: Array
    std: Array


def measure(
    model: Model,
    network: Network,
    run: Run,
    points: Points,
    sigma_U: float,
    sigma_V: float,
    step_size: float = 5e-3,
    delta: float = 0.05,
) -> Measured:
    """Measure a run at N test points; root mean squares are over the points, outputs summed.

    Args:
        model: the network.
        network: it, at initialisation.
        run: the run that started there.
        points: the test points that `network` was drawn with.
        sigma_U, sigma_V: standard deviations of the entries of U(0), V(0).
        step_size: step on the averaged loss, the unit of `iterations`.
        delta: `frozen_bound` is the 1 - delta quantile of the deviation's law.
    """
    problem, phi = model.samples.problem, model.phi
    r, R = problem.r, run.R
    own = predictions(phi, R[r:], points.seen @ R[:r], network.frozen)
    law = frozen_law(model, R, points, sigma_U)
    deviation = deviation_law(model, R, points, sigma_U, law)
    V0 = network.R[r:]
    start = (
        phi.value(model.hidden(network.R)) @ V0.T,
        predictions(phi, V0, points.seen @ network.R[:r], network.frozen),
    )
    kernel = kernel_prediction(model, points, sigma_U, sigma_V, start)
    metrics = {
        "loss": float(problem.averaged(run.excess[-1] + model.floor)),
        "iterations": float(problem.iterations(run.t[-1], step_size)),
        "evaluations": float(run.evaluations),
        "frozen_rms": law.rms,
        "frozen_deviation": _rms(own - law.mean),
        "frozen_bound": deviation.upper(delta),
        "frozen_p": float(deviation.sf(_rms(own - law.mean))),
        "kernel_distance": _rms(own - kernel.values),
        "kernel_move": kernel_change(model, network.R, R),
        "linear_distance": _rms(own - points.seen @ problem.min_norm_coordinates),
        "prediction_rms": _rms(own),
    }
    if phi.degree is not None:
        delta0 = neuron_imbalance(network.R, r, phi.degree)
        metrics["neuron_drift"] = float(run.drift[-1])
        metrics["imbalance_U"] = float(delta0.clip(min=0.0).sum())
        metrics["imbalance_V"] = float((-delta0).clip(min=0.0).sum())
    return Measured(metrics, own, law.mean, law.std)


def _rms(deviations: Array) -> float:
    """Root mean square over rows of the norm of a row of (N, m)."""
    return float(np.sqrt(np.mean(np.sum(deviations**2, axis=1))))
