"""One deep point: train a network with as many levels as its run needs."""

import numpy as np

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.theory.experiment import output_times
from implicit_bias.theory.networks.deep.descent import deep_descent
from implicit_bias.theory.networks.deep.dynamics import excess_loss, heads, kernel_matrix, tails
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.record import DeepTrajectory, LeakError
from implicit_bias.theory.networks.deep.starts import Network
from implicit_bias.theory.networks.deep.state import DeepState, Layers
from implicit_bias.theory.networks.deep.unfolding import used
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.registry import whole_iterations
from implicit_bias.theory.solvers.stopping import Stop

LEAK_TOL = 1e-6
"""Default leak: the law of the distance is then right to about its square, a draw's own distance to about itself."""
MOST_WEIGHTS = 1_500_000
"""Default budget of reduced weights: the explicit flow holds about 25 copies, 300 MB."""
WHOLE_LEVELS = 200_000
"""Weights up to which three layers grow by whole levels, so that a seed is one network whatever trains it."""
SHARE = 0.1
"""What the directions that a level leaves out may have met together, of the largest leak."""
EXPLICIT_REACH, LARGE_REACH, LARGE = 1000.0, 100.0, 20_000
"""The explicit method is chosen while lambda_max(K) T is below the first number, the second beyond so many weights."""
LARGEST_KERNEL = 1500
"""Sizes r m of the kernel up to which the exponential method is chosen: it decomposes a matrix of this size."""

SOLVERS = ("gradient_flow", "gradient_descent", "flow_explicit", "flow_exponential")


class LevelBudgetError(ImplicitBiasError, ArithmeticError):
    """The reduction would need more weights than it may have."""


def train_deep(
    problem: Problem,
    network: Network,
    solver: str,
    step_size: float,
    stop: Stop,
    points: int,
    tol: float = 1e-8,
    leak_tol: float = LEAK_TOL,
    most_weights: int = MOST_WEIGHTS,
) -> tuple[DeepState, DeepTrajectory, str]:
    """Train a deep network by a named solver; a run that leaks is started again with one more level.

    The network is the same one throughout: a level reveals more of it. Three layers reveal whole levels. More layers,
    and large ones, reveal the directions alone that the run has been seen to use (docs/depth.md section 3).

    Args:
        problem: the reparametrised problem.
        network: initial network; it is grown in place.
        solver: as of `theory.experiment.train`.
        step_size: step on the averaged loss; for the flow it only sets the unit of the iteration axis.
        stop: what ends the run.
        points: about how many samples to record.
        tol: local error of the flow.
        leak_tol: largest leak that is allowed.
        most_weights: most reduced weights, sum_l d_{l-1} d_l.

    Returns:
        The initial state, the trajectory and the name of the method used.

    Raises:
        ValueError: solver is unknown, or leak_tol is not positive.
        LevelBudgetError: the run would need more than most_weights.
        ArithmeticError: the network leaves the range of floating point, or the solver fails.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}")
    if not leak_tol > 0:
        raise ValueError(f"leak_tol must be positive, got {leak_tol}")
    reason = "what its layers lead to is not all there"
    while True:
        state = network.state()
        weights = sum(W.size for W in state.layers)
        if weights > most_weights:
            raise LevelBudgetError(
                f"{reason}; level {state.levels} of a network of depth {state.depth} has hidden layers of "
                f"{state.sizes} directions, {weights} weights, more than most_weights = {most_weights}: allow more "
                f"weights or a larger leak_tol, take fewer layers, data of lower rank (r = {problem.r}), a shorter "
                f"run, narrower layers, which close, or orthogonal inner layers"
            )
        try:
            with np.errstate(over="raise", invalid="raise"):
                return state, *_run(problem, state, solver, step_size, stop, points, tol, leak_tol)
        except LeakError as error:
            reason = str(error)
            whole = state.depth == 3 and weights <= WHOLE_LEVELS
            network.grow(None if whole else used(error.seen, SHARE * leak_tol))
        except FloatingPointError as error:
            largest = max(float(np.max(np.abs(W), initial=0.0)) for W in state.layers)
            raise ArithmeticError(
                f"a network of depth {state.depth} with entries up to {largest:.3g} leaves the range of floating "
                f"point in training ({error}): use gains nearer to 1"
            ) from None


def _run(
    problem: Problem,
    state: DeepState,
    solver: str,
    step_size: float,
    stop: Stop,
    points: int,
    tol: float,
    leak_tol: float,
) -> tuple[DeepTrajectory, str]:
    low, high = kernel_ends(problem, state.layers)
    horizon = deep_horizon(problem, state.layers, stop, low)
    times = output_times(horizon, stop.t_max, points)
    if solver == "gradient_descent":
        step = float(problem.flow_time(1, step_size))
        return deep_descent(problem, state, step_size, whole_iterations(times, step), stop, leak_tol), solver
    method = solver.removeprefix("flow_")
    if solver == "gradient_flow":
        reach = EXPLICIT_REACH if sum(W.size for W in state.layers) <= LARGE else LARGE_REACH
        easy = high * horizon <= reach or problem.r * problem.m > LARGEST_KERNEL
        method = "explicit" if easy else "exponential"
    return deep_flow(problem, state, times, stop, method, tol, leak_tol), method


def kernel_ends(problem: Problem, layers: Layers) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the tangent kernel; of a large one, bounds of them."""
    if problem.r * problem.m <= LARGEST_KERNEL:
        spectrum = np.linalg.eigvalsh(kernel_matrix(problem, layers))
        return max(float(spectrum[0]), 0.0), float(spectrum[-1])
    pairs = zip(heads(layers, problem.r), tails(layers, problem.m), strict=True)
    sigma = problem.sigma[:, None]
    return 0.0, float(sum((np.linalg.norm(sigma * P, 2) * np.linalg.norm(S, 2)) ** 2 for P, S in pairs))


def deep_horizon(problem: Problem, layers: Layers, stop: Stop, slowest: float) -> float:
    """About how long a run takes: log(initial / final loss) over the better of two rates, capped by the time limit.

    The rates are that of the kernel at initialisation, 2 `slowest`, and that of a balanced network at the solution,
    2 sigma_r^2 s^(2 - 2/L) for its smallest singular value s.
    """
    excess0 = excess_loss(problem, layers)
    final = max(stop.excess, 1e-26 * excess0)
    s = float(np.linalg.svd(problem.min_norm_coordinates, compute_uv=False)[-1])
    rate = 2 * max(slowest, float(problem.sigma[-1] ** 2 * s ** (2 - 2 / len(layers))))
    decades = np.log(max(excess0 / final, 2.0)) if final > 0 else 1.0
    return float(min(decades / rate if rate > 0 else np.inf, stop.t_max, 1e300))
