"""Deep networks: what a descent step, a width and a condition number cost, in CPU seconds.

python -m tests.benchmarks.depth
"""

from collections.abc import Callable
from time import process_time

import numpy as np

from implicit_bias.theory.networks.deep import DeepDescent, gaussian_deep, reduce_deep, train_deep
from implicit_bias.theory.networks.deep.experiment import LEAK_TOL
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.oracles import conditioned_problem
from tests.theory.networks.deep.references import Full, dense_layers, total

STEP = 2 * 5e-3 / 100


def figure_1_data(rng: np.random.Generator):
    """X (100, 400), Y (100, 1) as in the paper's Figure 1."""
    X = rng.standard_normal((100, 400)) / 20
    return X, X @ rng.standard_normal((400, 1)) / 20 + 0.01 * rng.standard_normal((100, 1))


def seconds(run: Callable[[], object]) -> float:
    """CPU time of a call."""
    start = process_time()
    run()
    return process_time() - start


def descent_steps() -> None:
    """A reduced step at h = 10,000; both kinds of step, and how far apart they are, at h = 2,000."""
    X, Y = figure_1_data(np.random.default_rng(0))
    problem = reparametrize(X, Y)
    state = gaussian_deep(problem, 3, 10_000, np.random.default_rng(1), levels=6).state()
    descent = DeepDescent(problem, state.layers, STEP)
    descent.run(50, 0.0)
    print(f"reduced step, L = 3, h = 10,000: {seconds(lambda: descent.run(500, 0.0)) / 500 * 1e3:.3f} ms")
    full = Full(X, Y, dense_layers(np.random.default_rng(2), 400, (2000, 2000), 1))
    weights: list[list[np.ndarray]] = []
    cost = seconds(lambda: weights.append(full.descent(STEP, 10))) / 10
    small = DeepDescent(problem, reduce_deep(problem, full.weights, 6).layers, STEP)
    small.run(10, 0.0)
    A, *rest = small.layers
    gap = np.max(np.abs(problem.Phi1.T @ total(weights[0]) - A @ total(rest)))
    print(f"whole step, L = 3, h = 2,000: {cost * 1e3:.0f} ms; products after 10 steps differ by {gap:.1e}")


def widths() -> None:
    """One training at two widths, the same levels."""
    problem = reparametrize(*figure_1_data(np.random.default_rng(0)))
    stop = Stop(excess=1e-8 * problem.n / 2)
    for h in (10**3, 10**12):
        network = gaussian_deep(problem, 3, h, np.random.default_rng(1), levels=5)
        cost = seconds(lambda network=network: train_deep(problem, network, "gradient_flow", 5e-3, stop, 10))
        print(f"L = 3, h = {h:.0e}: {cost:.2f} s, {network.levels} levels, leak_tol {LEAK_TOL:g}")


def conditioning() -> None:
    """The exponential flow to t = infinity at two condition numbers of Sigma_x."""
    for cond in (10, 1e6):
        problem = conditioned_problem(100, 1, cond)
        network = gaussian_deep(problem, 3, 10**4, np.random.default_rng(1), levels=5)
        cost = seconds(
            lambda problem=problem, network=network: train_deep(
                problem, network, "flow_exponential", 5e-3, Stop(), 2, 1e-6, 1e-4
            )
        )
        print(f"L = 3, cond(Sigma_x) = {cond:g}: {cost:.2f} s")


if __name__ == "__main__":
    descent_steps()
    widths()
    conditioning()
