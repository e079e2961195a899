"""How tracked runs end, are repaired and go on; stores that cannot be used; links."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from implicit_bias.tracking.provenance import is_dead, process_tag
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.runs import WORKFLOW
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.tags import PROCESS
from tests.support.tracking import KEYS, complete, history, plan, read, runs_of, trajectory


def test_a_sweep_is_finished_when_all_its_points_are(store: Store) -> None:
    sweep = store.open(plan())
    complete(sweep, KEYS[:2])
    assert sweep.missing() == [KEYS[2]]
    complete(sweep, KEYS[2:])
    assert sweep.close() == "FINISHED"
    run = read(store, sweep.run_id)
    assert run.info.status == "FINISHED"
    assert not {"implicit_bias.missing", "implicit_bias.error"} & run.data.tags.keys()
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**Three** points\n\n[All points](#/experiments/")
    assert "[Side by side](#/compare-runs?runs=" in note


def test_what_a_person_writes_in_mlflow_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("implicit_bias.tracking.sweep.process_tag", lambda: "elsewhere:1:1")
    first = store.open(plan())
    complete(first, KEYS[:2])
    store.client.set_tag(first.run_id, "mlflow.note.content", "my own words")
    store.client.update_run(first.run_id, name="my own name")
    first.close("KILLED")
    second = store.open(plan())
    assert second.run_id == first.run_id
    complete(second, KEYS)
    assert second.close() == "FINISHED"
    run = read(store, second.run_id)
    assert run.data.tags["mlflow.note.content"] == "my own words"
    assert run.info.run_name == "my own name"


def test_a_description_is_brought_up_to_date_by_the_run_that_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("implicit_bias.tracking.sweep.process_tag", lambda: "elsewhere:1:1")
    first = store.open(plan())
    complete(first, KEYS[:1])
    first.close("KILLED")
    before = read(store, first.run_id).data.tags["mlflow.note.content"]
    second = store.open(plan())
    complete(second, KEYS)
    second.close()
    after = read(store, second.run_id).data.tags["mlflow.note.content"]
    assert second.run_id == first.run_id
    assert "Side by side" in after
    assert "Side by side" not in before


def test_missing_points_fail_the_sweep(store: Store) -> None:
    sweep = store.open(plan())
    complete(sweep, KEYS[:1])
    sweep.log(KEYS[1], "trajectory", trajectory())
    sweep.fail(KEYS[2], "ValueError: diverged\nTraceback")
    assert sweep.close() == "FAILED"
    run = read(store, sweep.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["implicit_bias.missing"] == "2 of 3"
    finished, unfinished, failed = (read(store, sweep.points[key].run_id) for key in KEYS)
    assert finished.info.status == "FINISHED"
    assert unfinished.info.status == "FAILED"
    assert unfinished.data.tags["implicit_bias.error"] == "the run ended before this point"
    assert failed.info.status == "FAILED"
    assert failed.data.tags["implicit_bias.error"] == "ValueError: diverged"
    assert failed.data.params == {"width": "500", "seed": "0"}


def test_runs_of_dead_processes_are_repaired(store: Store) -> None:
    host = socket.gethostname()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    abandoned = store.open(plan())
    abandoned.log(KEYS[0], "trajectory", trajectory())
    foreign, alive = store.open(plan()), store.open(plan())
    store.client.set_tag(abandoned.run_id, PROCESS, f"{host}:{dead.pid}:12345")
    store.client.set_tag(foreign.run_id, PROCESS, f"not-{host}:{dead.pid}:12345")
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
    assert parent.data.tags.keys().isdisjoint({"implicit_bias.error", "implicit_bias.missing"})
    assert [child.data.tags["implicit_bias.point"] for child in children[parent.info.run_id]] == sorted(KEYS)
    for child in children[parent.info.run_id]:
        assert child.info.status == "FINISHED"
        assert "implicit_bias.error" not in child.data.tags
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
    assert store.whereabouts(sweep)["ui"] == "mlflow ui --backend-store-uri sqlite:///mlflow.db"
    elsewhere = Store(store.uri, store.project / "elsewhere")
    assert elsewhere.whereabouts(sweep)["ui"] == "", "others have no use for a path of this machine"
    monkeypatch.chdir(store.project)
    assert store.ui_command() == "mlflow ui --backend-store-uri sqlite:///mlflow.db"
