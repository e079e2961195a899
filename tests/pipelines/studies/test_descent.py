"""The study of gradient descent as a person runs it: on a tiny size, its files and what is tracked."""

from html import unescape

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from pydantic import ValidationError

from implicit_bias.figures.descent import gap_figure, step_figure
from implicit_bias.pipelines.studies.descent import plan_descents
from implicit_bias.sweeps.studies import DescentStudy
from implicit_bias.theory import draw_data, reparametrize
from implicit_bias.tracking.provenance import plan_fingerprint
from tests.support.pictures import png
from tests.support.project import Project, finished_project, make_project

REPORTING = "data/smoke/08_reporting"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    return finished_project(tmp_path_factory, "--pipelines=descent_study")


@pytest.fixture(scope="module")
def table(finished) -> pd.DataFrame:
    return pd.read_csv(finished.path / REPORTING / "descent_points.csv")


@pytest.mark.slow
def test_every_start_is_tracked_with_its_figures(finished, table):
    client = MlflowClient(finished.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    parents = client.search_runs([experiment.experiment_id], "tags.`implicit_bias.sweep` = 'descent'")
    (parent,) = [run for run in parents if "mlflow.parentRunId" not in run.data.tags]
    children = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert {run.data.params["case"] for run in children} == set(table["point"])
    assert set(children[0].data.metrics) >= {"step_max", "rate_best", "gap_order", "curve/gap"}
    assert max(len(name) for run in children for name in run.data.metrics) <= 12
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files >= {"descent_points.csv", "descent_gaps.png", "descent_steps.png", "report.html"}


@pytest.mark.slow
def test_the_report_has_its_figures_and_what_they_show(finished):
    page = (finished.path / REPORTING / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert "all 4 starts studied" in page
    assert "times what the kernel at the flow's end allows" in unescape(page)
    assert "an earlier run" not in page


def test_other_data_and_other_code_are_another_plan(monkeypatch):
    """An unfinished run is continued by the same plan only."""

    def plan(seed: int) -> str:
        X, Y, _ = draw_data(6, 20, 1, np.random.default_rng(seed))
        study = DescentStudy(title="", problem="line", product=1.0, ratios="1 2")
        planned = plan_descents(study, {"line-draw=0": lambda: vars(reparametrize(X, Y))})
        return plan_fingerprint({"sweep": "descent", **planned})

    first = plan(0)
    assert plan(0) == first
    assert plan(1) != first
    monkeypatch.setattr("implicit_bias.pipelines.studies.descent.numerics", lambda module: "another version")
    assert plan(0) != first


@pytest.mark.slow
def test_the_table_holds_what_theory_says(table):
    assert list(table["point"]) == ["ratio=0.1", "ratio=1", "ratio=10", "balanced"]
    np.testing.assert_allclose(table["gap_order"], 1, atol=0.2)
    assert np.all(table["rate_flow"] >= table["rate_bound"] * (1 - 1e-9))
    assert np.all(table["step_xu"] <= table["step_start"] * (1 + 1e-9))
    assert np.all(table["step_best"] <= table["step_max"] * (1 + 1e-12))


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(finished, table, tmp_path):
    parallel = make_project(tmp_path)
    parallel.run("--pipelines=descent_study", "--params=descent_study.workers=2")
    pd.testing.assert_frame_equal(table, pd.read_csv(parallel.path / REPORTING / "descent_points.csv"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"ratios": [1, 1]}, "ratios must differ"),
        ({"ratios": [0.0]}, "greater than 0"),
        ({"depth": 1e-3}, "less than"),
        ({"first_step": 1.0}, "less than 1"),
        ({"halving": 3}, "Extra inputs are not permitted"),
    ],
)
def test_parameters_that_make_no_sense_are_named(override, message):
    with pytest.raises(ValidationError, match=message):
        DescentStudy(**{"title": "a", "problem": "b", "product": 0.01, "ratios": [1, 2]} | override)


def record(step: float) -> dict:
    steps, t = step / 2.0 ** np.arange(4), np.linspace(0, 3, 10)
    loss = np.exp(-4 * t)
    return {
        "gap_steps": steps,
        "curve/gap": 0.1 * steps,
        "t": t,
        "flow": loss,
        "descents": loss * (1 + 0.1 * steps[:, None]),
    }


def grid(names: list[str], ratios: list[float]) -> dict:
    u, v = np.sqrt(0.01 * np.array(ratios)), np.sqrt(0.01 / np.array(ratios))
    c = np.where(np.array(names) == "balanced", 0.0, 6 * np.maximum(u / v, v / u))
    steps = {name: 10 / (1 + c) * factor for name, factor in (("max", 2), ("start", 1), ("end", 1.1), ("xu", 0.1))}
    rates = {"rate_best": 1 + c, "rate_end": 1 + c, "rate_flow": 2 * c + 1, "rate_bound": 2 * c}
    return {
        "point": np.array(names),
        "sigma_u": u,
        "sigma_v": v,
        "imbalance_c": c,
        "distance": np.full(len(names), 3.0),
        "distance_max": np.full(len(names), 1.0),
        **{f"step_{name}": value for name, value in steps.items()},
        **rates,
    }


GRIDS = {
    "both ways": (["a", "b", "c", "balanced"], [0.1, 1, 10, 1]),
    "one way": (["a", "b"], [1, 10]),
    "one start": (["a"], [5]),
    "balanced alone": (["balanced"], [1]),
}


@pytest.mark.parametrize("name", GRIDS)
def test_figures_are_labelled_and_equal_for_equal_input(name):
    points = grid(*GRIDS[name])
    figure = step_figure(points)
    assert png(figure) == png(step_figure(points))
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    if name == "both ways":
        drawn = np.concatenate([line.get_ydata() for line in figure.axes[0].lines if line.get_marker() in "^v"])
        np.testing.assert_allclose(np.sort(drawn), np.sort(points["step_max"][[0, 1, 1, 2]]))


def test_gap_figure_shows_both_clocks():
    records = {"a": record(1.0), "b": record(0.1)}
    left, middle, right = gap_figure(records, "a", n=20).axes
    for line, step in zip(left.lines, records["a"]["gap_steps"], strict=True):
        np.testing.assert_allclose(line.get_xdata() * 2 * step / 20, records["a"]["t"][1:])
    np.testing.assert_array_equal(middle.lines[-1].get_ydata(), records["a"]["flow"])
    assert len(right.lines) == 3
    assert "2\\eta k/n" in middle.get_xlabel()
