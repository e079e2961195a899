"""Somebody else's Kedro project, as `kedro new` makes it, with tables of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tests.support.project import Project

PACKAGE = "their_study"
TINY = "widths: 30 60\n    seeds: 0 1\n    workers: 1\n    curve_points: 12"
"""Parameters of a sweep of four points."""


def kedro_new(folder: Path) -> Project:
    """Make a project named Their Study in a folder, without example pipelines."""
    answers = ("--name=Their Study", "--tools=none", "--example=n", "--telemetry=no")
    result = subprocess.run(
        [sys.executable, "-m", "kedro", "new", *answers],
        cwd=folder,
        env=os.environ | {"DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return Project(folder / "their-study")


def tables(n: int = 8, D: int = 20, m: int = 1, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inputs x0, x1, ... (n, D) and targets y0, ... (n, m)."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.standard_normal((n, D))).add_prefix("x")
    return X, pd.DataFrame(X.to_numpy()[:, :m] + rng.standard_normal((n, m))).add_prefix("y")


def make_tiny(parameters: Path) -> None:
    """Leave four points of the sweep that init has written."""
    text = parameters.read_text()
    before, _, rest = text.partition("widths:")
    after = rest[rest.index("alpha:") :]
    parameters.write_text(f"{before}{TINY}\n    {after}")
