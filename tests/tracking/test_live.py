"""Runs while they are tracked: repetitions, stages one by one, and what is said at the end."""

import logging
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Pipeline, node, pipeline

from implicit_bias.tracking.closing import Outcome, closing_lines
from implicit_bias.tracking.marks import checked_settings
from implicit_bias.tracking.store import Store
from tests.support.tracking import KEYS, history, plan, run, runs_of, steps


def versioned_steps() -> Pipeline:
    """The steps of a sweep whose plan says which code computes it."""
    whole = steps("width")
    planned = {name: value for name, value in plan().items() if name not in ("sweep", "experiment")}
    own = node(lambda: planned | {"numerics": "1"}, None, "width_sweep.plan", name="own_plan", namespace="width_sweep")
    return pipeline([own, *(each for each in whole.nodes if each.name != "width_sweep.plan")])


@pytest.mark.parametrize(("on_repeat", "runs"), [("skip", 1), ("new", 2)])
def test_a_finished_sweep_that_is_unchanged_is_tracked_again_on_demand(
    project: Path, conf_catalog: dict[str, Any], caplog: pytest.LogCaptureFixture, on_repeat: str, runs: int
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        run(project, conf_catalog, versioned_steps(), settings={"experiment": "tests", "on_repeat": on_repeat})
    parents, children = runs_of(project)
    assert [parent.info.status for parent in parents] == ["FINISHED"] * runs
    assert [len(each) for each in children.values()] == [len(KEYS)] * runs
    assert ("it stays as it is" in caplog.text) is (on_repeat == "skip")
    store = Store("sqlite:///mlflow.db", project)
    for child in (child for each in children.values() for child in each):
        assert len(history(store, child.info.run_id, "distance")) == 1


def test_a_plan_that_does_not_say_which_code_computes_it_is_tracked_again(
    project: Path, conf_catalog: dict[str, Any]
) -> None:
    for _ in range(2):
        run(project, conf_catalog, steps("width"))
    assert len(runs_of(project)[0]) == 2


def test_an_unknown_answer_to_repetitions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tracking\.on_repeat must be skip or new, got 'never'"):
        checked_settings({"on_repeat": "never"})


def test_an_evaluation_by_itself_sends_what_was_trained(project: Path, conf_catalog: dict[str, Any]) -> None:
    """As after a process that was killed between training and evaluation: nothing of the training is in the store."""
    everything = steps("width")
    run(
        project,
        conf_catalog,
        everything.only_nodes("width_sweep.plan", "width_sweep.train"),
        settings={"uri": "sqlite:///other.db"},
    )
    evaluate = node(
        lambda planned, trained: {
            key: {"metric/distance": float(load()["curve/loss"][-1])} for key, load in trained.items()
        },
        ["plan", "trajectories"],
        "evaluations",
        name="evaluate",
    )
    run(project, conf_catalog, pipeline([evaluate], namespace="width_sweep"))
    (parent,), children = runs_of(project)
    store = Store("sqlite:///mlflow.db", project)
    for child in children[parent.info.run_id]:
        assert child.info.status == "FINISHED"
        assert child.data.metrics["distance"] == pytest.approx(1 / 101)
        assert len(history(store, child.info.run_id, "curve/loss")) == 4


def test_a_point_that_is_trained_and_not_evaluated_shows_its_training(
    project: Path, conf_catalog: dict[str, Any]
) -> None:
    run(project, conf_catalog, steps("width").only_nodes("width_sweep.plan", "width_sweep.train"))
    (parent,), children = runs_of(project)
    assert parent.info.status == "SCHEDULED"
    for child in children[parent.info.run_id]:
        assert child.info.status == "SCHEDULED"
        assert child.data.metrics["seconds"] == 2.0
        assert child.data.params["rank"] == "3"


def test_the_end_is_said_in_a_few_lines() -> None:
    done = Outcome("Width sweep", "FINISHED", 4, 0, False, [Path("/here/a.png"), Path("/there/b.png")], ["x", "y", "z"])
    part = Outcome("Wide", "SCHEDULED", 4, 3, True, [], [])
    assert closing_lines([done, part], [Path("/here/page.html")] * 2, "make ui", True, Path("/here")) == [
        "",
        "MLflow: Width sweep FINISHED, 4 of 4 points",
        "  a.png",
        "  /there/b.png",
        "  x",
        "  y",
        "",
        "MLflow: Wide SCHEDULED, 1 of 4 points",
        "  Not complete yet: the stages that follow continue this run",
        "",
        "All of it on one page: page.html",
        "",
        "Links open after: make ui",
        "The pipeline in a browser: kedro viz run",
    ]
    assert closing_lines([], [], "make ui", True, Path("/here")) == []
