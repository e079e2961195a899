"""Pipelines and environments that do not belong together are refused, with what to do, before anything is made."""

from pathlib import Path

import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

import implicit_bias
from implicit_bias.hooks.preflight import EnvironmentHooks, InputHooks, ParameterHooks, RunRefused
from implicit_bias.pipeline_registry import register_pipelines
from tests.support.project import make_project

PIPELINE = implicit_bias.create_pipeline(namespace="own")
OWN = [f"params:own.{name}" for name in ("own_data", "reparametrization", "width_sweep")]
KEPT = [f"own.{name}" for name in ("sections", "width_sweep.stored", "width_sweep.tracked")]


@pytest.fixture(autouse=True)
def project() -> None:
    configure_project("implicit_bias")


def catalog(names: list[str]) -> DataCatalog:
    return DataCatalog(dict.fromkeys(names, MemoryDataset(1)))


@pytest.mark.parametrize(
    ("present", "env", "names", "message"),
    [
        (OWN + KEPT, None, ["own"], "own reads what is not in conf/base or conf/local, datasets 'X', 'Y': add them, or "
         "choose another environment by --env"),
        ([*KEPT, "X"], "base", ["own", "more"], "own,more reads what is not in conf/base, datasets 'Y'; parameters "
         "own.own_data, own.reparametrization, own.width_sweep: add them, or choose another environment by --env"),
        ([*OWN, *KEPT, "X"], "prod", None, "__default__ reads what is not in conf/base or conf/prod, datasets 'Y': add "
         "them, or choose another environment by --env"),
        ([*OWN, *KEPT, "X"], "prod", ["lab"], "lab reads what is not in conf/base or conf/prod, datasets 'Y': conf/lab "
         "is for it, kedro run --env=lab --pipelines=lab"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(
    tmp_path: Path, present: list[str], env: str | None, names: list[str] | None, message: str
) -> None:
    (tmp_path / "conf/lab").mkdir(parents=True)
    params = {"env": env, "pipeline_names": names, "project_path": str(tmp_path)}
    with pytest.raises(RunRefused) as refusal:
        InputHooks().before_pipeline_run(params, PIPELINE, catalog(present))
    assert str(refusal.value) == message


def test_nothing_is_refused_that_is_whole_or_of_somebody_else(tmp_path: Path) -> None:
    params = {"env": None, "pipeline_names": ["own"], "project_path": str(tmp_path)}
    InputHooks().before_pipeline_run(params, PIPELINE, catalog([*OWN, *KEPT, "X", "Y"]))
    theirs = Pipeline([Node(len, "missing", "length")])
    InputHooks().before_pipeline_run(params, theirs, catalog([]))


def test_an_environment_of_another_pipeline_is_refused() -> None:
    named, hooks = register_pipelines(), EnvironmentHooks()
    with pytest.raises(RunRefused) as refusal:
        hooks.before_pipeline_run({"env": "spectra", "pipeline_names": None}, named["__default__"])
    assert str(refusal.value) == (
        "conf/spectra is for the pipeline spectra, of which __default__ has no part: "
        "kedro run --env=spectra --pipelines=spectra"
    )
    part = named["spectra"].filter(node_namespaces=["glucose"])
    for env, pipeline in (("spectra", part), ("lazy", named["__default__"]), ("wide", named["verification"])):
        hooks.before_pipeline_run({"env": env, "pipeline_names": None}, pipeline)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("width_swep.widths", "nothing reads the parameters width_swep: did you mean width_sweep?"),
        ("noise_std", "nothing reads the parameters noise_std: did you mean data.gaussian.noise_std?"),
        ("xyz", "nothing reads the parameters xyz: there are analytes, data, descent_study"),
    ],
)
def test_parameters_that_nothing_reads_are_refused(given: str, message: str) -> None:
    read = ["width_sweep.widths", "data.gaussian.noise_std", "tracking.uri", "_anchor.any", "glucose.own_data"]
    ParameterHooks().before_pipeline_run(catalog([f"params:{name}" for name in read]))
    with pytest.raises(RunRefused) as refusal:
        ParameterHooks().before_pipeline_run(catalog([f"params:{name}" for name in [*read, given]]))
    assert str(refusal.value).startswith(message)


def test_a_run_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    output = project.run("--pipelines=spectra", check=False)
    assert "spectra reads what is not in conf/base or conf/smoke, datasets 'analytes" in output
    assert "conf/spectra is for it, kedro run --env=spectra --pipelines=spectra" in output
    assert "Traceback" not in output
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] == []
