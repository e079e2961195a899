"""Bytes that a run will write, from the sizes of its data and the number of its points."""

from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.problem import Problem

NUMBER = 8
DATABASE = 1.4e6
"""MLflow's database before the first run, and the files of a run that are the same for every size."""
SWEEP = 0.8e6
"""Figures, table, plan and sections of a sweep, in its folder and again among the artifacts."""
POINT = 130e3
"""Files of a point and its values in MLflow, without its arrays, curves and figure."""
CURVE_POINT = 1.5e3
"""What a recorded iteration adds to the files of a point and to MLflow's database."""
FIGURE = 20e3
"""The figure of a point, in its folder and again among the artifacts."""


def data_bytes(problem: Problem, tests: int) -> float:
    """Bytes of a data set: X, Y, the test rows, shift and scale per column, and the reparametrised problem."""
    n, D, m, r = problem.n, problem.D, problem.m, problem.r
    return NUMBER * float((n + tests) * (D + m) + 2 * (D + m) + r * D + n * (r + m))


def sweep_bytes(problem: Problem, sweep: Sweep, tests: int = 0) -> float:
    """Bytes of a sweep: its points and their figures, and everything again that MLflow keeps.

    Args:
        problem: the reparametrised problem.
        sweep: the validated parameters.
        tests: number of test rows, which networks with activations are evaluated at.
    """
    points = sweep.points()
    each = POINT + sweep.curve_points * CURVE_POINT + sweep.point_figures * FIGURE
    return (
        SWEEP + len(points) * each + NUMBER * sum(sweep.kind.numbers(problem, point.width, tests) for point in points)
    )
