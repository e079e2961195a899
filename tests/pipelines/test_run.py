"""The main job on a tiny grid, as a person runs it: files, tracked runs, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.support.project import Project, finished_project, make_project

PARAMS = {
    "width", "seed", "sigma_u", "sigma_v", "solver", "step_size", "n", "D", "m", "r", "stop_reason",
}  # fmt: skip
METRICS = {
    "distance", "distance_op", "distance_init", "u2v", "imbalance_c", "loss", "t_stop", "iterations",
    "imbalance_drift", "seconds",
}  # fmt: skip
PREDICTED = {"thm2", "lemma_17", "lemma_18", "lemma_19", "law_rms", "law_bound", "law_rms_run", "law_bound_run"}
CURVES = {"curve/loss", "curve/bound", "curve/distance", "curve/u2v"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    return finished_project(tmp_path_factory, "--pipelines=implicit_bias")


@pytest.fixture(scope="module")
def client(finished) -> MlflowClient:
    return MlflowClient(finished.store)


def runs(client: MlflowClient, sweep: str) -> tuple[object, list]:
    experiment = client.get_experiment_by_name("implicit_bias")
    found = client.search_runs([experiment.experiment_id], f"tags.`implicit_bias.sweep` = '{sweep}'")
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert len(children) == len(found) - 1
    return parents[0], children


@pytest.mark.parametrize(("sweep", "points"), [("width", 4), ("imbalance", 8)])
def test_every_point_is_a_finished_child_of_its_sweep(client, sweep, points):
    parent, children = runs(client, sweep)
    assert parent.info.status == "FINISHED"
    assert [child.info.status for child in children] == ["FINISHED"] * points
    assert len({child.data.tags["implicit_bias.point"] for child in children}) == points
    assert parent.data.metrics["points"] == points
    for child in children:
        assert set(child.data.params) >= PARAMS
        assert set(child.data.metrics) >= METRICS | CURVES
        gaussian = child.data.params.get("case") != "balanced"
        assert (set(child.data.metrics) >= PREDICTED - {"thm2", "lemma_17", "lemma_18", "lemma_19"}) == gaussian
        assert [file.path for file in client.list_artifacts(child.info.run_id)] == ["curves.svg"]


def test_names_tell_the_sweeps_apart(client):
    _, width = runs(client, "width")
    _, imbalance = runs(client, "imbalance")
    assert all("alpha" in child.data.params and "case" not in child.data.params for child in width)
    assert {child.data.params["case"] for child in imbalance} == {"1", "2", "3", "balanced"}
    assert set(width[0].data.metrics) >= PREDICTED
    assert {child.data.params["solver"] for child in imbalance} == {"gradient_flow", "gradient_descent"}


def test_curves_are_tens_of_points_and_end_at_the_loss_of_the_run(client):
    _, children = runs(client, "width")
    for child in children:
        history = client.get_metric_history(child.info.run_id, "curve/loss")
        assert 10 <= len(history) <= 100
        last = max(history, key=lambda entry: entry.step)
        assert last.step >= child.data.metrics["iterations"] - 1  # held at its last value where others run longer
        assert last.value == pytest.approx(child.data.metrics["loss"])


def test_parents_hold_parameters_data_and_figures(client):
    for sweep in ("width", "imbalance"):
        parent, _ = runs(client, sweep)
        names = {file.path for file in client.list_artifacts(parent.info.run_id)}
        assert names >= {f"{sweep}_figure.png", f"{sweep}_figure.pdf", f"{sweep}_points.csv"}
        assert parent.data.params["step_size"] == "0.005"
        assert parent.data.metrics["bound_ratio"] <= 1 + 1e-9
        assert parent.inputs.dataset_inputs[0].dataset.digest
        assert parent.data.tags["mlflow.note.content"]
    parent, _ = runs(client, "width")
    assert parent.data.metrics["limit_const"] > 0


def test_table_agrees_with_the_tracked_runs(finished, client):
    table = pd.read_csv(finished.path / "data/smoke/08_reporting/width_points.csv").set_index("point")
    _, children = runs(client, "width")
    for child in children:
        row = table.loc[child.data.tags["implicit_bias.point"]]
        for name in METRICS | PREDICTED:
            np.testing.assert_allclose(child.data.metrics[name], row[name], rtol=1e-12, err_msg=name)


def test_cases_share_their_end_to_end_start_and_flow_meets_descent(finished):
    table = pd.read_csv(finished.path / "data/smoke/08_reporting/imbalance_points.csv")
    assert table["distance_init"].std() <= 1e-9 * table["distance_init"].mean()
    for _, pair in table.groupby("case"):
        assert np.ptp(pair["distance"]) <= 0.05 * pair["distance"].mean()


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(finished, tmp_path):
    parallel = make_project(tmp_path)
    parallel.run("--pipelines=width_sweep", "--params=width_sweep.workers=2")
    folder = "data/smoke/07_model_output/width"
    names = sorted(file.name for file in (finished.path / folder).iterdir())
    assert names == sorted(file.name for file in (parallel.path / folder).iterdir())
    assert len(names) == 4
    for name in names:
        with np.load(finished.path / folder / name) as serial, np.load(parallel.path / folder / name) as other:
            assert serial.files == other.files
            for array in serial.files:
                np.testing.assert_array_equal(serial[array], other[array], err_msg=array)


@pytest.mark.slow
def test_a_diverging_point_fails_alone(tmp_path):
    project = make_project(tmp_path)
    output = project.run("--pipelines=imbalance_sweep", "--params=imbalance_sweep.step_size=20")
    assert "diverged" in output
    assert "2 / lambda_max" in output
    parent, children = runs(MlflowClient(project.store), "imbalance")
    statuses = {child.data.tags["implicit_bias.point"]: child.info.status for child in children}
    assert parent.info.status == "FAILED"
    assert all(status == "FINISHED" for point, status in statuses.items() if point.endswith("gradient_flow"))
    failed = [child for child in children if child.info.status == "FAILED"]
    assert failed
    assert all("2 / lambda_max" in child.data.tags["implicit_bias.error"] for child in failed)
    page = (project.path / "data/smoke/08_reporting/report.html").read_text(encoding="utf-8")
    assert f"{8 - len(failed)} of 8 points finished" in page
    assert "2 / lambda_max" in page
    assert "Width sweep" not in page  # a sweep alone has a page of its own


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("width_sweep.widths=0", "greater than or equal to 1"),
        pytest.param(*("width_sweep.widths=1.5", "valid integer"), marks=pytest.mark.slow),
        pytest.param(*("width_sweep.stop.tolerance=-1", "greater than 0"), marks=pytest.mark.slow),
        pytest.param(*("width_sweep.step_size=0", "greater than 0"), marks=pytest.mark.slow),
        ("width_sweep.unknown_key=1", "Extra inputs are not permitted"),
        pytest.param(*("width_sweep.initialization=zeros", "gaussian"), marks=pytest.mark.slow),
        ("width_sweep.problem=nowhere", "gaussian-draw=0, whitened-draw=0"),
        pytest.param(*("data.gaussian.n=0", "greater than or equal to 1"), marks=pytest.mark.slow),
    ],
)
def test_bad_parameters_are_refused_before_any_work(tmp_path, override, message):
    project = make_project(tmp_path)
    output = project.run("--pipelines=width_sweep", f"--params={override}", check=False)
    flat = " ".join(output.split())
    assert message in flat
    assert override.split("=")[0].split(".")[-1] in flat
    assert not list(project.path.glob("data/smoke/06_models/*/*"))


@pytest.mark.slow
def test_alpha_outside_the_theorems_is_said_and_run(tmp_path):
    project = make_project(tmp_path)
    output = project.run("--pipelines=width_sweep", "--params=width_sweep.alpha=0.2")
    assert "outside (1/4, 1/2]" in " ".join(output.split())
    summary = json.loads((project.path / "data/smoke/08_reporting/width_summary.json").read_text())
    assert summary["metric/failed"] == 0


def test_a_point_that_cannot_start_fails_alone(tmp_path):
    project = make_project(tmp_path)
    output = project.run(
        "--pipelines=width_sweep", "--params=width_sweep.initialization=orthogonal_layers,width_sweep.widths=5 40"
    )
    assert "needs width h > r = 6, got h = 5" in output
    parent, children = runs(MlflowClient(project.store), "width")
    assert parent.info.status == "FAILED"
    assert sorted(child.info.status for child in children) == ["FAILED"] * 2 + ["FINISHED"] * 2
    table = pd.read_csv(project.path / "data/smoke/08_reporting/width_points.csv")
    assert table["width"].tolist() == [40, 40]


def test_the_run_ends_with_a_report_that_its_parents_keep(finished, client, tmp_path):
    page = (finished.path / "data/smoke/08_reporting/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 5  # the law has no answers to a sweep over scales
    for sweep in ("width", "imbalance"):
        parent, _ = runs(client, sweep)
        assert parent.info.run_id in page
        kept = Path(client.download_artifacts(parent.info.run_id, "report.html", str(tmp_path)))
        assert page == kept.read_text(encoding="utf-8")
