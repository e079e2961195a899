"""A sweep over depths, as a person runs it: what is tracked, how it ends, and that depth 2 is the paper's network."""

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from implicit_bias.pipelines.kinds.deep.initialize import network_of
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.cost import estimate_cost
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.records import point_fingerprint, settings_of
from implicit_bias.theory import reparametrize
from implicit_bias.tracking.tags import SWEEP
from tests.support.project import Project, make_project

METRICS = {"distance", "law_rms", "law_rms_run", "leak", "levels", "imbalance_drift", "iterations", "loss"}
SMOKE = (
    "--pipelines=width_sweep",
    "--params=data.gaussian.rank=2,data.gaussian.m=1,width_sweep.figure=depth,width_sweep.depths=1 2 3,"
    "width_sweep.most_weights=20000,width_sweep.widths=30 1000000",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("depth"))
    assert "depth 1 is plain regression" in project.run(*SMOKE)
    return project


@pytest.fixture(scope="module")
def table(finished) -> pd.DataFrame:
    return pd.read_csv(finished.path / "data/smoke/08_reporting/width_points.csv")


def test_every_depth_width_and_seed_is_a_child_with_its_metrics(finished, table):
    client = MlflowClient(finished.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    found = client.search_runs([experiment.experiment_id], "tags.`implicit_bias.sweep` = 'width'")
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    told = {tuple(int(run.data.params[name]) for name in ("depth", "width", "seed")) for run in children}
    assert told == {(L, h, s) for L in (1, 2, 3) for h in (30, 10**6) for s in (0, 1)}
    assert len(children) == 12
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics.keys() >= {f"limit_const/{L}" for L in (1, 2, 3)}
    rows = table.set_index("point")
    for run in children:
        assert run.data.metrics.keys() >= METRICS | {f"imbalance/{l}" for l in range(1, int(run.data.params["depth"]))}
        assert run.data.metrics["distance"] == pytest.approx(
            rows.loc[run.data.tags["implicit_bias.point"], "distance"], rel=1e-12
        )


def test_runs_are_whole_networks_up_to_the_leak(table):
    assert (table["leak"] <= 1e-6).all()
    assert (table["imbalance_drift"] <= 1e-6).all()
    assert (table["distance"] <= 6 * table["law_rms_run"]).all()  # beyond: 1e-7 of a chi distribution with 18 degrees
    wide = table[(table["width"] == 10**6) & (table["depth"] == 3)]
    np.testing.assert_allclose(wide["law_rms_run"], wide["law_rms"], rtol=0.02)  # spread of order h^-1/2


@pytest.mark.slow
def test_depth_2_is_the_two_layer_sweep(table, tmp_path):
    project = make_project(tmp_path)
    project.run(*SMOKE[:1], SMOKE[1].replace("depths=1 2 3", "depths=2").replace("figure=depth", "figure=width"))
    two = pd.read_csv(project.path / "data/smoke/08_reporting/width_points.csv").set_index(["width", "seed"])
    deep = table[table["depth"] == 2].set_index(["width", "seed"])
    for name in ("distance_init", "law_rms", "law_bound"):  # of the same draw, by the same formulas
        np.testing.assert_allclose(deep[name], two.loc[deep.index, name], rtol=1e-13)
    for name in ("distance", "law_rms_run", "iterations"):  # of two integrators with a tolerance of 1e-8
        np.testing.assert_allclose(deep[name], two.loc[deep.index, name], rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_run_that_is_repeated_computes_nothing(finished):
    output = finished.run(*SMOKE)
    assert "train: 12 of 12 were done before" in output


@pytest.mark.slow
def test_an_exhausted_budget_fails_its_points_alone_and_says_what_to_change(tmp_path):
    project = make_project(tmp_path)
    output = project.run(*SMOKE[:1], SMOKE[1].replace("most_weights=20000", "most_weights=100"))
    assert "allow more weights or a larger leak_tol" in output
    table = pd.read_csv(project.path / "data/smoke/08_reporting/width_points.csv")
    assert len(table[table["depth"] < 3]) == 8
    page = (project.path / "data/smoke/08_reporting/report.html").read_text(encoding="utf-8")
    assert f"{len(table)} of 12 points finished" in page
    assert len(table) < 12


@pytest.mark.slow
def test_gains_are_points_whose_runs_end_at_the_constants_of_their_gains(tmp_path):
    project = make_project(tmp_path)
    changes = {"figure=depth": "figure=scales", "depths=1 2 3": "depths=2 3", "widths=30 1000000": "widths=1000000"}
    settings = SMOKE[1] + ",width_sweep.inner_gain=0.3 1,width_sweep.leak_tol=0.0001"
    for before, after in changes.items():
        settings = settings.replace(before, after)
    project.run(SMOKE[0], settings)
    table = pd.read_csv(project.path / "data/smoke/08_reporting/width_points.csv")
    runs = table.groupby(["depth", "inner_gain"])["law_rms_run"].mean() * 1000
    assert list(runs.index) == [(2, 1.0), (3, 0.3), (3, 1.0)]
    client = MlflowClient(project.store)
    found = client.search_runs(
        [client.get_experiment_by_name("implicit_bias").experiment_id], f"tags.`{SWEEP}` = 'width'"
    )
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run.data.params for run in found if "mlflow.parentRunId" in run.data.tags]
    assert {(each["depth"], each["inner_gain"]) for each in children} == {("2", "1.0"), ("3", "0.3"), ("3", "1.0")}
    for name, value in zip(("2", "3/0.3", "3/1"), runs, strict=True):
        assert parent.data.metrics[f"limit_const/{name}"] == pytest.approx(value, rel=0.02)  # spread of order h^-1/2
    assert runs[3, 0.3] != pytest.approx(runs[3, 1.0], rel=0.02)


def test_studies_of_two_layers_are_refused_before_any_work(tmp_path):
    project = make_project(tmp_path)
    for name in ("lazy", "early"):
        output = project.run(f"--pipelines={name}", SMOKE[1], check=False)
        assert "compares two-layer linear networks; width_sweep has depths [1, 2, 3]" in output
    assert not (project.path / "data/smoke").exists()


BASE = {"title": "t", "widths": [10], "seeds": [0], "alpha": [0.5], "step_size": 0.1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"figure": "width", "depths": [2, 3]}, "leave out depths"),
        ({"figure": "depth"}, "give depths other than 2"),
        ({"figure": "depth", "depths": [3], "initialization": ["uniform"]}, "gaussian"),
        ({"figure": "depth", "depths": [0]}, "greater than or equal to 1"),
        ({"figure": "depth", "depths": [3], "inner_gain": -1.0}, "inner_gain"),
        ({"figure": "depth", "depths": [3], "inner_gain": [0.3, 3.0]}, "it shows one inner_gain, .* figure scales"),
        ({"figure": "scales", "depths": [3], "inner_gain": [1.0, 1.0]}, "inner_gain must differ"),
        ({"figure": "depth", "depths": [3], "leak_tol": 0.0}, "leak_tol"),
        ({"figure": "depth", "depths": [3], "alpha": [0.4, 0.5]}, "one alpha"),
        ({"figure": "scales", "depths": [3], "alpha": [0.4, 0.5], "widths": [9, 10]}, "at one width"),
        ({"figure": "scales", "alpha": [0.4, 0.5]}, "give depths other than 2"),
    ],
)
def test_bad_parameters_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Sweep(**(BASE | settings))


def test_a_gain_multiplies_the_inner_layers_of_the_network_that_a_seed_selects():
    X = np.random.default_rng(1).standard_normal((3, 8))
    problem = reparametrize(X, X[:, :1])
    sweep = Sweep(**BASE, figure="scales", depths=[4], inner_gain=[1.0, 0.25])
    one, quarter = (network_of(point, sweep, problem).state().layers for point in sweep.points())
    for factor, layer, other in zip((1, 0.25, 0.25, 1), one, quarter, strict=True):
        np.testing.assert_array_equal(other, factor * layer)


def test_records_of_one_kind_of_network_are_not_those_of_another():
    two, deep = Sweep(**BASE, figure="width"), Sweep(**BASE, figure="depth", depths=[2, 3])
    (point,) = two.points()
    assert point in deep.points()
    first, second = (point_fingerprint(TRAINING, point, "data", settings_of(sweep)) for sweep in (two, deep))
    assert first != second


def test_the_cost_of_a_deep_sweep_is_estimated():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 12)) / 3
    problem = reparametrize(X, X @ rng.standard_normal((12, 1)))
    few, many = (Sweep(**BASE | {"seeds": seeds}, figure="depth", depths=[2, 3]) for seeds in ([0], [0, 1, 2]))
    assert 0 < estimate_cost(problem, few, 1).seconds < estimate_cost(problem, many, 1).seconds < np.inf
