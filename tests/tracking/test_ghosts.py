"""Answers that get lost on the way: what a repeated request makes a second time is found, and is not left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowException
from mlflow.entities import Run
from mlflow.protos.databricks_pb2 import DEADLINE_EXCEEDED

from implicit_bias.tracking.connection import is_outage
from implicit_bias.tracking.store import Store
from tests.support.tracking import KEYS, complete, plan, runs_of


def lossy(store: Store, monkeypatch: pytest.MonkeyPatch, lost: Callable[[int], bool], gives_up: bool) -> None:
    """Lose answers to the creation of runs, as of a server: the client repeats the request, or gives up."""
    monkeypatch.setattr("implicit_bias.tracking.sweep.write_run", lambda *_: None)
    create, count = store.client.create_run, 0

    def create_run(*arguments: Any, **more: Any) -> Run:
        nonlocal count
        count += 1
        run = create(*arguments, **more)
        if not lost(count):
            return run
        if gives_up:
            raise MlflowException("504 Gateway Timeout", error_code=DEADLINE_EXCEEDED)
        return create(*arguments, **more)

    monkeypatch.setattr(store.client, "create_run", create_run)


def assert_each_once(project: Path) -> None:
    (parent,), children = runs_of(project)
    assert parent.info.status == "FINISHED"
    assert [child.data.tags["implicit_bias.point"] for child in children[parent.info.run_id]] == sorted(KEYS)
    assert {child.info.status for child in children[parent.info.run_id]} == {"FINISHED"}


@pytest.mark.parametrize("every", [1, 2, 3])
def test_repeated_requests_make_nothing_twice(
    store: Store, project: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    lossy(store, monkeypatch, lambda count: count % every == 0, gives_up=False)
    sweep = store.open(plan())
    complete(sweep)
    assert sweep.close() == "FINISHED"
    assert_each_once(project)


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_run_whose_creation_was_not_heard_of_is_found_by_the_next_one(
    store: Store, project: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """The parent, the first or the last child; the process that made them is gone."""
    monkeypatch.setattr("implicit_bias.tracking.sweep.process_tag", lambda: "elsewhere:1:1")
    lossy(store, monkeypatch, lambda count: count == lost, gives_up=True)
    with pytest.raises(MlflowException) as caught:
        complete(store.open(plan()))
    assert is_outage(caught.value)
    monkeypatch.undo()
    monkeypatch.setattr("implicit_bias.tracking.store.is_dead", lambda tag: tag == "elsewhere:1:1")
    sweep = Store("sqlite:///mlflow.db", project).open(plan())
    complete(sweep)
    assert sweep.close() == "FINISHED"
    assert_each_once(project)


def test_what_a_person_has_made_is_no_ghost(store: Store, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the sweep, and a run of a point made by hand, each with a result."""
    monkeypatch.setattr("implicit_bias.tracking.sweep.process_tag", lambda: "elsewhere:1:1")
    sweep = store.open(plan())
    complete(sweep, KEYS[:2])
    tags = store.client.get_run(sweep.run_id).data.tags
    copy = store.client.create_run(sweep.experiment_id, tags=tags).info.run_id
    mine = store.client.create_run(
        sweep.experiment_id, tags={"implicit_bias.point": KEYS[0], "mlflow.parentRunId": sweep.run_id}
    ).info.run_id
    for run_id in (copy, mine):
        store.client.log_metric(run_id, "distance", 3.0)
        store.client.set_terminated(run_id, "FAILED")
    sweep.close("KILLED")
    again = store.open(plan())
    complete(again, KEYS)
    again.close()
    for run_id in (copy, mine):
        assert store.client.get_run(run_id).info.lifecycle_stage == "active"
