"""The notebooks run from top to bottom; each ends with assertions of what it has shown."""

import subprocess
import sys

import pytest

from tests.support.project import REPOSITORY, _environment

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.py"))
KEDRO = "ignore:Accessing the 'model_fields' attribute:DeprecationWarning"  # Kedro 1.7 with Pydantic 2.11


SLOW = {"wide_and_ill_conditioned"}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in SLOW)) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_notebook_runs(path):
    text = path.read_text("utf-8")
    assert "\nassert " in text
    command = [sys.executable, "-W", "error", "-W", KEDRO, str(path)]
    environment = _environment() | {"MPLBACKEND": "agg"}
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout
