"""A store of its own for each test of tracking, a sweep to write to it, and a pipeline that is tracked there."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.io.core import generate_timestamp
from kedro.pipeline import Pipeline, node, pipeline
from kedro.runner import SequentialRunner
from mlflow import MlflowClient
from mlflow.entities import Run

from implicit_bias.hooks.tracking import TrackingHooks
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.sweep import TrackedSweep

PNG = b"\x89PNG not really"
KEYS = ("width=00100-seed=0", "width=00100-seed=1", "width=00500-seed=0")


def plan(**changes: Any) -> dict[str, Any]:
    points = {
        key: {"name": key.replace("-", ", "), "params": {"width": int(key[6:11]), "seed": int(key[-1])}} for key in KEYS
    }
    entries = {
        "sweep": "width",
        "experiment": "tests",
        "name": "width sweep",
        "description": "**Three** points",
        "params": {"solver": "flow", "tolerance": 1e-6},
        "points": points,
        "datasets": [{"name": "line", "digest": "0123abcd", "source": "data/line.csv", "profile": {"n": 5}}],
    }
    return entries | changes


def trajectory(**changes: Any) -> dict[str, Any]:
    iteration = np.array([0, 1, 10, 100])
    entries = {"curve/iteration": iteration, "curve/loss": 1 / (1 + iteration), "metric/seconds": 2.0, "param/rank": 3}
    return entries | changes


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: it takes MLflow seconds to make one."""
    folder = tmp_path_factory.mktemp("store")
    Store("sqlite:///mlflow.db", folder)
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path: Path, fresh_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my project"
    folder.mkdir()
    shutil.copy(fresh_database, folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def store(project: Path) -> Store:
    return Store("sqlite:///mlflow.db", project)


def runs_of(project: Path, uri: str | None = None) -> tuple[list[Run], dict[str, list[Run]]]:
    """The parents of a store, newest first, and the children of each."""
    client = MlflowClient(uri or f"sqlite:///{project}/mlflow.db")
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = list(client.search_runs(experiments, order_by=["attributes.start_time DESC"]))
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = {
        parent.info.run_id: sorted(
            (run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id),
            key=lambda run: run.data.tags["implicit_bias.point"],
        )
        for parent in parents
    }
    assert len(runs) == len(parents) + sum(map(len, children.values()))
    return parents, children


def read(store: Store, run_id: str) -> Run:
    return store.client.get_run(run_id)


def history(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in store.client.get_metric_history(run_id, name)]


def complete(sweep: TrackedSweep, keys: tuple[str, ...] = KEYS) -> None:
    for key in keys:
        sweep.log(key, "trajectory", trajectory())
        sweep.log(key, "evaluation", {"metric/distance": 0.5})


def marked(role: str, **more: Any) -> dict[str, Any]:
    return {"implicit_bias": {"role": role, **more}}


@pytest.fixture
def conf_catalog(project: Path) -> dict[str, dict[str, Any]]:
    partitioned = {"type": "partitions.PartitionedDataset", "filename_suffix": ".npz"}
    arrays = {**partitioned, "dataset": "implicit_bias.sweeps.datasets.ArrayDataset"}
    images = {**partitioned, "dataset": "implicit_bias.sweeps.datasets.BytesDataset", "filename_suffix": ".png"}
    text = {"type": "text.TextDataset"}
    return {
        "{sweep}_sweep.plan": {
            "type": "json.JSONDataset",
            "filepath": f"{project}/data/{{sweep}}_plan.json",
            "metadata": marked("plan", sweep="{sweep}"),
        },
        "{sweep}_sweep.trajectories": {
            **arrays,
            "path": f"{project}/data/{{sweep}}/a",
            "metadata": marked("trajectory", sweep="{sweep}"),
        },
        "{sweep}_sweep.evaluations": {
            **arrays,
            "path": f"{project}/data/{{sweep}}/b",
            "metadata": marked("evaluation", sweep="{sweep}"),
        },
        "{sweep}_sweep.point_figures": {
            **images,
            "path": f"{project}/data/{{sweep}}/c",
            "metadata": marked("point_figure", sweep="{sweep}", artifact="curves.png"),
        },
        "{sweep}_sweep.summary": {"type": "MemoryDataset", "metadata": marked("summary", sweep="{sweep}")},
        "{sweep}_sweep.figure": {
            **text,
            "filepath": f"{project}/data/{{sweep}}_figure.svg",
            "versioned": True,
            "metadata": marked("figure", sweep="{sweep}"),
        },
        "report": {**text, "filepath": f"{project}/data/report.md", "metadata": marked("report", artifact="all.md")},
    }


def steps(sweep: str, train: Callable[..., Any] | None = None) -> Pipeline:
    def default_train(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for key in planned["points"]:
            yield {key: trajectory()}

    def evaluate(trajectories: dict[str, Any]) -> dict[str, Any]:
        return {key: {"metric/distance": float(load()["curve/loss"][-1])} for key, load in trajectories.items()}

    def planned() -> dict[str, Any]:
        return {name: value for name, value in plan().items() if name not in ("sweep", "experiment")}

    nodes = [
        node(planned, None, "plan", name="plan"),
        node(train or default_train, "plan", "trajectories", name="train"),
        node(evaluate, "trajectories", "evaluations", name="evaluate"),
        node(lambda points: dict.fromkeys(points, PNG), "evaluations", "point_figures", name="draw_points"),
        node(lambda points: {"metric/count": len(points)}, "evaluations", "summary", name="summarise"),
        node(lambda points: f"<svg>{sweep}</svg>", "evaluations", "figure", name="draw"),
    ]
    return pipeline(nodes, namespace=f"{sweep}_sweep")


def run(
    project: Path,
    conf_catalog: dict[str, Any],
    steps_of_run: Pipeline,
    hooks: TrackingHooks | None = None,
    runner: Any = None,
    settings: dict[str, Any] | None = None,
) -> None:
    """What a session does around a runner, without its project."""
    manager = _create_hook_manager()
    manager.register(hooks or TrackingHooks())
    catalog = DataCatalog.from_config(conf_catalog, save_version=generate_timestamp())
    params = {"project_path": str(project), "env": None}
    parameters = {"params:tracking": settings} if settings else {}
    manager.hook.after_catalog_created(
        catalog=catalog,
        conf_catalog=conf_catalog,
        conf_creds={},
        parameters=parameters,
        save_version="",
        load_versions={},
    )
    manager.hook.before_pipeline_run(run_params=params, pipeline=steps_of_run, catalog=catalog)
    try:
        result = (runner or SequentialRunner()).run(steps_of_run, catalog, manager)
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, run_params=params, pipeline=steps_of_run, catalog=catalog)
        raise
    manager.hook.after_pipeline_run(run_params=params, run_result=result, pipeline=steps_of_run, catalog=catalog)
