"""Parameters that nothing reads, and the names that were meant."""

from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

import implicit_bias
from implicit_bias.hooks.misspelt import meant_by, unread
from implicit_bias.hooks.preflight import InputHooks, RunRefused
from implicit_bias.sweeps.data import OwnData
from implicit_bias.sweeps.parameters import Sweep

OWN = Pipeline(implicit_bias.create_pipeline(namespace="lib"))
READ = {"lib.own_data", "lib.reparametrization", "lib.width_sweep", "data"}


@pytest.mark.parametrize(
    ("given", "wrong", "meant"),
    [
        ("lib.width_sweeps.widths", "lib.width_sweeps", "lib.width_sweep"),
        ("lin.width_sweep.widths", "lin", "lib.width_sweep"),
        ("width_sweep.widths", "width_sweep", "lib.width_sweep"),
        ("width_sweeps.widths", "width_sweeps", "lib.width_sweep"),
        ("mine.width_sweep.widths", "mine", "lib.width_sweep"),
        ("lib.zzz", "lib.zzz", ""),
    ],
)
def test_the_name_that_was_meant(given: str, wrong: str, meant: str) -> None:
    catalog = [f"params:{name}" for name in (*READ, given, "lib.width_sweep.widths", "lib", "tracking.uri", "_x.y")]
    assert unread(catalog, READ) == [wrong]
    assert meant_by(wrong, catalog, READ) == meant


def test_plugin_users_are_told_and_their_own_parameters_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from kedro.framework.project import pipelines

    theirs = Pipeline([Node(len, "params:model", "length", name="length")])
    monkeypatch.setattr(pipelines, "_content", {"lib": OWN, "theirs": theirs})
    monkeypatch.setattr(pipelines, "_is_data_loaded", True)
    names = OWN.inputs() | {"params:notes", "params:width_sweeps", "params:model"}

    def start(runtime_params: dict[str, Any], *more: str) -> None:
        catalog = DataCatalog({name: MemoryDataset(1) for name in (*names, *more)})
        params = {"env": None, "pipeline_names": ["lib"], "project_path": ".", "runtime_params": runtime_params}
        InputHooks().before_pipeline_run(params, OWN, catalog)

    start({"model": 1, "notes": 2})
    with pytest.raises(RunRefused, match=r"nothing reads the parameters width_sweeps: did you mean lib.width_sweep\?"):
        start({"width_sweeps": {"widths": 200}})
    with pytest.raises(RunRefused, match=r"parameters lib.own_dat: did you mean lib.own_data\?"):
        start({}, "params:lib.own_dat")


@pytest.mark.parametrize(
    ("model", "given", "fault"),
    [
        (OwnData, {"centre_x": True}, ("centre_x", "Extra inputs are not permitted (did you mean center_x?)")),
        (OwnData, {"zzzzzz": True}, ("zzzzzz", "Extra inputs are not permitted")),
        (Sweep, {"stop": {"tolerence": 1}},
         ("stop.tolerence", "Extra inputs are not permitted (did you mean tolerance?)")),
    ],
)  # fmt: skip
def test_an_unknown_field_names_the_nearest(model: Any, given: dict[str, Any], fault: tuple[str, str]) -> None:
    whole = {"title": "{t}", "figure": "wide", "widths": 3, "seeds": 1, "alpha": 0.5, "step_size": 1}
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        model.model_validate(given | (whole if model is Sweep else {}))
    (found,) = refused.value.errors()  # type: ignore[attr-defined]
    assert (".".join(map(str, found["loc"])), found["msg"]) == fault
