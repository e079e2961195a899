"""The lazy view, early stopping and the universality sweep on a tiny grid, as a person runs them."""

import re

import numpy as np
import pandas as pd
import pytest
from kedro.pipeline import Pipeline
from matplotlib.figure import Figure
from mlflow import MlflowClient

from implicit_bias.figures.early import early_figure
from implicit_bias.figures.imbalance import rate_bias_figure
from implicit_bias.figures.lazy import gaps_figure, kernel_figure
from implicit_bias.figures.universality import universality_figure
from implicit_bias.pipeline_registry import register_pipelines
from implicit_bias.pipelines.studies.lazy import compare_point
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.project import Project, finished_project, make_project

WIDTHS = "--params=width_sweep.widths=7 300,width_sweep.figure=alpha,width_sweep.alpha=0.3 0.5,width_sweep.seeds=0"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return finished_project(tmp_path_factory, "--pipelines=lazy,early", f"{WIDTHS},data.gaussian.held_out=20")


def tracked(project: Project, sweep: str) -> dict[str, dict[str, float]]:
    """Point -> metrics of the children of a sweep's run."""
    client = MlflowClient(project.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([experiment.experiment_id], f"tags.`implicit_bias.sweep` = '{sweep}'")
    assert all(run.info.status == "FINISHED" for run in runs)
    return {
        run.data.tags["implicit_bias.point"]: run.data.metrics for run in runs if "implicit_bias.point" in run.data.tags
    }


@pytest.mark.slow
def test_companions_of_every_point_are_tracked(project):
    points = tracked(project, "width")
    assert len(points) == 4
    for key, metrics in points.items():
        assert {"lin_loss", "lin_dist", "curve/lin_excess", "curve/lin_dist"} <= set(metrics)
        wide = int(key[6:22]) == 300  # r + m = 8
        assert ({"inf_loss", "inf_dist", "limit_kernel", "curve/inf_dist"} <= set(metrics)) == wide
    balanced = {key: metrics for key, metrics in tracked(project, "imbalance").items() if "balanced" in key}
    assert balanced
    assert all("lin_loss" in metrics and "inf_loss" not in metrics for metrics in balanced.values())


@pytest.mark.slow
def test_ridge_gaps_and_risks_are_tracked_and_tabled(project):
    table = pd.read_csv(project.path / "data/smoke/08_reporting/width_early.csv").set_index("point")
    points = tracked(project, "width")
    assert set(points) == set(table.index)
    for key, metrics in points.items():
        for name in ("ridge_gap", "risk_end", "risk_best", "ridge_best"):
            assert metrics[name] == pytest.approx(table.loc[key, name], rel=1e-12)
        assert metrics["risk_best"] <= metrics["risk_end"]
        assert {"curve/ridge_lambda", "curve/ridge_gap", "curve/risk"} <= set(metrics)
    unseen = tracked(project, "imbalance")
    assert all("ridge_gap" in metrics and "risk_end" not in metrics for metrics in unseen.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaps", "kernel", "lazy", "early"])
def test_studies_write_their_files_for_both_sweeps(project, name):
    for sweep in ("width", "imbalance"):
        files = list((project.path / "data/smoke/08_reporting").glob(f"{sweep}_{name}.*"))
        assert files
        assert all(file.stat().st_size > 0 for file in files)


@pytest.mark.slow
def test_the_report_shows_the_studies_that_a_run_joins(project):
    page = (project.path / "data/smoke/08_reporting/report.html").read_text(encoding="utf-8")
    titles = re.findall('<h2 id="([^"]+)-title">', page)
    assert set(titles) == {f"{sweep}{study}" for sweep in ("width", "imbalance") for study in ("", "_lazy", "_early")}
    assert "an earlier run" not in page
    again = project.kedro("implicit-bias", "report", "--output", "tracked.html")
    assert "Width sweep: linearised and infinite-width flows: all 4 points compared" in again
    tracked = (project.path / "tracked.html").read_text(encoding="utf-8")
    captions = [re.findall("<figcaption>.*?</figcaption>", each) for each in (page, tracked)]
    assert sorted(captions[0]) == sorted(captions[1])


def test_pipelines_join_in_one_run():
    pipelines = register_pipelines()
    for names in (
        ("width_sweep", "imbalance_sweep"),
        ("lazy", "early"),
        ("implicit_bias", "verification", "descent_study"),
    ):
        joined = sum((pipelines[name] for name in names), Pipeline([]))
        assert joined.nodes


@pytest.mark.slow
def test_a_sweep_over_entries_is_drawn_against_the_law(tmp_path):
    project = make_project(tmp_path)
    project.run(
        "--pipelines=width_sweep",
        "--params=width_sweep.figure=universality,width_sweep.initialization=gaussian sparse orthogonal",
    )
    table = pd.read_csv(project.path / "data/smoke/08_reporting/width_points.csv")
    assert set(table["initialization"]) == {"gaussian", "orthogonal", "sparse"}
    assert table["law_rms"].notna().all()
    assert table["thm2"].notna().tolist() == (table["initialization"] == "gaussian").tolist()
    assert table["density"].notna().tolist() == (table["initialization"] == "sparse").tolist()


@pytest.mark.slow
def test_a_width_that_cannot_be_drawn_is_refused_before_any_work(tmp_path):
    project = make_project(tmp_path)
    params = "width_sweep.figure=universality,width_sweep.initialization=uniform,width_sweep.widths=10 1000000000000"
    output = project.run("--pipelines=width_sweep", f"--params={params}", check=False)
    assert "initialization uniform is drawn entry by entry" in output
    assert not list(project.path.glob("data/smoke/05_model_input/width/*"))


def test_points_that_were_done_before_they_began_are_compared_with_what_stands_still():
    rng = np.random.default_rng(0)
    problem = reparametrize(rng.standard_normal((3, 6)), rng.standard_normal((3, 1)))
    state = scaled(standard_normal(problem, 40, rng), 0.1, 0.1)
    run = gradient_flow(problem, state, [], Stop(excess=1e3))
    assert run.t.size == 1
    point = Point("p", "data", 40, 0, 0.1, 0.1, "gradient_flow")
    sweep = Sweep(title="t", figure="width", widths=[40], seeds=[0], alpha=[0.5], step_size=0.1)
    record = compare_point(point, sweep, vars(problem), vars(state), vars(run))
    assert (record["metric/lin_loss"], record["metric/lin_dist"]) == pytest.approx((0, 0), abs=1e-12)


def labelled(figure: Figure) -> bool:
    return all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_gaps_are_drawn_against_each_parameter_that_varies():
    rng = np.random.default_rng(0)
    h, alpha = (grid.ravel() for grid in np.meshgrid([10.0, 100.0, 1000.0], [0.2, 0.5]))
    points = {"width": h, "alpha": alpha, "sigma_u": h**-alpha, "sigma_v": h**-alpha}
    for name in ("lin_loss", "lin_dist", "inf_loss", "inf_dist", "kernel_move", "rate", "limit_kernel", "limit_rate"):
        points[name] = rng.uniform(0.1, 1, h.size)
    points["inf_loss"][0] = np.nan
    figure = gaps_figure(points)
    assert labelled(figure)
    assert [ax.get_xlabel() for ax in figure.axes] == [r"width $h$", r"$\alpha$, scales $h^{-\alpha}$"] * 2
    assert [len(ax.lines) for ax in figure.axes] == [4, 6, 4, 6]
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), points["lin_loss"][alpha == 0.2])
    assert labelled(kernel_figure(points))
    single = gaps_figure({name: column[:1] for name, column in points.items()})
    assert [ax.get_xlabel() for ax in single.axes] == [r"width $h$"] * 2


def test_universality_shows_root_mean_squares_with_their_standard_errors():
    points = {
        "initialization": np.array(["gaussian"] * 4 + ["sparse"] * 4),
        "width": np.array([10.0, 10, 100, 100] * 2),
        "distance": np.array([1.0, 3, 2, 2, 5, 5, 6, 6]),
        "law_rms": np.full(8, 2.0),
    }
    figure = universality_figure(points, {"sparse": 2.0}, "law_rms", "law")
    (ax,) = figure.axes
    assert labelled(figure)
    drawn = ax.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, [np.sqrt(5) / 2, 1.0])
    (bar,) = ax.containers[0].lines[2][0].get_segments()[:1]
    deviation = np.std([0.25, 2.25], ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(np.ptp(bar[:, 1]), 2 * deviation / (2 * drawn[0]))


def test_early_stopping_is_drawn_without_held_out_rows_too():
    path = np.geomspace(100, 0.01, 9)
    paths = {"penalty": path, "flow_penalty": path * 1.1, "flow_gap": np.full(9, 0.1)}
    run = {"curve/ridge_lambda": np.array([np.inf, 1.0, 0.0]), "curve/ridge_gap": np.ones(3), "time": np.arange(3.0)}
    figure = early_figure({"run": run}, paths)
    assert labelled(figure)
    assert figure.axes[0].texts[0].get_text() == "no held-out rows"
    risks = {"risk": np.ones(9), "flow_risk": np.ones(9), "ridgeless": 2.0}
    assert len(early_figure({"run": run | {"curve/risk": np.ones(3)}}, paths | risks).axes[0].lines) == 3


def test_the_rate_bias_plane_shows_the_law_beside_the_runs():
    ratio = np.repeat([0.1, 1.0, 10.0], 2)
    points = {"sigma_u": ratio**0.5, "sigma_v": ratio**-0.5, "distance": np.arange(6.0) + 4, "rate": ratio + 1}
    points |= {"law_rms": 5 + ratio / 10, "limit_rate": ratio + 2}
    (ax,) = rate_bias_figure(points).axes
    *ties, law = ax.lines
    np.testing.assert_allclose(law.get_xydata(), np.transpose([[5.01, 5.1, 6.0], [2.1, 3.0, 12.0]]))
    for tie, ends in zip(ties, ([4.5, 1.1, 5.01, 2.1], [6.5, 2.0, 5.1, 3.0], [8.5, 11.0, 6.0, 12.0]), strict=True):
        np.testing.assert_allclose(tie.get_xydata().ravel(), ends)
    low, high = ax.get_xlim()
    assert low < 4.5
    assert high > 8.5
