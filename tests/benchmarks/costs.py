"""What a point costs against its width, the rank and the conditioning of its data; the memory it takes."""

import subprocess
import sys

import numpy as np

from implicit_bias.theory import Problem, State, Stop, Trajectory, evaluate, train
from implicit_bias.theory.solvers.exponential import exponential_steps
from tests.benchmarks.harness import (
    conditioned,
    cpu,
    duration,
    figure_1_problem,
    interleaved,
    network,
    one_core,
    ratio,
    table,
)

ETA = 5e-3


def point(problem: Problem, h: int, seed: int = 1) -> Trajectory:
    """Sample, train to t = infinity, evaluate."""
    state = network(problem, h, "bartlett", seed)
    trajectory, _ = train(problem, state, "gradient_flow", ETA, Stop(), points=60, tol=1e-8)
    evaluate(problem, state, trajectory, h**-0.5, h**-0.5, 0.5, 0.05)
    return trajectory


def width(quick: bool = False) -> None:
    one_core()
    problem = figure_1_problem()
    widths = [500, 10_000, 10**6, 10**8, 10**10, 10**12]
    seeds = iter(range(10**6))
    point(problem, 500)
    calls = {f"{h:.0e}": (lambda h=h: point(problem, h, next(seeds))) for h in widths}
    costs = interleaved(calls, 3 if quick else 15)
    print("A point on Figure 1's data: reduced state sampled, trained to t = infinity, evaluated.\n")
    table("h | CPU time | times h = 500", ((h, duration(s), ratio(s / costs["5e+02"])) for h, s in costs.items()))


def limit(problem: Problem, state: State, tol: float) -> tuple[np.ndarray, int, float]:
    """V(inf), the steps taken and CPU seconds."""
    start = cpu()
    steps = list(exponential_steps(problem, state.R, tol))
    return steps[-1].R[problem.r :], len(steps), cpu() - start


def distance_error(problem: Problem, state: State, V: np.ndarray, exact: np.ndarray) -> float:
    """Relative error of ||U2 V^T||_F."""
    return float(abs(np.linalg.norm(state.U2 @ V.T) / np.linalg.norm(state.U2 @ exact.T) - 1))


def rank(quick: bool = False) -> None:
    one_core()
    print("The flow to t = infinity, cond 1e6, tolerance 1e-8.\n")
    rows = []
    for r, m in ((10, 1), (30, 1), (100, 1), (300, 1), (100, 20)) + (() if quick else ((1000, 1),)):
        problem = conditioned(r, 1e6, m)
        _, steps, s = limit(problem, network(problem, 5 * r), 1e-8)
        rows.append((r, m, steps, duration(s)))
    table("r | m | steps | CPU time", rows)


def conditioning(quick: bool = False) -> None:
    one_core()
    print("The flow to t = infinity, r = 100, m = 1; error of the distance against tolerance 1e-12.\n")
    rows = []
    for tol in (1e-6, 1e-8):
        found = []
        for cond in (1e1, 1e4, 1e8) if quick else (1e0, 1e1, 1e2, 1e4, 1e6, 1e8, 1e10):
            problem = conditioned(100, cond)
            state = network(problem, 500)
            runs = [limit(problem, state, tol) for _ in range(1 if quick else 3)]
            V, steps, _ = runs[0]
            error = distance_error(problem, state, V, limit(problem, state, 1e-12)[0])
            found.append((cond, steps, float(np.median([s for *_, s in runs])), error))
        base = next(s for cond, _, s, _ in found if cond == 10)
        rows += [(f"{c:.0e}", f"{tol:.0e}", n, duration(s), ratio(s / base), f"{e:.0e}") for c, n, s, e in found]
    table("cond | tolerance | steps | CPU time | times cond 10 | error of the distance", rows)


PEAK = """
import resource, sys
{work}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak / (2**20 if sys.platform == "darwin" else 1024))
"""


def memory(quick: bool = False) -> None:
    """Peak memory of whole processes."""
    load = "from tests.benchmarks import costs"
    work = {
        "NumPy and SciPy imported": "import scipy.linalg, scipy.integrate, scipy.optimize",
        "a point, h = 500": f"{load}; costs.point(costs.figure_1_problem(), 500)",
        "a point, h = 1e12": f"{load}; costs.point(costs.figure_1_problem(), 10**12)",
    }
    if not quick:
        work["a point, h = 1e12, r = 1000"] = f"{load}; costs.point(costs.conditioned(1000, 10.0), 10**12)"
    rows = []
    for name, code in work.items():
        command = [sys.executable, "-c", PEAK.format(work=code)]
        peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows.append((name, f"{float(peak):.0f}"))
    table("process | peak memory (MB)", rows)
