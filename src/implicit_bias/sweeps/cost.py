"""What a sweep will cost, before it is run: a simple model and the speed of this machine.

A sweep takes about `STAGES` seconds for its figures and records, and `BANDS` predictions of the law per alpha. A point
takes about `POINT` seconds to draw, measure, plot and track, and one prediction of the law. The flow adds at most
`STEPS` steps, each of `OVERHEAD` seconds and of one eigendecomposition (r, r) for the kernel of every output and one
for the state. Gradient descent adds its iterations, as many as the rate at the start and at the end asks for. Networks
of three layers are revealed by about `LEVELS` levels per layer; more layers have about `DIRECTIONS` directions per
layer besides the first ones, and train `RESTARTS` times per layer. A step of theirs takes about `RATES` evaluations of
the velocity. Predictions, eigendecompositions, iterations and velocities are timed here, in seconds of the processor,
so that other work on the machine does not count. The tables and their SVD need about `COPIES` arrays of X's size, a
process `PROCESS`.
"""

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from implicit_bias.sweeps.disk import sweep_bytes
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.experiment import estimate_horizon, train
from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.prediction import predict_band
from implicit_bias.theory.networks.activation import Model, activation
from implicit_bias.theory.networks.activation.samples import Samples
from implicit_bias.theory.networks.deep.dynamics import velocity
from implicit_bias.theory.networks.deep.starts import gaussian_deep
from implicit_bias.theory.networks.deep.state import Layers
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.descent import DivergenceError
from implicit_bias.theory.solvers.registry import solver
from implicit_bias.theory.solvers.stopping import Stop

START = 6.0
"""Seconds to start Kedro and MLflow and to make a new database."""
STAGES = 3.0
BANDS = 32
POINT = 0.2
STEPS = 60
OVERHEAD = 1e-3
COPIES = 7
PROCESS = 350e6
GRADIENTS = 200
ARRAYS = 16
"""Arrays of the size of a gradient that the explicit integrator of networks with activations keeps."""
LEVELS = 2
DIRECTIONS = 3
RESTARTS = 0.5
RATES = 40
TRIAL = 50
"""Iterations of gradient descent that are timed."""
QUICK = 0.1
"""Seconds below which a trial is mostly the cost of starting it: then the difference to a longer one counts."""


@dataclass(frozen=True)
class Cost:
    """About what a sweep needs.

    Attributes:
        seconds: time, with all its workers.
        memory: bytes at once, in all processes.
        disk: bytes of its files and of what MLflow keeps of it.
    """

    seconds: float
    memory: float
    disk: float


def estimate_cost(problem: Problem, sweep: Sweep, processes: int) -> Cost:
    """About what a sweep on a problem will cost.

    Args:
        problem: the reparametrised problem.
        sweep: the validated parameters.
        processes: how many points are computed at once.
    """
    points = sweep.points()
    with threadpool_limits(1):
        flow = POINT + STEPS * (OVERHEAD + (1 + problem.m) * _eigendecomposition(problem.r))
        descent = {
            point.width: POINT + _descent(problem, sweep, point)
            for point in points
            if solver(point.solver).kind != "flow" and sweep.kind != "deep"
        }
        deep = {depth: POINT + _deep(problem, sweep, depth) for depth in sweep.depths if sweep.kind == "deep"}
    seconds = sum(
        deep.get(point.depth, flow if solver(point.solver).kind == "flow" else descent.get(point.width, flow))
        for point in points
    )
    busy = min(processes, len(points))
    with threadpool_limits(1):
        band = _band(problem, sweep)
    seconds = STAGES + BANDS * len(sweep.alpha) * band + (seconds + len(points) * band) / busy
    workers = busy * PROCESS if busy > 1 else 0
    return Cost(seconds, PROCESS + workers + 8 * COPIES * problem.n * problem.D, sweep_bytes(problem, sweep))


def estimate_activation_cost(samples: Samples, tests: int, sweep: Sweep, processes: int) -> Cost:
    """About what a sweep of networks with activations will cost.

    A point takes about GRADIENTS gradients; one is timed here for each activation, at the largest width.

    Args:
        samples: the data.
        tests: number of test rows.
        sweep: the validated parameters.
        processes: how many points are computed at once.
    """
    points, widest = sweep.points(), max(sweep.widths)
    with threadpool_limits(1):
        gradient = {name: _gradient(Model(samples, activation(name)), widest) for name in sweep.activations}
    seconds = sum(POINT + GRADIENTS * gradient[str(point.activation)] * point.width / widest for point in points)
    busy = min(processes, len(points))
    n, m = samples.n, samples.problem.m
    at_once = busy * (PROCESS * (busy > 1) + 8 * ARRAYS * (n + m) * widest)
    return Cost(
        STAGES + seconds / busy,
        PROCESS + at_once + 8 * COPIES * n * samples.problem.D,
        sweep_bytes(samples.problem, sweep, tests),
    )


def _band(problem: Problem, sweep: Sweep) -> float:
    """Seconds of a prediction of the law, on average of the smallest and the largest width; 0 where none is made."""
    if not sweep.law_is_exact or problem.D == problem.r:
        return 0.0
    widths = (min(sweep.widths), max(sweep.widths))
    start = time.process_time()
    for h in widths:
        predict_band(problem, *Scaling(sweep.alpha[0]).gram(h), float(h), sweep.delta)
    return (time.process_time() - start) / len(widths)


def _gradient(model: Model, h: int) -> float:
    """Seconds of a gradient at width h, on this machine."""
    R = np.random.default_rng(0).standard_normal((model.samples.problem.k, h))
    model.motion_at(R)
    start = time.process_time()
    model.lift(model.motion_at(R).G)
    return time.process_time() - start


def _eigendecomposition(r: int) -> float:
    """Seconds of an eigendecomposition (r, r) on this machine."""
    matrix = np.diag(np.arange(1.0, r + 1)) + 1.0 / r
    np.linalg.eigh(matrix)
    start = time.process_time()
    np.linalg.eigh(matrix)
    return time.process_time() - start


def _deep(problem: Problem, sweep: Sweep, depth: int) -> float:
    """Seconds of a run of a network of this depth."""
    if depth > 3:
        size = min(problem.k + DIRECTIONS * depth, max(sweep.widths))
        layers = tuple(np.ones(shape) for shape in pairwise([problem.r, *[size] * (depth - 1), problem.m]))
        return RESTARTS * depth * _deep_run(problem, layers)
    rng = np.random.default_rng(sweep.seed)
    network = gaussian_deep(problem, depth, max(sweep.widths), rng)
    state = network.state()
    while not network.closed and network.levels < LEVELS * depth:
        network.grow()
        grown = network.state()
        if sum(W.size for W in grown.layers) > sweep.most_weights:
            break
        state = grown
    return _deep_run(problem, state.layers)


def _deep_run(problem: Problem, layers: Layers) -> float:
    """Seconds of a run of these layers."""
    velocity(problem, layers)
    start = time.process_time()
    velocity(problem, layers)
    return STEPS * (OVERHEAD + RATES * (time.process_time() - start))


def _descent(problem: Problem, sweep: Sweep, point: Point) -> float:
    """Seconds of a run of gradient descent."""
    rng = np.random.default_rng(sweep.seed)
    state = scaled(standard_normal(problem, point.width, rng, "bartlett"), point.sigma_u, point.sigma_v)
    t_max = float(problem.flow_time(sweep.stop.max_iterations, sweep.step_size))
    stop = Stop(excess=(sweep.stop.tolerance or 0.0) * problem.n / 2, t_max=t_max)
    step = float(problem.flow_time(1, sweep.step_size))
    iterations = min(estimate_horizon(problem, state, stop) / step, sweep.stop.max_iterations)

    def timed(count: int) -> float:
        start = time.process_time()
        train(problem, state, "gradient_descent", sweep.step_size, Stop(t_max=count * step), points=5, tol=1e-6)
        return time.process_time() - start

    try:
        timed(1)  # what is made once
        few = timed(TRIAL)
        each = few / TRIAL if few > QUICK else (timed(21 * TRIAL) - few) / (20 * TRIAL)
    except DivergenceError:
        return 0.0
    return iterations * max(each, 0.0)
