"""What is around our runs in a store and in a process: other people's runs, MLflow's own variables, a second run."""

import logging
import socket
import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest

from implicit_bias.hooks.tracking import AnotherRun, TrackingHooks
from implicit_bias.tracking.provenance import is_dead
from implicit_bias.tracking.reader import Reader
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.tags import ERROR, PLAN, POINT, PROCESS, SWEEP
from tests.support.tracking import (  # noqa: F401 fixtures
    KEYS,
    complete,
    conf_catalog,
    fresh_database,
    plan,
    project,
    read,
    run,
    runs_of,
    steps,
    store,
    trajectory,
)

VARIABLES = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


# Other people's runs


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {PROCESS: "batch"},
        {PROCESS: "x:y:z", PLAN: "?", SWEEP: ""},
        {PROCESS: f"{socket.gethostname()}:not a number:1", PLAN: "p", SWEEP: "theirs"},
        {POINT: "0", SWEEP: "width"},
        {"plan": "p", "point": "0", "sweep": "width", "error": "mine"},
    ],
)
def test_runs_of_others_break_nothing_and_stay_as_they_are(store: Store, tags: dict[str, str]) -> None:  # noqa: F811
    sweep = store.open(plan())
    theirs = store.client.create_run(sweep.experiment_id, tags=tags, run_name="theirs").info.run_id
    under = store.client.create_run(sweep.experiment_id, tags={"mlflow.parentRunId": sweep.run_id}).info.run_id
    complete(sweep, KEYS[:2])
    assert sweep.close("KILLED") == "KILLED"
    again = Store(store.uri, store.project).open(plan())
    assert again.run_id == sweep.run_id
    assert again.missing() == [KEYS[2]]
    complete(again)
    assert again.close() == "FINISHED"
    assert [read(store, run_id).info.status for run_id in (theirs, under)] == ["RUNNING", "RUNNING"]
    assert ERROR not in read(store, under).data.tags
    reader = Reader(store.uri, store.project, "tests")
    assert [each.info.run_name for each in reader.newest() if each.info.run_id != theirs] == ["width sweep"]
    assert sorted(
        child.data.tags["implicit_bias.point"] for child in reader.children(read(store, sweep.run_id))
    ) == sorted(KEYS)


def test_a_child_that_was_deleted_is_missing_and_the_next_run_makes_it_again(store: Store) -> None:  # noqa: F811
    sweep = store.open(plan())
    complete(sweep, KEYS[:2])
    sweep.log(KEYS[2], "trajectory", trajectory())
    for key in KEYS[1:]:  # one that is done, one that is not
        store.client.delete_run(sweep.points[key].run_id)
    sweep.log(KEYS[2], "evaluation", {"metric/distance": 0.5})
    sweep.point_file(KEYS[2], "curves.png", b"")
    assert sweep.missing() == [KEYS[2]]
    assert sweep.close() == "FAILED"
    again = store.open(plan())
    assert again.run_id == sweep.run_id
    assert again.missing() == list(KEYS[1:])
    complete(again)
    assert again.close() == "FINISHED"
    children = Reader(store.uri, store.project, "tests").children(read(store, again.run_id))
    assert [child.info.status for child in children] == ["FINISHED"] * 3


# MLflow's environment variables


def test_the_environment_names_the_experiment(
    store: Store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = store.client.create_experiment("by number")
    assert store.experiment_name("by default") == "by default"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    assert store.experiment_name("by default") == "by number"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "987654")
    with pytest.raises(TrackingError, match="MLFLOW_EXPERIMENT_ID or MLFLOW_RUN_ID names what is not in the store"):
        store.experiment_name("by default")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by name")
    assert store.experiment_name("by name") == "by name"
    store.client.delete_experiment(number)
    with pytest.raises(TrackingError, match="'by number' is deleted: restore it with"):
        store.experiment_name("by number")


def test_a_run_of_the_environment_is_the_parent(
    project: Path,  # noqa: F811
    store: Store,  # noqa: F811
    conf_catalog: dict[str, Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = store.client.create_experiment("outer")
    outer = store.client.create_run(number, run_name="outer").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", outer)
    run(project, conf_catalog, steps("width"))
    reader = Reader(store.uri, project, "outer")
    (ours,) = reader.parents()
    assert ours.data.tags["mlflow.parentRunId"] == outer
    assert ours.info.status == "FINISHED"
    assert len(reader.children(ours)) == 3
    assert read(store, outer).data.tags["implicit_bias.width"] == ours.info.run_id
    assert read(store, outer).info.status == "RUNNING"
    assert reader.lost_pictures(ours) == []
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(TrackingError, match="MLFLOW_RUN_ID names what is not in the store"):
        run(project, conf_catalog, steps("width"))


def test_an_active_run_and_ours_name_each_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # MLflow sets some of them, which end with this test
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment("theirs")
    try:
        with mlflow.start_run() as theirs:
            sweep = store.open(plan())
    finally:
        mlflow.set_tracking_uri(None)
    assert read(store, sweep.run_id).data.tags["implicit_bias.run_beside"] == theirs.info.run_id
    assert read(store, theirs.info.run_id).data.tags["implicit_bias.width"] == sweep.run_id
    assert "mlflow.parentRunId" not in read(store, sweep.run_id).data.tags


# Two runs of one process


def test_a_run_beside_another_of_the_process_is_refused_and_the_first_goes_on(
    project: Path,  # noqa: F811
    conf_catalog: dict[str, Any],  # noqa: F811
) -> None:
    hooks, started, go_on = TrackingHooks(), threading.Event(), threading.Event()

    def train(planned: dict[str, Any]) -> Any:
        for key in planned["points"]:
            yield {key: trajectory()}
            started.set()
            assert go_on.wait(60)

    first = threading.Thread(target=run, args=(project, conf_catalog, steps("width", train), hooks))
    first.start()
    assert started.wait(60)
    try:
        with pytest.raises(AnotherRun, match="wait for its end"):
            run(project, conf_catalog, steps("alpha"), hooks)
        run(project, {}, steps("alpha").only_nodes("alpha_sweep.plan"), hooks)  # one that is not tracked
    finally:
        go_on.set()
        first.join(60)
    run(project, conf_catalog, steps("alpha"), hooks)
    parents, _ = runs_of(project)
    assert [(each.data.tags["implicit_bias.sweep"], each.info.status) for each in parents] == [
        ("alpha", "FINISHED"),
        ("width", "FINISHED"),
    ]


# Parts


def test_a_part_that_succeeds_is_not_failed(project: Path, conf_catalog: dict[str, Any]) -> None:  # noqa: F811
    stages = steps("width")
    run(project, conf_catalog, stages.only_nodes("width_sweep.plan"))
    assert runs_of(project) == ([], {})
    run(project, conf_catalog, stages.only_nodes("width_sweep.plan", "width_sweep.train"))
    (part,), children = runs_of(project)
    assert [part.info.status, *(child.info.status for child in children[part.info.run_id])] == ["SCHEDULED"] * 4
    assert all("implicit_bias.error" not in each.data.tags for each in (part, *children[part.info.run_id]))
    run(project, conf_catalog, stages)
    (whole,), children = runs_of(project)
    assert whole.info.run_id == part.info.run_id
    assert [whole.info.status, *(child.info.status for child in children[whole.info.run_id])] == ["FINISHED"] * 4


# What is said


def test_closing_lines_also_reach_a_file(
    project: Path,  # noqa: F811
    conf_catalog: dict[str, Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    from rich.console import Console
    from rich.logging import RichHandler

    root, lines = logging.getLogger(), (tmp_path / "console.txt").open("w+")
    handlers = [RichHandler(console=Console(file=lines, width=40)), logging.FileHandler(tmp_path / "info.log")]
    for handler in handlers:
        root.addHandler(handler)
    try:
        run(project, conf_catalog, steps("width"))
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        lines.seek(0)
        console = lines.read()
        lines.close()
    log = (tmp_path / "info.log").read_text()
    for text in (console, log):
        assert text.count("MLflow: width sweep FINISHED, 3 of 3 points\n") == 1
        assert text.count("Links open after: mlflow ui --backend-store-uri") == 1


@pytest.mark.parametrize(
    ("ui", "command", "address"),
    [
        ("", "mlflow ui --backend-store-uri sqlite:///mlflow.db", "http://127.0.0.1:5000/#"),
        ("http://127.0.0.1:5001", "mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5001", "http://127.0.0.1:5001/#"),
    ],
)  # fmt: skip
def test_links_lead_where_the_pages_are(
    project: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    ui: str,
    command: str,
    address: str,
) -> None:
    monkeypatch.chdir(project)
    shown = Store("sqlite:///mlflow.db", project, ui)
    assert (shown.ui_command(), shown.address("#")) == (command, address)
    (project / "Makefile").write_text("ui:\n\tnpm start\n")
    assert shown.ui_command() == command
    (project / "Makefile").write_text("ui: .venv  ## MLflow's pages\n\t@echo\n\t.venv/bin/mlflow ui --port 5000\n")
    assert shown.ui_command() == ("make ui PORT=5001" if ui else "make ui")


def test_tags_of_other_hosts_and_forms_are_not_dead() -> None:
    host = socket.gethostname()
    for tag in ("", "x", "a:b", f"{host}:x:1", f"{host}:1", f"{host}:-1:1", f"no-{host}:1:1", ":::"):
        assert not is_dead(tag)


def test_misspelt_metadata_are_refused(project: Path, conf_catalog: dict[str, Any]) -> None:  # noqa: F811
    for wrong, message in (
        ({"rol": "figure"}, "implicit_bias.rol is unknown: expected role, sweep, artifact; did you mean role"),
        ({"role": "figur"}, "has the role 'figur': expected one of .*; did you mean figure"),
        ({"role": "figure", "sweep": 1}, "implicit_bias.sweep must be text, got 1"),
        ({"role": "summary", "artifact": "a.json"}, "'summary', which makes no file: no artifact is named"),
        ({"sweep": "width"}, "has the role None"),
    ):
        conf_catalog["{sweep}_sweep.figure"]["metadata"] = {"implicit_bias": wrong}
        with pytest.raises(ValueError, match=message):
            run(project, conf_catalog, steps("width"))
