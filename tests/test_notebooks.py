"""The notebooks run from top to bottom, and end where the theory says."""

import runpy

import pytest

from tests.project import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, capsys):
    runpy.run_path(str(path))
    assert capsys.readouterr().out


def test_tour_ends_at_the_min_norm_solution():
    names = runpy.run_path(str(REPOSITORY / "notebooks" / "tour.py"))
    assert names["result"].metrics["distance"] < 1e-8
