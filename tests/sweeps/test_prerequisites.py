"""A stage that is run by itself says what it needs, and what makes that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from implicit_bias.hooks.preflight import InputHooks, RunRefused
from implicit_bias.pipeline_registry import register_pipelines
from implicit_bias.pipelines.reporting import tabulate_points
from implicit_bias.sweeps.datasets import ArrayDataset
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import NothingOfPoints, require
from implicit_bias.theory import draw_data, reparametrize
from tests.support.project import make_project
from tests.sweeps.test_compute import SWEEP, plan_of

REGISTERED = register_pipelines()


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pipeline, DataCatalog], None]:
    monkeypatch.setattr(pipelines, "_content", REGISTERED)
    monkeypatch.setattr(pipelines, "_is_data_loaded", True)  # whatever other tests have set up

    def act(pipeline: Pipeline, catalog: DataCatalog) -> None:
        InputHooks().before_pipeline_run({"env": "smoke"}, pipeline, catalog)

    return act


def files(folder: Path, *there: str) -> DataCatalog:
    names = set().union(*(each.datasets() for each in REGISTERED.values()))
    datasets = {name: ArrayDataset(filepath=str(folder / f"{name}.npz")) for name in names}
    for name in there:
        datasets[name].save({})
    return DataCatalog(datasets)


@pytest.mark.parametrize(
    ("stage", "there", "missing"),
    [
        ("training", (), ["data_generation", "initialization", "reparametrization"]),
        ("training", ("data", "problems"), ["initialization"]),
        ("reporting", ("data", "problems", "width_sweep.plan", "imbalance_sweep.plan"), ["evaluation", "training"]),
    ],
)
def test_what_is_missing_is_said_with_what_makes_it(refuse, tmp_path, stage, there, missing):
    with pytest.raises(RunRefused) as refused:
        refuse(REGISTERED[stage], files(tmp_path, *there))
    said, _, commands = str(refused.value).partition(" must be there first; what makes them: ")
    assert sorted(commands.split("; ")) == [f"kedro run --env=smoke --pipelines={maker}" for maker in missing]
    made = set().union(*(REGISTERED[maker].all_outputs() for maker in missing))
    assert set(said.split(", ")) == REGISTERED[stage].inputs() & made - set(there)


def test_a_stage_that_has_what_it_needs_is_not_refused(refuse, tmp_path):
    for name, stage in REGISTERED.items():
        refuse(stage, files(tmp_path / name, *(name for name in stage.inputs() if not name.startswith("params:"))))


def test_pipelines_of_other_projects_are_left_alone(refuse):
    theirs = Pipeline([Node(lambda problems: problems, "problems", "theirs", name="theirs")])
    refuse(theirs, DataCatalog({"problems": MemoryDataset()}))


def test_points_that_are_missing_are_counted_and_the_first_is_named():
    loaders: dict[str, Any] = dict.fromkeys("ac", dict)
    require("ac", loaders, "trajectories", "training")
    with pytest.raises(NothingOfPoints, match=r"^trajectories has nothing of 2 of 4, such as 'b': .* training,"):
        require("abcd", loaders, "trajectories", "training")


@pytest.mark.parametrize(("trained", "evaluated"), [(0, 1), (1, 0)])
def test_a_table_needs_every_point(trained, evaluated):
    X, Y, _ = draw_data(6, 20, 2, np.random.default_rng(0))
    problem, sweep = reparametrize(X, Y), Sweep(**SWEEP)
    keys = [point.key for point in sweep.points()]
    with pytest.raises(NothingOfPoints, match="nothing of 1 of 4, such as"):
        tabulate_points(
            sweep,
            plan_of(sweep, vars(problem)),
            {"line-draw=0": lambda: vars(problem)},
            dict.fromkeys(keys[1 - trained :], dict),
            dict.fromkeys(keys[1 - evaluated :], dict),
        )


@pytest.mark.slow
def test_in_a_project(tmp_path):
    """Nothing there, then all of it, then a sweep that has grown since."""
    project = make_project(tmp_path / "project")
    refused = project.run("--pipelines=reporting", check=False)
    assert "ERROR: RunRefused: data, imbalance_sweep.evaluations" in refused
    assert "kedro run --env=smoke --pipelines=evaluation" in refused
    assert "Traceback" not in refused
    assert not (project.path / "data").exists()
    project.run("--pipelines=width_sweep")
    (gone,) = project.path.glob("data/smoke/06_models/width/*width=*40-*seed=1*")
    gone.unlink()
    refused = project.run("--nodes=width_sweep.tabulate_points", check=False)
    assert "trajectories has nothing of 1 of 4, such as" in refused
    assert gone.stem in refused
    assert "Traceback" not in refused
    assert "1 of 4" not in project.run("--pipelines=width_sweep")
