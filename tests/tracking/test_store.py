"""Tracking, read back from a real store: what each role writes, how runs end, and how little other projects see."""

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.io.core import generate_timestamp
from kedro.pipeline import Pipeline, node, pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from mlflow import MlflowClient
from mlflow.entities import Run

from implicit_bias.hooks.tracking import TrackingHooks
from implicit_bias.tracking.provenance import fingerprint, is_dead, process_tag
from implicit_bias.tracking.records import TrackingError, on_common_steps
from implicit_bias.tracking.runs import WORKFLOW
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.sweep import Sweep
from tests.support.servers import mlflow_server

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
            key=lambda run: run.data.tags["point"],
        )
        for parent in parents
    }
    assert len(runs) == len(parents) + sum(map(len, children.values()))
    return parents, children


def read(store: Store, run_id: str) -> Run:
    return store.client.get_run(run_id)


def history(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in store.client.get_metric_history(run_id, name)]


def complete(sweep: Sweep, keys: tuple[str, ...] = KEYS) -> None:
    for key in keys:
        sweep.log(key, "trajectory", trajectory())
        sweep.log(key, "evaluation", {"metric/distance": 0.5})


# What is written


def test_the_parent_says_what_is_computed(store: Store, project: Path) -> None:
    sweep = store.open(plan())
    run = read(store, sweep.run_id)
    assert run.info.status == "RUNNING"
    assert run.info.run_name == "width sweep"
    assert run.data.params == {"solver": "flow", "tolerance": "1e-06"}
    tags = run.data.tags
    assert tags["sweep"] == "width"
    assert tags["plan"] == fingerprint(plan())
    assert tags["mlflow.note.content"] == "**Three** points"
    assert tags["version.numpy"] == np.__version__
    assert tags["mlflow.user"]
    assert not is_dead(tags["process"])
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("line", "0123abcd")
    assert json.loads(given.dataset.source) == {"uri": "data/line.csv"}
    assert json.loads(given.dataset.profile) == {"n": 5}
    assert store.client.get_experiment_by_name("tests").artifact_location == (project / "mlruns").as_uri()


def test_a_child_holds_its_point(store: Store) -> None:
    sweep = store.open(plan())
    key = KEYS[2]
    sweep.log(key, "trajectory", trajectory())
    child = sweep.points[key]
    assert read(store, child.run_id).info.status == "RUNNING"
    sweep.point_file(key, "curves.png", PNG)
    sweep.log(key, "evaluation", {"metric/distance": np.float64(0.25), "param/rank": 3, "param/case": "a", "other": 1})
    run = read(store, child.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "width=00500, seed=0"
    assert run.data.params == {"width": "500", "seed": "0", "rank": "3", "case": "a"}
    assert run.data.metrics == {"seconds": 2.0, "curve/loss": 1 / 101, "distance": 0.25}
    assert run.data.tags["point"] == key
    assert run.data.tags["sweep"] == "width"
    assert run.data.tags["mlflow.parentRunId"] == sweep.run_id
    assert run.info.end_time - run.info.start_time >= 2000
    assert history(store, child.run_id, "curve/loss") == [(0, 1.0), (1, 0.5), (10, 1 / 11), (100, 1 / 101)]
    (artifact,) = store.client.list_artifacts(child.run_id)
    assert artifact.path == "curves.png"
    assert Path(store.client.download_artifacts(child.run_id, "curves.png")).read_bytes() == PNG


def test_nothing_is_said_twice(store: Store) -> None:
    sweep = store.open(plan())
    for _ in range(2):
        complete(sweep)
        sweep.point_file(KEYS[0], "figure.png", PNG)
        sweep.summary("summary", {"metric/slope": -0.5})
        sweep.fail(KEYS[0], "too late")
    found = store.client.search_runs([sweep.experiment_id])
    assert len(found) == 1 + len(KEYS)
    assert len(history(store, sweep.points[KEYS[0]].run_id, "curve/loss")) == 4
    assert len(history(store, sweep.run_id, "slope")) == 1
    assert read(store, sweep.points[KEYS[0]].run_id).info.status == "FINISHED"


def test_values_that_cannot_be_drawn_are_left_out_and_named(store: Store) -> None:
    sweep = store.open(plan())
    iteration = np.array([0.0, 0.4, 1.0, 2.0, 3.0, np.inf, 1e30])
    loss = np.array([8.0, 7.0, np.nan, np.inf, 1.0, 0.5, 0.25])
    metrics = {"metric/bound": np.inf, "metric/rate": np.nan, "metric/distance": 1.0}
    sweep.log(KEYS[0], "trajectory", {"curve/iteration": iteration, "curve/loss": loss, **metrics})
    sweep.log(KEYS[0], "evaluation", {})
    run = read(store, sweep.points[KEYS[0]].run_id)
    assert history(store, run.info.run_id, "curve/loss") == [(0, 8.0), (3, 1.0)]
    assert run.data.metrics == {"curve/loss": 1.0, "distance": 1.0}
    assert run.data.tags["non_finite.trajectory"] == "bound, rate, curve/loss"


def test_curves_longer_than_a_batch(store: Store) -> None:
    sweep = store.open(plan())
    curves = {f"curve/{name}": np.arange(1500.0) for name in "abc"}
    params = {f"param/p{i:03}": "x" * 10_000 for i in range(150)}
    sweep.log(KEYS[0], "trajectory", {**curves, **params})
    sweep.log(KEYS[0], "evaluation", {})
    run_id = sweep.points[KEYS[0]].run_id
    for name in "abc":
        assert history(store, run_id, f"curve/{name}") == [(i, float(i)) for i in range(1500)]
    written = read(store, run_id).data.params
    assert len(written) == 152
    assert set(map(len, written.values())) >= {500}  # what every server takes; the rest is in files


def record_until(end: float) -> dict[str, Any]:
    at = np.linspace(0, end, 400)
    return {"curve/iteration": at, "curve/loss": np.exp(-at / 100), "curve/u2v": at - 1, "metric/x": 1.0}


def test_curves_of_different_runs_share_their_steps() -> None:
    first, second = (on_common_steps(record_until(end), 12, 1234) for end in (900.4, 1234.0))
    assert first["curve/iteration"].tolist() == second["curve/iteration"].tolist()
    assert first["curve/iteration"][[0, -1]].tolist() == [0, 1234]
    for curve, end in ((first, 900.4), (second, 1234.0)):
        steps = np.minimum(curve["curve/iteration"], end)
        np.testing.assert_allclose(curve["curve/loss"], np.exp(-steps / 100), rtol=1e-9)
        np.testing.assert_allclose(curve["curve/u2v"], steps - 1, rtol=1e-9, atol=1e-9)


def test_early_decades_have_fewer_steps_and_no_curve_more_than_a_person_sees() -> None:
    for end in (1, 7, 300, 1234.0, 5e4, 1e7):
        steps = on_common_steps(record_until(end), 6, end)["curve/iteration"]
        assert steps[0] == 0
        assert steps[-1] == np.rint(end)
        assert steps.size <= 2 + 2 * 6 + 2 * max(np.ceil(np.log10(end)) - 2, 0) + 2
        late = steps[(steps >= end / 100) & (steps > 10)]
        assert np.all(late[1:] / late[:-1] < 10 ** (1 / 6) * 1.1)


def test_a_point_that_stops_early_is_held_until_the_last(store: Store) -> None:
    sweep = store.open(plan(steps_per_decade=4))
    ends = dict(zip(KEYS, (900.4, 1234.0, 40.0), strict=True))
    for key, end in ends.items():
        sweep.log(key, "trajectory", record_until(end))
    for key in KEYS[:2]:
        sweep.log(key, "evaluation", {"curve/iteration": np.array([0, ends[key]]), "curve/distance": np.array([2, 1])})
    sweep.close()
    histories = [dict(history(store, sweep.points[key].run_id, "curve/loss")) for key in KEYS]
    assert set(histories[0]) == set(histories[1]) == set(histories[2])
    assert max(histories[0]) == 1234
    for steps, end in zip(histories, ends.values(), strict=True):
        for step, loss in steps.items():
            assert loss == pytest.approx(np.exp(-min(step, end) / 100))
    distances = [dict(history(store, sweep.points[key].run_id, "curve/distance")) for key in KEYS[:2]]
    assert set(distances[0]) == set(distances[1])
    assert [each[1234] for each in distances] == [1, 1]


def test_a_repetition_says_what_changed(store: Store) -> None:
    runs = [read(store, store.open(each).run_id) for each in (plan(), plan(), plan(params={"solver": "descent"}))]
    assert [run.info.run_name for run in runs] == ["width sweep", "width sweep #2", "width sweep #3"]
    notes = [run.data.tags["mlflow.note.content"] for run in runs]
    assert notes[1].endswith("A repetition of width sweep.")
    assert notes[2].endswith("Since width sweep #2: solver flow → descent.")


def test_runs_of_another_title_have_numbers_of_their_own(store: Store) -> None:
    titles = ("wide", "width sweep", "wide", "width sweep (all)", "width sweep")
    names = [read(store, store.open(plan(name=title)).run_id).info.run_name for title in titles]
    assert names == ["wide", "width sweep", "wide #2", "width sweep (all)", "width sweep #2"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"metric/x": np.zeros(2)}, "metric/x must be a number"),
        ({"curve/x": np.zeros((2, 2))}, "curve/x must be as long as"),
        ({"curve/x": np.zeros(3), "curve/iteration": np.arange(4)}, "curve/x must be as long as"),
        ({"param/width": 101}, "param 'width' is 101, but was 100 before"),
    ],
)
def test_records_that_make_no_sense_are_refused(store: Store, record: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrackingError, match=reason):
        store.open(plan()).log(KEYS[0], "trajectory", record)


def test_a_point_outside_the_plan_is_refused(store: Store) -> None:
    with pytest.raises(TrackingError, match="'width=1' is not in the plan of sweep 'width'"):
        store.open(plan()).log("width=1", "trajectory", trajectory())


def test_files_of_the_parent(store: Store, tmp_path: Path) -> None:
    sweep = store.open(plan())
    folder = tmp_path / "plots"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(b"pdf")
    sweep.file(folder / "a.pdf", "a.pdf")
    sweep.file(folder / "a.pdf", "figures/renamed.pdf")
    sweep.file(folder, "plots")
    for name in ("a.pdf", "figures/renamed.pdf", "plots/a.pdf"):
        assert Path(store.client.download_artifacts(sweep.run_id, name)).read_bytes() == b"pdf"


def test_the_commit_is_noted(store: Store, project: Path) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert "mlflow.source.git.commit" not in read(store, store.open(plan()).run_id).data.tags
    (project / "tracked").write_text("1")
    subprocess.run([*git, "add", "tracked"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for content, dirty in [("1", "false"), ("2", "true")]:
        (project / "tracked").write_text(content)
        tags = read(store, store.open(plan()).run_id).data.tags
        assert (tags["mlflow.source.git.commit"], tags["git.dirty"]) == (commit, dirty)


def test_the_fingerprint_is_of_what_is_computed() -> None:
    renamed = plan(name="other", description="", points={k: {**p, "name": "x"} for k, p in plan()["points"].items()})
    assert fingerprint(renamed) == fingerprint(plan())
    assert fingerprint(json.loads(json.dumps(plan()))) == fingerprint(plan())
    for change in ({"params": {}}, {"datasets": []}, {"sweep": "x"}, {"points": {}}):
        assert fingerprint(plan(**change)) != fingerprint(plan())


# How runs end


def test_a_sweep_is_finished_when_all_its_points_are(store: Store) -> None:
    sweep = store.open(plan())
    complete(sweep, KEYS[:2])
    assert sweep.missing() == [KEYS[2]]
    complete(sweep, KEYS[2:])
    assert sweep.close() == "FINISHED"
    run = read(store, sweep.run_id)
    assert run.info.status == "FINISHED"
    assert not {"missing", "error"} & run.data.tags.keys()
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**Three** points\n\n[All points](#/experiments/")
    assert "[Side by side](#/compare-runs?runs=" in note


def test_missing_points_fail_the_sweep(store: Store) -> None:
    sweep = store.open(plan())
    complete(sweep, KEYS[:1])
    sweep.log(KEYS[1], "trajectory", trajectory())
    sweep.fail(KEYS[2], "ValueError: diverged\nTraceback")
    assert sweep.close() == "FAILED"
    run = read(store, sweep.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["missing"] == "2 of 3"
    finished, unfinished, failed = (read(store, sweep.points[key].run_id) for key in KEYS)
    assert finished.info.status == "FINISHED"
    assert unfinished.info.status == "FAILED"
    assert unfinished.data.tags["error"] == "the run ended before this point"
    assert failed.info.status == "FAILED"
    assert failed.data.tags["error"] == "ValueError: diverged"
    assert failed.data.params == {"width": "500", "seed": "0"}


def test_runs_of_dead_processes_are_repaired(store: Store) -> None:
    host = socket.gethostname()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    abandoned = store.open(plan())
    abandoned.log(KEYS[0], "trajectory", trajectory())
    foreign, alive = store.open(plan()), store.open(plan())
    store.client.set_tag(abandoned.run_id, "process", f"{host}:{dead.pid}:12345")
    store.client.set_tag(foreign.run_id, "process", f"not-{host}:{dead.pid}:12345")
    again = Store(store.uri, store.project).open(plan())
    assert [read(store, sweep.run_id).info.status for sweep in (abandoned, foreign, alive, again)] == [
        "KILLED",
        "RUNNING",
        "RUNNING",
        "RUNNING",
    ]
    child = read(store, abandoned.points[KEYS[0]].run_id)
    assert child.info.status == "KILLED"
    assert read(store, abandoned.run_id).info.end_time >= child.info.start_time


def test_an_unfinished_sweep_is_continued(store: Store) -> None:
    """Exactly one finished child a point; what was given before is not given twice."""
    first = store.open(plan())
    complete(first, KEYS[:1])
    first.log(KEYS[1], "trajectory", trajectory())
    first.fail(KEYS[2], "MemoryError")
    assert first.close("KILLED") == "KILLED"
    again = store.open(plan())
    assert again.run_id == first.run_id
    assert again.missing() == list(KEYS[1:])
    finished = read(store, again.points[KEYS[0]].run_id)
    complete(again)
    again.file(store.project / "mlflow.db", "store.db")
    assert again.close() == "FINISHED"
    (parent,), children = runs_of(store.project)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags.keys().isdisjoint({"error", "missing"})
    assert [child.data.tags["point"] for child in children[parent.info.run_id]] == sorted(KEYS)
    for child in children[parent.info.run_id]:
        assert child.info.status == "FINISHED"
        assert "error" not in child.data.tags
        assert [value for _, value in history(store, child.info.run_id, "distance")] == [0.5]
        assert len(history(store, child.info.run_id, "curve/loss")) == 4
    assert read(store, finished.info.run_id).info.end_time == finished.info.end_time


def test_a_continued_sweep_has_the_summary_of_its_end(store: Store) -> None:
    first = store.open(plan())
    complete(first, KEYS[:2])
    first.fail(KEYS[2], "MemoryError")
    first.summary("summary", {"metric/failed": 1, "metric/slope": -0.5, "curve/mean": [4.0, 2.0]})
    assert first.close() == "FAILED"
    again = store.open(plan())
    assert again.run_id == first.run_id
    complete(again)
    again.summary("summary", {"metric/failed": 0, "metric/slope": -0.5, "curve/mean": [4.0, 2.0]})
    again.close()
    assert read(store, again.run_id).data.metrics == {"failed": 0, "slope": -0.5, "curve/mean": 2.0}
    assert history(store, again.run_id, "slope") == [(0, -0.5)]
    assert history(store, again.run_id, "curve/mean") == [(0, 4.0), (1, 2.0)]


@pytest.mark.parametrize(
    "change",
    [{"params": {"solver": "descent"}}, {"numerics": "2"}, {"datasets": []}, {"folder": "/elsewhere"}, {"fresh": True}],
)
def test_another_plan_code_or_folder_starts_another_run(store: Store, change: dict[str, Any]) -> None:
    first = store.open(plan())
    first.close("KILLED")
    assert store.open(plan(**change)).run_id != first.run_id


def test_a_finished_sweep_and_a_living_one_are_not_continued(store: Store) -> None:
    first = store.open(plan())
    assert store.open(plan()).run_id != first.run_id
    finished = store.open(plan())
    complete(finished)
    finished.close()
    assert store.open(plan()).run_id not in (first.run_id, finished.run_id)


def test_a_process_with_a_recycled_number_is_dead() -> None:
    assert not is_dead(process_tag())
    assert is_dead(process_tag() + "1")


# Where it is written


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://somebody:secret@127.0.0.1:9", "refused"),
        ("file:./mlruns", ""),
        ("sqlite:////proc/nowhere/mlflow.db", ""),
        ("sqlite:///broken.db", "not a database"),
        ("nonsense://x", ""),
    ],
)
def test_an_unusable_store_is_said_at_once(
    project: Path, uri: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits: MLflow would try an unreachable store again and again, with growing pauses."""
    me, sleep, pauses = threading.current_thread(), time.sleep, list[float]()
    monkeypatch.setattr(time, "sleep", lambda s: pauses.append(s) if threading.current_thread() is me else sleep(s))
    (project / "broken.db").write_text("This is not what you are looking for, by a long way.")
    environment = dict(os.environ)
    with pytest.raises(TrackingError, match=f"cannot be used: .*{reason}") as caught:
        Store(uri, project)
    assert pauses == []
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert dict(os.environ) == environment


def test_a_deleted_experiment_is_named(store: Store) -> None:
    sweep = store.open(plan())
    store.client.delete_experiment(sweep.experiment_id)
    with pytest.raises(TrackingError, match="'tests' is deleted: restore it with"):
        store.open(plan())


def test_links_lead_to_the_points(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"width={width:05}-seed={seed}" for width in range(100, 2100, 100) for seed in range(5)]
    points = {key: {"params": {}} for key in keys}
    sweep = store.open(plan(points=points))
    for key in keys:
        sweep.points[key] = type("Point", (), {"run_id": key})()
    everything, some = store.links(sweep)
    page = f"http://127.0.0.1:5000/#/experiments/{sweep.experiment_id}/runs?{WORKFLOW}"
    assert everything.startswith(f"{page}&searchFilter=tags")
    assert sweep.run_id in everything
    assert " " not in some
    assert some.endswith(f"&experiments=%5B%22{sweep.experiment_id}%22%5D&{WORKFLOW}")
    assert re.findall(r"width%3D(\d+)-seed%3D(\d)", some) == [(f"{width:05}", "0") for width in range(100, 2100, 200)]
    monkeypatch.chdir("/")
    assert store.ui_command() == f"mlflow ui --backend-store-uri '{store.uri}'"
    monkeypatch.chdir(store.project)
    assert store.ui_command() == "mlflow ui --backend-store-uri sqlite:///mlflow.db"


# As hooks of a pipeline


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


@pytest.mark.filterwarnings("ignore:One or more dataset names contain:UserWarning")
@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner])
def test_a_run_of_two_sweeps(
    project: Path, conf_catalog: dict[str, Any], caplog: pytest.LogCaptureFixture, runner: type
) -> None:
    figures = {"a": "width_sweep.figure", "b": "alpha_sweep.figure"}
    report = pipeline([node(lambda a, b: "# Report", ["a", "b"], "report")], inputs=figures)
    with caplog.at_level(logging.INFO):
        run(project, conf_catalog, steps("width") + steps("alpha") + report, runner=runner())
    parents, children = runs_of(project)
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    assert {parent.data.tags["sweep"] for parent in parents} == {"width", "alpha"}
    for parent in parents:
        run_id, sweep = parent.info.run_id, parent.data.tags["sweep"]
        assert parent.info.status == "FINISHED"
        assert parent.data.metrics == {"count": 3.0}
        assert [artifact.path for artifact in client.list_artifacts(run_id)] == ["all.md", f"{sweep}_figure.svg"]
        assert Path(client.download_artifacts(run_id, f"{sweep}_figure.svg")).read_text() == f"<svg>{sweep}</svg>"
        assert [child.data.tags["point"] for child in children[parent.info.run_id]] == list(KEYS)
        for child in children[parent.info.run_id]:
            assert child.info.status == "FINISHED"
            assert child.data.metrics["distance"] == 1 / 101
            assert [artifact.path for artifact in client.list_artifacts(child.info.run_id)] == ["curves.png"]
    assert caplog.text.count("MLflow: width sweep FINISHED, 3 of 3 points") == 2
    assert "/#/compare-runs?runs=" in caplog.text
    assert "mlflow ui --backend-store-uri" in caplog.text
    assert "alembic" not in caplog.text
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_points_that_fail_do_not_take_the_others_with_them(project: Path, conf_catalog: dict[str, Any]) -> None:
    def train(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for key in planned["points"]:
            yield {key: {"error": "FloatingPointError: diverged"} if key == KEYS[1] else trajectory()}

    def evaluate(trajectories: dict[str, Any]) -> dict[str, Any]:
        return {key: {"metric/distance": 1.0} for key, load in trajectories.items() if "error" not in load()}

    nodes = [*steps("width", train).only_nodes("width_sweep.plan", "width_sweep.train").nodes]
    nodes.append(node(evaluate, "width_sweep.trajectories", "width_sweep.evaluations", namespace="width_sweep"))
    run(project, conf_catalog, pipeline(nodes))
    (parent,), children = runs_of(project)
    assert parent.info.status == "FAILED"
    assert parent.data.tags["missing"] == "1 of 3"
    statuses = [child.info.status for child in children[parent.info.run_id]]
    assert statuses == ["FINISHED", "FAILED", "FINISHED"]
    assert children[parent.info.run_id][1].data.tags["error"] == "FloatingPointError: diverged"


def test_stages_run_one_by_one_are_said_to_be_unfinished_until_the_last(
    project: Path, conf_catalog: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    stages = steps("width")
    first = stages.only_nodes("width_sweep.plan", "width_sweep.train")
    with caplog.at_level(logging.INFO):
        run(project, conf_catalog, first)
        assert "Not complete yet" in caplog.text
        caplog.clear()
        run(project, conf_catalog, stages)
    assert "FINISHED, 3 of 3 points" in caplog.text
    assert "Not complete yet" not in caplog.text


def test_an_error_fails_what_is_open(project: Path, conf_catalog: dict[str, Any]) -> None:
    def train(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {KEYS[0]: trajectory()}
        raise ZeroDivisionError("no\nsuch luck")

    hooks = TrackingHooks()
    with pytest.raises(ZeroDivisionError):
        run(project, conf_catalog, steps("width", train), hooks)
    (parent,), children = runs_of(project)
    (child,) = children[parent.info.run_id]
    for each in (parent, child):
        assert each.info.status == "FAILED"
        assert each.data.tags["error"] == "no"
    run(project, conf_catalog, steps("width"), hooks)
    (parent,), children = runs_of(project)
    for each in (parent, *children[parent.info.run_id]):
        assert each.info.status == "FINISHED"
        assert "error" not in each.data.tags


def test_an_interrupted_notebook_is_closed_by_its_next_run(project: Path, conf_catalog: dict[str, Any]) -> None:
    def train(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {KEYS[0]: trajectory()}
        raise KeyboardInterrupt

    hooks = TrackingHooks()
    with pytest.raises(KeyboardInterrupt):
        run(project, conf_catalog, steps("width", train), hooks)
    run(project, conf_catalog, steps("width"), hooks)
    (parent,), children = runs_of(project)
    assert [run.info.status for run in (parent, *children[parent.info.run_id])] == ["FINISHED"] * 4


def test_a_run_that_starts_in_the_middle(project: Path, conf_catalog: dict[str, Any]) -> None:
    """Points computed again make a sweep of their own; drawing alone leaves no trace."""
    everything = steps("width")
    run(project, conf_catalog, everything)
    run(project, conf_catalog, everything.only_nodes("width_sweep.draw"))
    run(project, conf_catalog, everything.only_nodes("width_sweep.plan").only_nodes_with_tags("none"))
    assert len(runs_of(project)[0]) == 1
    run(project, conf_catalog, everything.from_nodes("width_sweep.train"))
    again, first = runs_of(project)[0]
    assert again.info.status == first.info.status == "FINISHED"
    assert again.data.tags["plan"] == first.data.tags["plan"]


def test_a_comparison_alone_starts_no_run(project: Path, conf_catalog: dict[str, Any]) -> None:
    """None of its points would ever end."""
    conf_catalog["{sweep}_sweep.comparisons"] = {
        **conf_catalog["{sweep}_sweep.trajectories"],
        "path": f"{project}/data/{{sweep}}/compared",
        "metadata": marked("comparison", sweep="{sweep}"),
    }

    def compare(planned: dict[str, Any], evaluations: dict[str, Any]) -> dict[str, Any]:
        return {key: {"metric/gap": 1.0} for key in planned["points"]}

    comparing = node(compare, ["plan", "evaluations"], "comparisons", name="compare")
    everything = steps("width") + pipeline([comparing], namespace="width_sweep")
    run(project, conf_catalog, everything)
    run(project, conf_catalog, everything.only_nodes("width_sweep.compare"))
    (parent,), children = runs_of(project)
    assert parent.info.status == "FINISHED"
    assert all(child.data.metrics["gap"] == 1.0 for child in children[parent.info.run_id])


def test_parameters_and_environment_choose_the_store(
    project: Path, conf_catalog: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("parameters", "environment"):
        shutil.copy(project / "mlflow.db", project / f"{name}.db")
    settings = {"uri": "sqlite:///parameters.db", "experiment": "mine"}
    run(project, conf_catalog, steps("width"), settings=settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/environment.db")
    run(project, conf_catalog, steps("width"), settings=settings)
    assert runs_of(project) == ([], {})
    for name in ("parameters", "environment"):
        uri = f"sqlite:///{project}/{name}.db"
        (parent,), _ = runs_of(project, uri)
        assert MlflowClient(uri).get_experiment(parent.info.experiment_id).name == "mine"


def test_an_unreachable_server_stops_the_run_before_any_work(
    project: Path, conf_catalog: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"store http://127\.0\.0\.1:9 cannot be used"):
        run(project, conf_catalog, steps("width"))
    assert not (project / "data").exists()


def test_unknown_roles_are_refused(project: Path, conf_catalog: dict[str, Any]) -> None:
    conf_catalog["{sweep}_sweep.figure"]["metadata"] = marked("picture")
    with pytest.raises(ValueError, match=r"'width_sweep\.figure' has the role 'picture': expected one of plan"):
        run(project, conf_catalog, steps("width"))


@pytest.mark.slow
def test_a_server_holds_the_same(
    project: Path, conf_catalog: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with mlflow_server(project) as uri:
        run(project, conf_catalog, steps("width"), settings={"uri": uri})
        (parent,), children = runs_of(project, uri)
        assert parent.info.status == "FINISHED"
        assert parent.data.metrics == {"count": 3.0}
        for child in children[parent.info.run_id]:
            assert child.info.status == "FINISHED"
            image = MlflowClient(uri).download_artifacts(child.info.run_id, "curves.png")
            assert Path(image).read_bytes() == PNG
        assert "View run" not in capsys.readouterr().out


# In a project, as a process of its own

HEADLESS = {"DO_NOT_TRACK": "true", "KEDRO_DISABLE_TELEMETRY": "true", "COLUMNS": "500"}
REGISTRY = """
import os, pathlib, time
from kedro.pipeline import node, pipeline

KEYS = ("a", "b")

def plan():
    return {"name": "sweep", "points": {key: {"params": {"name": key}} for key in KEYS}}

def train(plan):
    for key in KEYS:
        yield {key: {"curve/loss": [2.0, 1.0]}}
        if os.environ.get("HANG"):
            pathlib.Path(os.environ["HANG"]).touch()
            time.sleep(60)

def evaluate(trajectories):
    return {key: {"metric/loss": load()["curve/loss"][-1]} for key, load in trajectories.items()}

def register_pipelines():
    nodes = [
        node(plan, None, "plan"),
        node(train, "plan", "trajectories"),
        node(evaluate, "trajectories", "evaluations"),
    ]
    return {"__default__": pipeline(nodes, namespace="demo")}
"""
CATALOG = """
demo.plan: {type: json.JSONDataset, filepath: data/plan.json, METADATA: {implicit_bias: {role: plan}}}
"{space}.trajectories":
  type: partitions.PartitionedDataset
  path: data/a
  dataset: implicit_bias.sweeps.datasets.ArrayDataset
  METADATA: {implicit_bias: {role: trajectory}}
"{space}.evaluations":
  type: partitions.PartitionedDataset
  path: data/b
  dataset: implicit_bias.sweeps.datasets.ArrayDataset
  METADATA: {implicit_bias: {role: evaluation}}
"""
LOGGING = """
version: 1
disable_existing_loggers: false
handlers: {console: {class: logging.StreamHandler}}
root: {handlers: [console]}
loggers: {implicit_bias: {level: INFO}}
"""
SCRIPT = """
import sys, pathlib
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(pathlib.Path.cwd())
with KedroSession.create() as session:
    session.run()
print("mlflow" if "mlflow" in sys.modules else "no tracking")
"""


@pytest.fixture
def kedro_project(project: Path) -> Path:
    """A project that is not ours, in which this package is merely installed."""
    package = project / "src" / "demo_project"
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "demo_project"\nproject_name = "demo"\nkedro_init_version = "1.7.0"\n'
    )
    for folder in ("base", "local"):
        (project / "conf" / folder).mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").touch()
    (project / "conf" / "logging.yml").write_text(LOGGING)
    (package / "pipeline_registry.py").write_text(REGISTRY)
    (project / "conf" / "base" / "catalog.yml").write_text(CATALOG.replace("METADATA", "metadata"))
    return project


def start(project: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(command or ("-c", SCRIPT))],
        cwd=project,
        env={**os.environ, **HEADLESS, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell has it ignored
    )


def test_what_every_kedro_command_imports_is_cheap() -> None:
    code = (
        "import sys, kedro.framework.hooks; from importlib.metadata import entry_points; before = set(sys.modules); "
        "ours = [each for group in ('kedro.hooks', 'kedro.global_commands') for each in entry_points(group=group) "
        "if each.value.startswith('implicit_bias')]; [each.load() for each in ours]; "
        "print(len(ours), *sorted({name.partition('.')[0] for name in sys.modules.keys() - before}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, *imported = result.stdout.split()
    assert int(number) == 4
    assert set(imported) - sys.stdlib_module_names <= {"click", "implicit_bias"}


def test_other_projects_see_nothing(kedro_project: Path) -> None:
    (kedro_project / "conf" / "base" / "catalog.yml").write_text(CATALOG.replace("METADATA: {implicit", "metadata: {x"))
    process = start(kedro_project)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.rstrip().endswith("no tracking")
    assert runs_of(kedro_project) == ([], {})


def test_the_kedro_command_is_tracked(kedro_project: Path) -> None:
    process = start(kedro_project, "-m", "kedro", "run")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "MLflow: sweep FINISHED, 2 of 2 points" in output
    assert "alembic" not in output
    (parent,), children = runs_of(kedro_project)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["sweep"] == "demo"
    assert [child.info.run_name for child in children[parent.info.run_id]] == ["a", "b"]
    assert {path.name for path in kedro_project.iterdir()} - {".viz"} == {
        "conf",
        "data",
        "mlflow.db",
        "mlflow.db.lock",
        "pyproject.toml",
        "src",
    }


def test_killed_runs_say_so(kedro_project: Path, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM close the runs at once; after SIGKILL the next run does."""
    signals = {signal.SIGINT: 1, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    processes = {}
    for number in signals:
        copy = tmp_path / number.name
        shutil.copytree(kedro_project, copy)
        processes[number] = copy, start(copy, "-m", "kedro", "run", HANG=str(copy / "ready"))
    for number, (copy, process) in processes.items():
        while not (copy / "ready").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        process.send_signal(number)
    for number, (copy, process) in processes.items():
        output, _ = process.communicate(timeout=120)
        assert process.returncode == signals[number], output
        (parent,), children = runs_of(copy)
        (child,) = children[parent.info.run_id]
        expected = "RUNNING" if number == signal.SIGKILL else "KILLED"
        assert [parent.info.status, child.info.status] == [expected, expected]
    copy, _ = processes[signal.SIGKILL]
    output, _ = start(copy).communicate(timeout=120)
    assert "was killed with its process" in output
    (parent,), children = runs_of(copy)
    assert [run.info.status for run in (parent, *children[parent.info.run_id])] == ["FINISHED"] * 3
