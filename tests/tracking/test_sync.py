"""What a store has missed is sent later, and nothing twice: a store that was never there, and one lost on the way."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from mlflow import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from implicit_bias.tracking.outbox import Outbox
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.sync import send, unsent
from tests.support.project import REPOSITORY
from tests.support.tracking import KEYS, history, marked, plan, run, runs_of, steps, trajectory

NOBODY = {"uri": "http://127.0.0.1:9", "optional": True, "experiment": "tests"}


def sync(project: Path, conf_catalog: dict[str, Any]) -> list[str]:
    catalog, pipelines = DataCatalog.from_config(conf_catalog), {"width": steps("width")}
    store = Store("sqlite:///mlflow.db", project)
    return [
        send(store, "tests", catalog, pipelines, name, outbox).status
        for name, outbox in unsent(catalog, pipelines).items()
    ]


def assert_complete(project: Path) -> None:
    """One finished parent with its figure, and of each point one finished child with its curves, once."""
    store = Store("sqlite:///mlflow.db", project)
    (parent,), children = runs_of(project)
    assert parent.info.status == "FINISHED"
    assert not {"implicit_bias.error", "implicit_bias.missing"} & parent.data.tags.keys()
    assert "width_figure.svg" in {file.path for file in store.client.list_artifacts(parent.info.run_id)}
    assert [child.data.tags["implicit_bias.point"] for child in children[parent.info.run_id]] == sorted(KEYS)
    for child in children[parent.info.run_id]:
        assert child.info.status == "FINISHED"
        assert child.data.metrics["distance"] == pytest.approx(1 / 101)
        assert len(history(store, child.info.run_id, "curve/loss")) == 4
        assert [file.path for file in store.client.list_artifacts(child.info.run_id)] == ["curves.png"]


def test_a_run_without_a_store_is_sent_when_there_is_one(
    project: Path,
    conf_catalog: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(TrackingError, match=r"cannot be used.*tracking\.optional: true"):
        run(project, conf_catalog, steps("width"), settings=NOBODY | {"optional": False})
    assert not (project / "data").exists()
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    assert "The run goes on without it" in caplog.text
    assert runs_of(project) == ([], {})
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)
    assert sync(project, conf_catalog) == []
    assert_complete(project)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_store_that_breaks_on_the_way_gets_the_rest_when_it_is_mended(
    project: Path,
    conf_catalog: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    def break_on_the_way(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for number, key in enumerate(planned["points"]):
            if number == after:
                break_database(monkeypatch)
            yield {key: trajectory()}

    run(project, conf_catalog, steps("width", break_on_the_way), settings={"experiment": "tests"})
    assert caplog.text.count("The MLflow store is lost") == 1
    assert "kedro implicit-bias sync" in caplog.text
    monkeypatch.undo()
    (parent,), children = runs_of(project)
    assert parent.info.status == "RUNNING"
    assert len(children[parent.info.run_id]) == after
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)
    assert sync(project, conf_catalog) == []


def break_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database fail at whatever is written, as on a disk that is full or gone."""

    def fail(*_: Any, **__: Any) -> None:
        raise sqlalchemy.exc.OperationalError("INSERT", {}, OSError("disk I/O error"))

    for name in ("create_run", "log_batch", "update_run_info", "set_tag", "set_experiment_tag"):
        monkeypatch.setattr(SqlAlchemyStore, name, fail)
    monkeypatch.setattr("implicit_bias.tracking.statements._written", fail)


KILLED = """
import json, os, signal, sys
from pathlib import Path
import pytest
from tests.tracking.test_sync import break_database, run, steps, trajectory

project, lost_at, catalog = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])

def die_on_the_way(planned):
    for number, key in enumerate(planned["points"]):
        if number == lost_at:
            break_database(pytest.MonkeyPatch())
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield {key: trajectory()}

run(project, catalog, steps("width", die_on_the_way), settings={"experiment": "tests"})
"""


@pytest.mark.parametrize("lost_at", [0, 1])
def test_a_run_that_is_killed_after_it_has_lost_the_store(
    project: Path, conf_catalog: dict[str, Any], lost_at: int
) -> None:
    """Two points are in files, lost_at of them in the store: the note names the others; the next run does the rest."""
    command = [sys.executable, "-c", KILLED, str(project), str(lost_at), json.dumps(conf_catalog)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sync(project, conf_catalog) == ["FAILED"]
    (parent,), children = runs_of(project)
    assert [child.data.tags["implicit_bias.point"] for child in children[parent.info.run_id]] == sorted(KEYS[:2])
    assert sync(project, conf_catalog) == []
    run(project, conf_catalog, steps("width"), settings={"experiment": "tests"})
    assert_complete(project)


def test_a_note_that_was_being_written_loses_its_last_line_alone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "plan.unsent.jsonl", "run")
    outbox.add("points", ["a"])
    outbox.write()
    outbox.add("points", ["b"])
    outbox.add("figure", ())
    whole = outbox.path.read_bytes()
    for size in range(len(whole.partition(b"\n")[0]) + 1, len(whole) + 1):
        outbox.path.write_bytes(whole[:size])
        read = Outbox.beside(tmp_path / "plan.json")
        lines = whole[:size].count(b"\n")
        assert read.parent == "run"
        assert read.saved["points"] == ["a", "b"][:lines]
        assert ("figure" in read.saved) is (lines == 3)


def test_what_is_at_fault_itself_ends_the_run(project: Path, conf_catalog: dict[str, Any]) -> None:
    """A name that MLflow does not take is no outage: it is said, and the points before it are kept."""

    def odd(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for number, key in enumerate(planned["points"]):
            yield {key: trajectory() | ({"metric/what?": 1.0} if number == 1 else {})}

    with pytest.raises(MlflowException, match=r"Invalid value .*what\?"):
        run(project, conf_catalog, steps("width", odd), settings={"experiment": "tests"})
    (parent,), children = runs_of(project)
    assert parent.info.status == "FAILED"
    assert [child.info.status for child in children[parent.info.run_id]] == ["FINISHED", "FAILED", "FAILED"]
    assert sync(project, conf_catalog) == []


def test_finished_points_are_left_as_they_are(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    first = Store("sqlite:///mlflow.db", project).open(plan())
    first.log(KEYS[0], "trajectory", trajectory())
    first.log(KEYS[0], "evaluation", {"metric/distance": 1 / 101})
    first.point_file(KEYS[0], "curves.png", b"")
    first.log(KEYS[1], "trajectory", trajectory())
    outbox = Outbox.beside(project / "data/width_plan.json")
    outbox.parent = first.run_id
    outbox.write()
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)
    _, children = runs_of(project)
    found = {child.data.tags["implicit_bias.point"]: child.info.run_id for child in children[first.run_id]}
    assert found[KEYS[0]] == first.points[KEYS[0]].run_id


def test_a_later_run_takes_the_place_of_an_unsent_one(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    assert unsent(DataCatalog.from_config(conf_catalog), {"width": steps("width")})
    run(project, conf_catalog, steps("width"), settings={"experiment": "tests"})
    assert sync(project, conf_catalog) == []
    assert_complete(project)


@pytest.mark.filterwarnings("ignore:One or more dataset names contain:UserWarning")
def test_what_belongs_to_no_run_is_not_sent(project: Path, conf_catalog: dict[str, Any]) -> None:
    """Drawing alone leaves no trace where there is a store, and none later where there is not."""
    everything = steps("width")
    run(project, conf_catalog, everything, settings={"experiment": "tests"})
    plan_and_figure = everything.only_nodes("width_sweep.draw") + pipeline(
        [node(lambda planned: None, "width_sweep.plan", None, name="look")]
    )
    run(project, conf_catalog, plan_and_figure, settings=NOBODY)
    assert sync(project, conf_catalog) == []
    assert_complete(project)


def test_a_note_keeps_the_run_it_is_about(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    first = Store("sqlite:///mlflow.db", project).open(plan(folder=str(project / "data")))
    outbox = Outbox.beside(project / "data/width_plan.json")
    outbox.parent = first.run_id
    outbox.write()
    run(project, conf_catalog, steps("width").from_nodes("width_sweep.train"), settings=NOBODY)
    assert Outbox.beside(project / "data/width_plan.json").parent == first.run_id
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)


def test_a_sweep_that_was_sent_unfinished_is_continued(project: Path, conf_catalog: dict[str, Any]) -> None:
    def broken(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {KEYS[0]: trajectory()}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(project, conf_catalog, steps("width", broken), settings=NOBODY)
    assert sync(project, conf_catalog) == ["FAILED"]
    run(project, conf_catalog, steps("width"), settings={"experiment": "tests"})
    assert_complete(project)


@pytest.mark.filterwarnings("ignore:One or more dataset names contain:UserWarning")
def test_a_file_of_several_sweeps_is_sent_too(project: Path, conf_catalog: dict[str, Any]) -> None:
    conf_catalog["report"]["metadata"] = marked("report", sweep="wi*")
    report = pipeline([node(lambda figure: "# Report", "width_sweep.figure", "report")])
    steps_and_report = steps("width") + report
    run(project, conf_catalog, steps_and_report, settings=NOBODY)
    catalog, store = DataCatalog.from_config(conf_catalog), Store("sqlite:///mlflow.db", project)
    ((name, outbox),) = unsent(catalog, {"all": steps_and_report}).items()
    sweep = send(store, "tests", catalog, {"all": steps_and_report}, name, outbox).sweep
    assert sweep is not None
    assert "report.md" in {file.path for file in store.client.list_artifacts(sweep.run_id)}


def losses(project: Path, conf_catalog: dict[str, Any]) -> list[str]:
    """What sync could not read."""
    catalog, pipelines = DataCatalog.from_config(conf_catalog), {"width": steps("width")}
    store = Store("sqlite:///mlflow.db", project)
    waiting = unsent(catalog, pipelines).items()
    return [lost for name, outbox in waiting for lost in send(store, "tests", catalog, pipelines, name, outbox).lost]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe\n", b"[]\n", b'{"parent": 3, "saved": {"a": []}}\n', b"null\n{}\n"]
)
def test_a_damaged_note_is_named_and_the_next_run_needs_none(
    project: Path, conf_catalog: dict[str, Any], damage: bytes
) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    note = Outbox.beside(project / "data/width_plan.json").path
    note.write_bytes(damage)
    assert losses(project, conf_catalog) == [str(note)]
    assert note.read_bytes() == damage
    run(project, conf_catalog, steps("width"), settings={"experiment": "tests"})
    assert not note.exists()
    assert_complete(project)


def test_a_damaged_line_of_a_note_costs_that_line(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "plan.unsent.jsonl", "run", {"points": ["a"]})
    outbox.write()
    outbox.add("points", ["b"])
    outbox.add("figure", ())
    lines = outbox.path.read_bytes().split(b"\n")
    outbox.path.write_bytes(b"\n".join([lines[0], lines[1][:-4], *lines[2:]]))
    read = Outbox.beside(tmp_path / "plan.json")
    assert read.damaged
    assert (read.parent, read.saved) == ("run", {"points": ["a"], "figure": []})


@pytest.mark.parametrize("folder", ["a", "b", "c"])
def test_a_point_with_a_damaged_file_is_not_finished_and_the_others_are_sent(
    project: Path, conf_catalog: dict[str, Any], folder: str
) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    damaged = next((project / "data/width" / folder).iterdir())
    if folder == "c":
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:40])
    (lost,) = losses(project, conf_catalog)
    assert damaged.stem in lost
    (parent,), children = runs_of(project)
    statuses = {child.data.tags["implicit_bias.point"]: child.info.status for child in children[parent.info.run_id]}
    assert parent.info.status == "FAILED"
    assert {key for key, status in statuses.items() if status == "FINISHED"} == {*KEYS} - {damaged.stem}
    assert unsent(DataCatalog.from_config(conf_catalog), {"width": steps("width")})
    run(project, conf_catalog, steps("width"), settings={"experiment": "tests"})
    assert_complete(project)


@pytest.mark.parametrize("parent", ["deleted", "of another store"])
def test_a_parent_that_cannot_be_continued_is_started_anew(
    project: Path, conf_catalog: dict[str, Any], parent: str
) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    first = Store("sqlite:///mlflow.db", project).open(plan(folder=str(project / "data")))
    outbox = Outbox.beside(project / "data/width_plan.json")
    outbox.parent = first.run_id if parent == "deleted" else "0" * 32
    outbox.write()
    first.client.delete_run(first.run_id)
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)


def test_a_note_of_another_plan_is_not_mixed_with_it(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    path = project / "data/width_plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"params": {"solver": "another"}}))
    (lost,) = losses(project, conf_catalog)
    assert "another plan" in lost
    assert runs_of(project) == ([], {})


def test_a_note_stays_until_the_store_has_what_it_names(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)

    def broken(planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {KEYS[0]: trajectory()}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(project, conf_catalog, steps("width", broken), settings={"experiment": "tests"})
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)


@pytest.fixture(autouse=True)
def _levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_note_that_has_lost_a_line_does_not_cost_the_point_its_training(
    project: Path, conf_catalog: dict[str, Any]
) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    note = Outbox.beside(project / "data/width_plan.json").path
    whole, *lines = note.read_text("utf-8").splitlines()
    said = json.loads(whole)
    for name in ("width_sweep.trajectories", "width_sweep.point_figures"):
        said["saved"][name] = said["saved"].get(name, [])[:1]
    kept = [line for line in lines if "trajectories" not in line and "point_figures" not in line]
    note.write_text("\n".join([json.dumps(said), *kept, "{", ""]), "utf-8")
    assert sync(project, conf_catalog) == ["FINISHED"]
    assert_complete(project)


def test_a_damaged_note_that_is_sent_twice_makes_one_sweep(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    outbox = Outbox.beside(project / "data/width_plan.json")
    outbox.path.write_text("garbled\n" + json.dumps(outbox.saved) + "\n", "utf-8")
    assert Outbox.beside(project / "data/width_plan.json").parent is None
    for _ in range(2):
        assert len(losses(project, conf_catalog)) == 1
        assert_complete(project)


def test_a_later_part_keeps_the_note_of_what_it_has_not_sent(project: Path, conf_catalog: dict[str, Any]) -> None:
    run(project, conf_catalog, steps("width"), settings=NOBODY)
    note = Outbox.beside(project / "data/width_plan.json").path
    store = Store("sqlite:///mlflow.db", project)
    catalog, pipelines = DataCatalog.from_config(conf_catalog), {"width": steps("width")}
    (outbox,) = unsent(catalog, pipelines).values()
    points = {name: keys for name, keys in outbox.saved.items() if not name.endswith(("figure", "summary"))}
    outbox.saved = points
    send(store, "tests", catalog, pipelines, "width_sweep.plan", outbox)
    note.write_text(json.dumps({"parent": None, "plan": "", "saved": {"width_sweep.figure": []}}) + "\n", "utf-8")
    run(
        project,
        conf_catalog,
        steps("width").filter(node_names=["width_sweep.draw_points"]),
        settings={"experiment": "tests"},
    )
    assert note.exists()
