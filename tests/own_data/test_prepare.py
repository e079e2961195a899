"""The pipeline for a problem of one's own: what it makes of tables, its names, and several of it in one project."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

import implicit_bias
from implicit_bias.pipelines.own_data import prepare_data
from implicit_bias.project import catalog, rendered
from implicit_bias.project.configuration import datasets
from implicit_bias.sweeps.data import OwnData, Reparametrization
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.problem import reparametrize
from tests.support.their_project import tables


def prepare(X: Any, Y: Any = None, X_test: Any = None, Y_test: Any = None, **parameters: Any) -> dict[str, Any]:
    return prepare_data(X, OwnData(**parameters), Y, X_test, Y_test)["own-draw=0"]


def test_two_tables_are_a_data_set() -> None:
    X, Y = tables(m=2)
    data = prepare(X, Y)
    np.testing.assert_array_equal(data["X"], X)
    np.testing.assert_array_equal(data["Y"], Y)
    assert data["X_test"].shape == (0, 20)
    assert data["Y_test"].shape == (0, 2)
    assert json.loads(data["preparation"])["targets"] == "y0, y1"


def test_targets_may_be_columns_of_the_one_table() -> None:
    X, Y = tables(m=2)
    both = pd.concat([X, Y], axis=1).assign(id="text that nobody asks for")
    data = prepare(both, targets=["y0", "y1"], drop=["id"])
    np.testing.assert_array_equal(data["X"], X)
    np.testing.assert_array_equal(data["Y"], Y)
    np.testing.assert_array_equal(prepare(both, targets="y1", columns="x*")["Y"], Y[["y1"]])


def test_held_out_rows_are_unseen_and_standardised_by_the_others() -> None:
    X, Y = tables(n=9)
    data = prepare(X, Y, held_out=3, center_x=True, center_y=True, scale_x="columns", scale_y="table", seed=4)
    assert (data["X"].shape, data["X_test"].shape, data["Y_test"].shape) == ((6, 20), (3, 20), (3, 1))
    np.testing.assert_allclose(data["X"].mean(axis=0), 0, atol=1e-14)
    raw = np.vstack([data["X"], data["X_test"]]) * data["x_size"] + data["x_shift"]
    np.testing.assert_allclose(np.sort(raw, axis=0), np.sort(X, axis=0), atol=1e-14)
    raw = np.vstack([data["Y"], data["Y_test"]]) * data["y_size"] + data["y_shift"]
    np.testing.assert_allclose(np.sort(raw, axis=0), np.sort(Y, axis=0), atol=1e-14)
    assert prepare(X, Y, held_out=3, seed=5)["X_test"].tolist() != prepare(X, Y, held_out=3, seed=4)["X_test"].tolist()


def test_centring_is_an_intercept_that_is_not_penalised() -> None:
    X, Y = tables(n=6)
    data = prepare(X, Y, center_x=True, center_y=True)
    theta = reparametrize(data["X"], data["Y"]).min_norm_solution
    ones = np.hstack([np.ones((6, 1)), X])  # min ||theta|| with the intercept free: eliminate it by hand
    intercept = data["y_shift"] - data["x_shift"] @ theta
    np.testing.assert_allclose(ones @ np.vstack([intercept, theta]), Y, atol=1e-12)
    other = theta + np.linalg.svd(np.diff(X.to_numpy(), axis=0))[2][-1][:, None]  # another exact solution
    assert np.linalg.norm(other) > np.linalg.norm(theta)


def test_test_tables_are_read_by_the_names_of_the_training_columns() -> None:
    X, Y = tables(n=8)
    test = pd.concat([Y, X], axis=1).iloc[5:, ::-1]
    data = prepare(X[:5], Y[:5], test, center_x=True)
    np.testing.assert_allclose(data["X_test"], X[5:] - X[:5].mean(), atol=1e-15)
    np.testing.assert_array_equal(data["Y_test"], Y[5:])
    np.testing.assert_array_equal(prepare(X[:5], Y[:5], X[5:], Y[5:])["Y_test"], Y[5:])


X, Y = tables()


@pytest.mark.parametrize(
    ("arguments", "parameters", "message"),
    [
        ((X.assign(copy=Y), Y), {}, "X: column 'copy' equals target 'y0' in every row: leave it out by own_data.drop, "
         "or set own_data.targets_in_x to allow"),
        ((X, None), {}, "own_data.targets must name the columns of X that are the targets: there is no table Y"),
        ((X, None), {"targets": "y"}, "own_data.targets: X has no column 'y', it has columns 'x0', 'x1', 'x2', 'x3', "
         "'x4', ... (20 columns)"),
        ((X, Y), {"held_out": 8}, "own_data.held_out must be below the 8 rows of X, got 8"),
        ((X, Y, X, Y), {"held_out": 2}, "own_data.held_out is 2, but there is a table of test rows: give one"),
        ((X, Y, X[:3], Y), {}, "X_test has 3 rows, Y_test has 8: they must have as many"),
        ((X, Y, X[["x1"]], Y), {}, "X_test lacks columns 'x0', 'x2', 'x3', 'x4', 'x5', ... (19 columns) of X"),
        ((X, Y, X), {}, "X_test lacks column 'y0' of Y"),
        ((0 * X, Y), {}, "X: every entry is 0, which leaves rank 0 and nothing to learn from"),
        ((0 * X + 3, Y), {"center_x": True}, "X: every column is constant, which leaves rank 0 and nothing to learn "
         "from"),
        ((Y, X), {}, "X has D = 1, Y has m = 20: more targets than inputs and no fewer rows than inputs; are the two "
         "tables exchanged?"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(arguments: tuple[Any, ...], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        prepare(*arguments, **parameters)
    assert str(refusal.value) == message


def test_a_target_among_the_inputs_can_be_allowed() -> None:
    X, Y = tables()
    assert prepare(X.assign(copy=Y), Y, targets_in_x="allow")["X"].shape == (8, 21)


def test_all_names_are_in_the_namespace_but_those_given() -> None:
    pipeline = implicit_bias.create_pipeline(
        X="spectra", Y="raw_glucose", namespace="a.glucose", outputs={"width_sweep.table": "glucose_points"}
    )
    assert pipeline.inputs() == {
        "spectra",
        "raw_glucose",
        "a.glucose.width_sweep.stored",
        "a.glucose.width_sweep.tracked",
        "a.glucose.sections",
        *(f"params:a.glucose.{name}" for name in ("own_data", "reparametrization", "width_sweep")),
    }
    free = {name for name in pipeline.all_outputs() if not name.startswith("a.glucose.")}
    assert free == {"glucose_points"}
    assert all(node.namespace.startswith("a.glucose") for node in pipeline.nodes)


def test_pipelines_of_several_namespaces_add_up() -> None:
    first = implicit_bias.create_pipeline(namespace="first", sweeps=("width_sweep", "imbalance_sweep"))
    second = implicit_bias.create_pipeline(X="table", Y=None, namespace="second")
    assert len((first + second).nodes) == len(first.nodes) + len(second.nodes)
    assert not first.all_outputs() & second.all_outputs()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"namespace": "two words"}, "namespaces and sweeps are named by letters, digits and _, got 'two words'"),
        ({"namespace": ""}, "namespaces and sweeps are named by letters, digits and _, got ''"),
        ({"sweeps": ()}, "sweeps must be one name or several that differ, got []"),
        ({"sweeps": ("a", "a")}, "sweeps must be one name or several that differ, got ['a', 'a']"),
        ({"Y_test": "T"}, "Y_test = 'T' needs X_test, the inputs of the same rows"),
    ],
)
def test_wrong_names_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        implicit_bias.create_pipeline(**arguments)


def entries(namespace: str, folder: str) -> dict[str, Any]:
    """The catalogue that init writes, read back."""
    loaded: dict[str, Any] = yaml.safe_load(catalog(folder, namespace))
    return {key: value for key, value in loaded.items() if not key.startswith("_")}


def test_a_namespace_changes_the_folder_and_the_sweep_of_a_dataset_and_nothing_else() -> None:
    ours = DataCatalog.from_config(datasets("data"))
    theirs = DataCatalog.from_config(entries("n", "data"))
    names = {name for name in implicit_bias.create_pipeline(namespace="n").datasets() if name.startswith("n.")}
    assert names
    for name in names:
        resolved = json.dumps(theirs.config_resolver.resolve_pattern(name)).replace("n.width", "width")
        expected = ours.config_resolver.resolve_pattern(name.removeprefix("n."))
        assert json.loads(resolved.replace('"n.*"', '"*"')) == expected, name


def run(pipeline: Pipeline, catalog: DataCatalog) -> None:
    SequentialRunner().run(pipeline, catalog)


@pytest.mark.slow
def test_a_wide_and_a_tall_problem_run_in_one_catalog(tmp_path: Path) -> None:
    problems = {"wide": tables(n=5, D=2000, m=2, seed=1), "tall": tables(n=30, D=6, m=1, seed=2)}
    problems["tall"][0]["x5"] = problems["tall"][0]["x4"]  # rank 5 below D = 6
    config: dict[str, Any] = {}
    catalog_entries: dict[str, Any] = {}
    for name, (X, Y) in problems.items():
        words = {"namespace": name, "title": name, "targets": "null"}
        config |= entries(name, str(tmp_path / name))
        parameters = yaml.safe_load(rendered("parameters.yml", words))[name]
        parameters["width_sweep"] |= {"widths": [40, 80], "seeds": [0, 1], "workers": 1, "curve_points": 6}
        parameters["own_data"]["held_out"] = 1
        models = {"own_data": OwnData, "reparametrization": Reparametrization, "width_sweep": Sweep}
        catalog_entries |= {f"params:{name}.{key}": models[key](**value) for key, value in parameters.items()}
        catalog_entries |= {f"{name}_x": X, f"{name}_y": Y}
    kept = DataCatalog.from_config(config)
    for name, value in catalog_entries.items():
        kept[name] = value
    for name in problems:
        run(implicit_bias.create_pipeline(X=f"{name}_x", Y=f"{name}_y", namespace=name), kept)
    for name, (X, Y) in problems.items():
        table = pd.read_csv(tmp_path / name / "08_reporting/width_points.csv")
        assert len(table) == 4
        data = kept.load(f"{name}.data")["own-draw=0"]()
        problem = reparametrize(data["X"], data["Y"])
        assert set(table["r"]) == {problem.r}
        assert table["n"].tolist() == [len(X) - 1] * 4
        assert set(table["D"]) == {X.shape[1]}
        assert set(table["m"]) == {Y.shape[1]}
        assert np.all(table["stop_reason"] == "stationary")
