"""Steps, time and error of the exponential integrator against conditioning and tolerance.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.conditioning

Errors are relative: of P, the largest over 60 times spread over the run; of the excess loss, the largest while it is
above 1e-24 of its start. Both against the same integrator at tolerance 1e-12, which the tests compare to other methods.
"""

import time

import numpy as np

from implicit_bias.theory.networks.two_layer import imbalance_matrix
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.exponential import exponential_steps
from implicit_bias.theory.solvers.trajectory import Step
from tests.support.oracles import conditioned_problem, gaussian_state, losses, spectrum_problem, states


def timed(problem: Problem, R0: Array, tol: float) -> tuple[list[Step], float]:
    start = time.process_time()
    return list(exponential_steps(problem, R0, tol)), time.process_time() - start


def report(name: str, problem: Problem, R0: Array, tol: float, compare: bool = True) -> None:
    steps, seconds = timed(problem, R0, tol)
    drift = max(np.linalg.norm(imbalance_matrix(s.R, problem.r) - imbalance_matrix(R0, problem.r)) for s in steps)
    drift /= max(np.sum(s.R**2) for s in steps)
    line = f"| {name} | {tol:.0e} | {len(steps)} | {seconds:.2f} | {drift:.0e} |"
    if compare:
        times = np.geomspace(1e-6, 4, 60) * steps[-1].t0
        exact, run = states(timed(problem, R0, 1e-12)[0], times), states(steps, times)
        distance = np.max(np.linalg.norm(run - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2)))
        loss = losses(problem, exact)
        seen = loss > 1e-24 * loss[0]
        off = np.max(np.abs(losses(problem, run) / loss - 1)[seen])
        line += f" {distance:.0e} | {off:.0e} |"
    else:
        line += " | |"
    print(line, flush=True)


def main() -> None:
    print("| problem | tol | steps | seconds | drift of Lambda | error of P | error of the loss |")
    print("|---|---|---|---|---|---|---|")
    spectrum = np.linalg.svd(np.random.default_rng(0).standard_normal((100, 400)), compute_uv=False)
    report("Gaussian data, r = 100, m = 1", spectrum_problem(spectrum, 1), gaussian_state(100, 1, 500), 1e-6)
    report("r = 50, m = 5", spectrum_problem(spectrum[:50], 5), gaussian_state(50, 5, 500), 1e-6)
    for cond in (1e0, 1e2, 1e4, 1e6, 1e8, 1e10):
        problem = conditioned_problem(100, 1, cond)
        report(f"r = 100, m = 1, cond {cond:.0e}", problem, gaussian_state(100, 1, 500), 1e-6)
    for tol in (1e-5, 1e-8, 1e-10):
        report("r = 100, m = 1, cond 1e+08", conditioned_problem(100, 1, 1e8), gaussian_state(100, 1, 500), tol)
    report("r = 40, m = 2, cond 1e+12", conditioned_problem(40, 2, 1e12), gaussian_state(40, 2, 200), 1e-6)
    for tol in (1e-6, 1e-10, 1e-12):
        saddle = conditioned_problem(20, 2, 1e10)
        report("r = 20, m = 2, cond 1e+10, start 1e-4", saddle, gaussian_state(20, 2, 100, 1e-4), tol, False)
    for cond in (1e1, 1e2):
        narrow = conditioned_problem(6, 4, cond)
        report(f"r = 6, m = 4, h = 2, out of reach, cond {cond:.0e}", narrow, gaussian_state(6, 4, 2), 1e-6, False)
    report("r = 200, m = 20, cond 1e+04", conditioned_problem(200, 20, 1e4), gaussian_state(200, 20, 1000), 1e-6, False)
    report("r = 1000, m = 1, cond 1e+06", conditioned_problem(1000, 1, 1e6), gaussian_state(1000, 1, 4000), 1e-6, False)


if __name__ == "__main__":
    main()
