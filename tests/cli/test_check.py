"""`kedro implicit-bias check`: what it says of data and parameters, and that it refuses what cannot be run."""

import copy
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

import implicit_bias
from implicit_bias import cli
from implicit_bias.cli.check import (
    Instance,
    NotYetMade,
    _chosen,
    _loader,
    check_instance,
    find_instances,
    tracking_fault,
)
from implicit_bias.project import rendered
from implicit_bias.sweeps.cost import estimate_cost
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory import draw_data, limit_const, reparametrize
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.store import Store
from tests.support.project import REPOSITORY
from tests.support.their_project import PACKAGE, kedro_new, tables

INSTANCE = Instance("own", {"X": "inputs", "Y": "targets"}, ["width_sweep"])


def parameters(**changes: dict[str, Any]) -> dict[str, Any]:
    """What init writes, with changes to its blocks."""
    words = {"namespace": "own", "title": "own", "targets": "null"}
    blocks = copy.deepcopy(yaml.safe_load(rendered("parameters.yml", words))["own"])
    for name, change in changes.items():
        blocks[name] = (blocks[name] or {}) | change
    return {"own": blocks}


def said(X: Any, Y: Any, **changes: dict[str, Any]) -> str:
    loaded = {"X": X, "Y": Y}
    return "\n".join(check_instance(INSTANCE, parameters(**changes), lambda argument, _: loaded[argument]))


def test_what_init_writes_can_be_run_and_is_described() -> None:
    X, Y = tables(n=12, D=40, m=2)
    X["x1"] = X["x0"]
    text = said(X, Y, own_data={"center_x": True, "scale_y": "columns", "held_out": 2})
    assert "data: X from 'inputs', Y from 'targets'; X centred, Y scaled by columns; 2 test rows" in text
    assert "n = 10, D = 40, m = 2, r = 9, cond Σx = " in text
    assert "rank rule: σᵢ > 8.9e-15 σ₁ (max(n, D) × machine epsilon)" in text
    assert "h ≥ r + m = 11: yes" in text
    assert "alpha = 0.5: 1/4 < alpha <= 1/2 yes, D > r yes" in text
    assert "25 points, about " in text


ACTIVATIONS = {"figure": "activations", "activations": ["erf", "relu"], "sigma_u": 2.0, "alpha": 1.0}


def test_sweeps_over_activations_are_described_and_need_test_rows() -> None:
    X, Y = tables(n=12, D=40)
    text = said(X, Y, own_data={"held_out": 3, "scale_x": "table"}, width_sweep=ACTIVATIONS | {"widths": [20, 50]})
    assert "activations erf, relu; preactivations at the start, root mean square: 2 at h = 20, 2 at h = 50" in text
    assert "3 test rows, of which training does not see" in text
    assert "20 points, about " in text
    assert "Lemma 1" not in text
    with pytest.raises(ValueError, match="no test rows, at which networks with activations are compared"):
        said(X, Y, width_sweep=ACTIVATIONS)


def test_numbers_are_those_of_the_theory() -> None:
    X, Y = tables(n=6, D=30)
    problem = reparametrize(X.to_numpy(), Y.to_numpy())
    text = said(X, Y, width_sweep={"widths": [10**10]})
    assert f"cond Σx = {problem.cond:.4g}" in text
    (distance,) = re.findall(r"by the law: (\S+) at h = 10,000,000,000", text)
    assert float(distance) * 1e5 == pytest.approx(limit_const(problem), rel=1e-2)


def test_what_is_out_of_reach_is_said_and_rounding_is_not() -> None:
    X, Y = tables(n=6, D=30, m=2)
    assert "; nothing of ‖Y‖² is out of reach" in said(X, Y)
    X.iloc[5] = X.iloc[4]  # two targets for one input: their half difference stays
    share = ((Y.iloc[5] - Y.iloc[4]) ** 2).sum() / 2 / (Y**2).to_numpy().sum()
    assert f"; {100 * share:.2g} % of ‖Y‖² is out of reach" in said(X, Y)


def test_hypotheses_that_fail_are_said() -> None:
    X, Y = tables(n=30, D=5)
    text = said(X, Y, width_sweep={"alpha": 0.2, "widths": [4, 100]})
    assert "h ≥ r + m = 6: not guaranteed at h = 4" in text
    assert "alpha = 0.2: 1/4 < alpha <= 1/2 no, D > r no" in text
    assert "by the law" not in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"own_data": {"held_out": -1}},
         "own.own_data.held_out: Input should be greater than or equal to 0, got -1"),
        ({"own_data": {"centre_x": True}},
         "own.own_data.centre_x: Extra inputs are not permitted (did you mean center_x?), got True"),
        ({"width_sweep": {"cases": {"pairs": [[1, 1]]}}},
         "own.width_sweep: give either alpha or cases: both set the scales of U(0) and V(0)"),
        ({"width_sweep": {"problem": "gaussian"}},
         "own.width_sweep: there is one data set, 'own': leave problem and redraw_data out"),
        ({"own_data": {"scale_x": "rows"}, "width_sweep": {"widths": 0}},
         "own.own_data.scale_x: Input should be 'none', 'columns' or 'table', got 'rows'\n"
         "own.width_sweep.widths.0: Input should be greater than or equal to 1, got 0"),
        ({"own_data": {"targets": "glucose"}}, "own_data.targets: Y has no column 'glucose', it has column 'y0'"),
    ],
)  # fmt: skip
def test_conflicting_parameters_are_refused_all_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        said(*tables(), **changes)
    assert str(refusal.value) == message


def test_parameters_of_a_dotted_namespace_are_nested_as_kedro_validates_them() -> None:
    dotted, loaded = Instance("lab.own", INSTANCE.tables, INSTANCE.sweeps), dict(zip("XY", tables(), strict=True))
    blocks = parameters()["own"]
    assert check_instance(dotted, {"lab": {"own": blocks}}, lambda argument, _: loaded[argument])
    with pytest.raises(ValueError, match=r"^lab.own.own_data: no such parameters"):
        check_instance(dotted, {"lab.own": blocks}, lambda argument, _: loaded[argument])


def test_missing_parameters_are_named() -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        check_instance(INSTANCE, {"other": {}}, lambda *_: None)
    assert str(refusal.value).split("\n") == [
        f"own.{name}: no such parameters in this environment (--env): kedro implicit-bias init writes them"
        for name in ("own_data", "reparametrization", "width_sweep")
    ]


def test_instances_are_found_among_the_pipelines_of_a_project() -> None:
    first = implicit_bias.create_pipeline("a", "b", namespace="lab.first", sweeps=("width_sweep", "imbalance_sweep"))
    second = implicit_bias.create_pipeline("t", "t", X_test="u", namespace="lab.second")
    found = find_instances({"__default__": first + second, "first": first, "second": second})
    assert found["lab.first"].tables == {"X": "a", "Y": "b"}
    assert sorted(found["lab.first"].sweeps) == ["imbalance_sweep", "width_sweep"]
    assert found["lab.second"].tables == {"X": "t", "X_test": "u"}
    assert len(found) == 2


def test_an_unknown_namespace_is_refused() -> None:
    with pytest.raises(click.ClickException) as refusal:
        _chosen({"first": INSTANCE, "second": INSTANCE}, "third")
    assert refusal.value.message == (
        "no pipeline has the namespace 'third', there is first, second: kedro implicit-bias init --namespace third "
        "adds it"
    )
    with pytest.raises(click.ClickException) as refusal:
        _chosen({}, None)
    assert refusal.value.message == "no pipeline for own data is registered here: kedro implicit-bias init adds one"


def test_a_server_that_refuses_is_named_without_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = tracking_fault({"uri": "http://me:secret@127.0.0.1:1"}, tmp_path)
    with pytest.raises(TrackingError) as refusal:  # of a run
        Store("http://me:secret@127.0.0.1:1", tmp_path)
    assert said == f"tracking: {refusal.value}"
    assert "[Errno 111] Connection refused" in said
    assert "secret" not in said
    assert tracking_fault({}, tmp_path) == ""
    assert tracking_fault({"uri": "sqlite:///mlflow.db"}, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["mlruns", "databricks"])
def test_stores_that_a_run_refuses_are_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DATABRICKS_HOST", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TrackingError) as refusal:
        Store(uri, tmp_path)
    assert tracking_fault({"uri": uri}, tmp_path) == f"tracking: {refusal.value}"


def test_misspelt_settings_of_tracking_are_refused(tmp_path: Path) -> None:
    said = tracking_fault({"experimnt": "mine"}, tmp_path)
    expected = "uri, experiment, optional, ui, on_repeat"
    assert said == f"tracking: tracking.experimnt is unknown: expected {expected}; did you mean experiment?"


@pytest.mark.parametrize("solver", ["gradient_flow", "gradient_descent"])
def test_costs_grow_with_what_is_computed(solver: str) -> None:
    X, Y, _ = draw_data(10, 50, 1, np.random.default_rng(0))
    problem = reparametrize(X, Y)
    common = {"title": "t", "figure": "width", "widths": [100], "alpha": 0.5, "step_size": 0.01, "solvers": [solver]}
    common |= {"stop": {"tolerance": 1e-8}}
    one, two, ten = (estimate_cost(problem, Sweep(seeds=f"1:{k}", **common), 1) for k in (1, 2, 10))
    assert ten.disk - two.disk == pytest.approx(8 * (two.disk - one.disk))  # figures of the sweep are made once
    assert ten.seconds > one.seconds
    in_two_processes = estimate_cost(problem, Sweep(seeds="1:10", **common), 2)
    assert in_two_processes.memory > one.memory


@pytest.mark.slow
def test_a_project_is_checked_and_a_missing_dataset_named(tmp_path: Path) -> None:
    project = kedro_new(tmp_path)
    X, Y = tables(n=5, D=9)
    (project.path / "data").mkdir(exist_ok=True)
    X.to_csv(project.path / "data/x.csv", index=False)
    Y.to_csv(project.path / "data/y.csv", index=False)
    (project.path / "conf/base/catalog.yml").write_text(
        "x: {type: pandas.CSVDataset, filepath: data/x.csv}\ny: {type: pandas.CSVDataset, filepath: data/y.csv}\n"
    )
    project.kedro("implicit-bias", "init", "--x=x", "--y=y", "--namespace=good")
    assert "n = 5, D = 9, m = 1, r = 5" in project.kedro("implicit-bias", "check")
    project.kedro("implicit-bias", "init", "--x=x", "--y=nowhere", "--namespace=bad")
    output = project.kedro("implicit-bias", "check", check=False)
    assert "good: can be run" in output
    assert (
        "bad: cannot be run\n  Y: dataset 'nowhere' is not in the catalog of their-study: add it, of any type that "
        "loads to a table, or name another by init" in output
    )
    assert not list(project.path.glob("data/good"))
    assert not (project.path / "mlflow.db").exists()
    assert (project.path / f"src/{PACKAGE}/pipelines/good/__init__.py").exists()


def test_tables_that_pipelines_of_the_project_make_are_named_with_what_makes_them(tmp_path: Path) -> None:
    own = implicit_bias.create_pipeline("clean", "raw", namespace="own")
    prepare = Pipeline([Node(lambda raw: raw, "raw", "clean", name="clean")])
    catalog = DataCatalog({"raw": MemoryDataset(tables()[0])})
    context = SimpleNamespace(catalog=catalog, project_path=tmp_path)
    instance = find_instances({"own": own})["own"]
    apart = _loader(context, instance, {"own": own, "prepare": prepare})
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        apart("X", "clean")
    assert str(refusal.value) == (
        "X: dataset 'clean' is not made yet: kedro run --pipelines=prepare makes it and, to be kept, an entry in the "
        f"catalog of {tmp_path.name}"
    )
    assert apart("Y", "raw") is not None
    together = _loader(context, instance, {"own": own, "prepare": prepare, "__default__": own + prepare})
    with pytest.raises(NotYetMade, match="X: dataset 'clean' is made by the same run"):
        together("X", "clean")
    catalog["clean"] = MemoryDataset(tables()[0])
    assert apart("X", "clean") is not None


def test_all_faults_are_said_at_once() -> None:
    def load(argument: str, dataset: str) -> Any:
        raise ValueError(f"{argument}: no {dataset}")

    wrong = parameters(own_data={"held_out": -1}, width_sweep={"problem": "gaussian"})
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        check_instance(INSTANCE, wrong, load)
    assert [line.partition(":")[0] for line in str(refusal.value).split("\n")] == [
        "own.own_data.held_out",
        "own.width_sweep",
        "X",
        "Y",
    ]


@pytest.mark.filterwarnings("ignore:Accessing the .model_fields. attribute:DeprecationWarning")  # of Kedro
@pytest.mark.slow
def test_namespaces_of_other_environments_are_passed_over_in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///nowhere/there-is-none.db")
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    every = CliRunner().invoke(cli.commands, ["implicit-bias", "check"])
    assert every.exit_code == 0, every.output
    assert every.output.count("not of this environment") == 3
    for named in (["--namespace=glucose"], ["--pipelines=spectra"]):
        result = CliRunner().invoke(cli.commands, ["implicit-bias", "check", *named])
        assert (result.exit_code, "glucose: cannot be run" in result.output) == (1, True), result.output
    unknown = CliRunner().invoke(cli.commands, ["implicit-bias", "check", "--pipelines=nothing"])
    assert (unknown.exit_code, "no pipeline is called 'nothing'" in unknown.output) == (1, True)
