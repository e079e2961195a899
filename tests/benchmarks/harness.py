"""What the sections share: a clock, tables, the name of the machine, problems."""

import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import numpy as np

from implicit_bias.theory import Problem, State, draw_data, reparametrize, scaled, standard_normal

PEERS = ("torch", "jax", "diffrax")
cpu = time.process_time
"""CPU seconds of this process."""


def machine() -> str:
    """Model and cores of the CPU, versions, load."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{model}, {os.cpu_count()} cores, load {load:.1f}; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, SciPy {importlib.metadata.version('scipy')}, {blas['name']} {blas['version']}"
    )


def peers() -> str:
    """Which peers are compared with."""
    found = [f"{name} {importlib.metadata.version(name)}" for name in PEERS if installed(name)]
    missing = [name for name in PEERS if not installed(name)]
    skipped = f"; skipped, not installed (pip install -e '.[bench]'): {', '.join(missing)}" if missing else ""
    return f"Peers: {', '.join(['NumPy', 'SciPy', *found])}{skipped}"


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def one_core() -> None:
    """Hold this process and its threads to one core, so that CPU time is elapsed time on an idle core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def seconds(function: Callable[[], object]) -> float:
    start = cpu()
    function()
    return cpu() - start


def interleaved(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each function, called in turns."""
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            samples[name].append(seconds(function))
    return {name: median(values) for name, values in samples.items()}


def table(header: str, rows: Iterable[Iterable[object]]) -> None:
    """Print a Markdown table; the header's cells are separated by bars."""
    cells = [[cell.strip() for cell in header.split("|")], *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print(flush=True)


def duration(s: float, estimated: bool = False) -> str:
    """Seconds for people; "~" marks an extrapolation."""
    sign = "~" if estimated else ""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if s >= (1 if unit in ("s", "ms") else 1.5) * size:
            return f"{sign}{s / size:.3g} {unit}"
    return f"{sign}{s / 1e-6:.3g} us"


def ratio(x: float, estimated: bool = False) -> str:
    return ("~" if estimated else "") + (f"{x:,.0f}" if x >= 100 else f"{x:.2g}")


def figure_1_problem() -> Problem:
    """Data of the paper's Figure 1: n = 100, D = 400, m = 1."""
    return reparametrize(*draw_data(100, 400, 1, np.random.default_rng(0))[:2])


def conditioned(r: int, cond: float, m: int = 1, D: int | None = None) -> Problem:
    """A problem of rank r = n whose Sigma_x has a geometric spectrum from 1 down to 1 / cond."""
    rng = np.random.default_rng(0)
    return reparametrize(*draw_data(r, D or 2 * r, m, rng, "geometric", cond)[:2], rank_rtol=0.0)


def network(problem: Problem, h: int, sampler: str = "bartlett", seed: int = 1) -> State:
    """A network of width h with entries N(0, 1/h)."""
    return scaled(standard_normal(problem, h, np.random.default_rng(seed), sampler), h**-0.5, h**-0.5)
