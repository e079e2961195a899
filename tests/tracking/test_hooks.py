"""Runs of a pipeline that are tracked by the hooks."""

import logging
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from mlflow import MlflowClient

from implicit_bias.hooks.tracking import TrackingHooks
from implicit_bias.tracking.records import TrackingError
from tests.support.servers import mlflow_server
from tests.support.tracking import KEYS, PNG, marked, run, runs_of, steps, trajectory


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
    assert {parent.data.tags["implicit_bias.sweep"] for parent in parents} == {"width", "alpha"}
    for parent in parents:
        run_id, sweep = parent.info.run_id, parent.data.tags["implicit_bias.sweep"]
        assert parent.info.status == "FINISHED"
        assert parent.data.metrics == {"count": 3.0}
        assert [artifact.path for artifact in client.list_artifacts(run_id)] == ["all.md", f"{sweep}_figure.svg"]
        assert Path(client.download_artifacts(run_id, f"{sweep}_figure.svg")).read_text() == f"<svg>{sweep}</svg>"
        assert [child.data.tags["implicit_bias.point"] for child in children[parent.info.run_id]] == list(KEYS)
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
    assert parent.data.tags["implicit_bias.missing"] == "1 of 3"
    statuses = [child.info.status for child in children[parent.info.run_id]]
    assert statuses == ["FINISHED", "FAILED", "FINISHED"]
    assert children[parent.info.run_id][1].data.tags["implicit_bias.error"] == "FloatingPointError: diverged"


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
        assert each.data.tags["implicit_bias.error"] == "no"
    run(project, conf_catalog, steps("width"), hooks)
    (parent,), children = runs_of(project)
    for each in (parent, *children[parent.info.run_id]):
        assert each.info.status == "FINISHED"
        assert "implicit_bias.error" not in each.data.tags


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
    assert again.data.tags["implicit_bias.plan"] == first.data.tags["implicit_bias.plan"]


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
