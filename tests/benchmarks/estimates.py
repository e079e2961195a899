"""What `kedro implicit-bias check` says a run will take, and what the run takes, for ten sizes."""

import re
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.benchmarks.harness import table
from tests.support.project import Project
from tests.support.their_project import kedro_new

MB = 1e6
UNITS = {"s": 1, "min": 60, "h": 3600}
SAID = re.compile(r"the whole run: about ([\d.,]+) (s|min|h) on an idle machine, ([\d.,]+) MB on disk")
DESCENT = {"solvers": ["gradient_descent"], "stop": {"tolerance": 1.0e-6, "max_iterations": 10**7}}
ACTIVATIONS = {"figure": "activations", "activations": ["relu", "erf"], "alpha": 1.0, "sigma_u": 2.0}
DEEP = {"figure": "depth", "depths": [2, 3]}
SIZES: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {
    "4 points": ((8, 20, 1), {"widths": "30 60", "seeds": "0 1"}),
    "as init writes it": ((20, 100, 1), {}),
    "100 points": ((10, 50, 1), {"widths": "50 100 200 400", "seeds": "0:24"}),
    "r = 100": ((100, 1_000, 1), {}),
    "r = 400": ((400, 1_000, 1), {"widths": "1000 10000", "seeds": "0 1"}),
    "10 outputs": ((50, 400, 10), {"widths": "100 1000", "seeds": "0:4"}),
    "D = 100,000": ((10, 100_000, 1), {"widths": "100 1000", "seeds": "0:4"}),
    "descent": ((20, 100, 1), {"widths": "100 1000", "seeds": "0:4", **DESCENT}),
    "activations": ((20, 40, 1), {"widths": "50 200", "seeds": "0 1", **ACTIVATIONS}),
    "depth": ((10, 50, 1), {"widths": "50 200", "seeds": "0 1", **DEEP}),
}
"""Name -> n, D, m and what differs from the parameters that init writes."""


def stranger(folder: Path, shape: tuple[int, int, int], changes: dict[str, Any]) -> Project:
    """A project made by `kedro new` and init, with Gaussian tables in .csv files."""
    project = kedro_new(folder)
    rng, (n, D, m) = np.random.default_rng(0), shape
    X = rng.standard_normal((n, D)) / np.sqrt(D)
    Y = X @ rng.standard_normal((D, m)) + 0.01 * rng.standard_normal((n, m))
    for name, array in (("X", X), ("Y", Y)):
        header = ",".join(f"{name.lower()}{i}" for i in range(array.shape[1]))
        np.savetxt(project.path / f"{name}.csv", array, delimiter=",", header=header, comments="")
    base = project.path / "conf/base"
    base.joinpath("catalog.yml").write_text(
        "".join(f"{name}: {{type: pandas.CSVDataset, filepath: {name}.csv}}\n" for name in "XY")
    )
    project.kedro("implicit-bias", "init")
    file = base / "parameters_implicit_bias.yml"
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    written["implicit_bias"]["width_sweep"] |= {"workers": 1} | changes
    if "activations" in changes:
        written["implicit_bias"]["own_data"]["held_out"] = 4
    file.write_text(yaml.safe_dump(written), encoding="utf-8")
    return project


def size_of(project: Project) -> int:
    """Bytes of all files of a project."""
    return sum(path.stat().st_size for path in project.path.rglob("*") if path.is_file())


def cpu_of_children() -> float:
    """Seconds that finished child processes have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def estimated_and_taken(
    shape: tuple[int, int, int], changes: dict[str, Any]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """CPU seconds and bytes of a run, as check says beforehand and as measured."""
    with tempfile.TemporaryDirectory() as folder:
        project = stranger(Path(folder), shape, changes)
        (said,) = SAID.findall(project.kedro("implicit-bias", "check"))
        seconds, size = cpu_of_children(), size_of(project)
        project.kedro("run", "--pipelines=implicit_bias")
        taken = cpu_of_children() - seconds, float(size_of(project) - size)
    time, unit, disk = said
    return (float(time.replace(",", "")) * UNITS[unit], float(disk.replace(",", "")) * MB), taken


def estimates(quick: bool = False) -> None:
    names = list(SIZES)[: 2 if quick else None]
    table("sweep | X, Y | time said | taken | ratio | disk said | taken | ratio", map(row, names))


def row(name: str) -> tuple[str, ...]:
    """Estimated and measured time and disk of a size, with their ratios."""
    shape, changes = SIZES[name]
    (seconds, disk), (seconds_taken, disk_taken) = estimated_and_taken(shape, changes)
    n, D, m = shape
    time = f"{seconds:.0f} s", f"{seconds_taken:.0f} s", f"{seconds / seconds_taken:.2f}"
    size = f"{disk / MB:.1f} MB", f"{disk_taken / MB:.1f} MB", f"{disk / disk_taken:.2f}"
    return name, f"{n} × {D:,}, m = {m}", *time, *size
