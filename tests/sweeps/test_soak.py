"""A sweep of a thousand points with one parent: nothing is lost, memory stays, and what is drawn of it stays light."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.project import Project, make_project
from tests.support.soak import health, soak

pytestmark = pytest.mark.slow

POINTS = 1000
KEPT = 12 * 1024
"""Bytes that may be kept of a point: its run has some 60 names and short strings of about 100 bytes each, and until it
ends its loss curve of 100 values and steps; half as much again for what holds them."""
LIGHT = {"figure.png": 300_000, "companion.png": 300_000, "figure.pdf": 300_000, "interactive.json": 1_000_000}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("soak") / "project")


@pytest.fixture(scope="module")
def found(project: Project) -> dict[str, Any]:
    return soak(project, POINTS)


def test_every_point_is_a_finished_child_of_one_parent(project: Project, found: dict[str, Any]) -> None:
    said = health(project.path / "mlflow.db")
    assert said["integrity"] == "ok"
    assert said["parents"] == {"FINISHED": 1}
    assert said["children"] == {"FINISHED": POINTS}
    assert said["parents of children"] == 1
    assert said["points"] == POINTS


def test_memory_stays(found: dict[str, Any]) -> None:
    """From the 200th point that is trained, through the training and the evaluation of all."""
    looks = [sample for stage in ("trajectories", "evaluations") for sample in found["samples"][stage]]
    start = next(i for i, (points, *_) in enumerate(looks) if points == 200)
    resident = [bytes_ for *_, bytes_ in looks[start:]]
    assert len(resident) == 9 + 11
    assert max(resident) - resident[0] < KEPT * POINTS


def test_what_is_drawn_stays_light(project: Project, found: dict[str, Any]) -> None:
    folder: Path = project.path / "data/smoke/08_reporting"
    assert len(pd.read_csv(folder / "width_points.csv")) == POINTS
    assert all((folder / f"width_{name}").stat().st_size < most for name, most in LIGHT.items())
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert f"all {POINTS:,} points finished" in report
    assert len(report) < 1_000_000
    assert not (folder / "width_points").exists(), "point_figures is off"
