"""Points are computed by the code that their fingerprints name, or not at all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from implicit_bias.sweeps.handover import Record, failure_of
from implicit_bias.sweeps.parameters import Engine
from implicit_bias.sweeps.points import run_points

MODULE = "stage_of_a_test"
CODE = "def compute(number):\n    return {{'metric/value': {factor} * number}}\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that worker processes can import, too; they start and end with the test."""
    path = tmp_path / f"{MODULE}.py"
    path.write_text(CODE.format(factor=1))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    get_reusable_executor().shutdown(wait=True)
    yield path
    get_reusable_executor().shutdown(wait=True)
    sys.modules.pop(MODULE, None)


def run(workers: int) -> dict[str, Record]:
    from stage_of_a_test import compute

    tasks = ((str(number), (number,)) for number in range(4))
    return dict(run_points(compute, tasks, 4, Engine(workers=workers), "compute"))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_code_computes(module: Path, workers: int) -> None:
    assert run(workers) == {str(number): {"metric/value": number} for number in range(4)}


def test_workers_that_have_imported_other_code_compute_nothing(module: Path) -> None:
    run(1)
    module.write_text(CODE.format(factor=2))
    records = run(2)
    assert len(records) == 4
    for record in records.values():
        failure = failure_of(record)
        assert failure is not None
        assert "other code" in str(failure)


def test_workers_import_no_more_than_they_compute_with() -> None:
    code = (
        "import sys\n"
        "from implicit_bias.pipelines import evaluation, initialization, training\n"
        "from implicit_bias.sweeps.fingerprint import reached, sources\n"
        "for stage in (evaluation, initialization, training):\n"
        "    for name in reached(stage.__name__):\n"
        "        __import__(name)\n"
        "    sources(reached(stage.__name__))\n"
        "print(*sorted({'matplotlib', 'mlflow', 'pandas', 'plotly', 'scipy.stats', 'sqlalchemy'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
