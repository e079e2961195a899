"""What is too long for MLflow: shortened so that different things stay different, and kept whole in files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils import validation

from implicit_bias.sweeps.fields import expand
from implicit_bias.sweeps.manifest import listed, sweep_params
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.tracking.comparison import compare
from implicit_bias.tracking.limits import NAME, NOTE, SHORT, SHORTENED, VALUE, contrast, short_name, short_value
from implicit_bias.tracking.reader import Reader
from implicit_bias.tracking.store import Store

TEXTS = st.text(st.sampled_from("0 1"), max_size=3 * SHORT)


@given(st.lists(st.integers(1, 60) | st.integers(1, 2**53), min_size=1, unique=True))
def test_a_list_is_written_as_it_is_read(values: list[int]) -> None:
    for each in (values, sorted(values)):
        assert [int(value) for value in expand(listed(each))] == each


def test_ranges_are_written_as_ranges() -> None:
    assert listed(list(range(500, 10001, 500))) == "500:10000:500"
    assert listed([7, *range(4), 20, 30, 40, 50, 60, 80]) == "7 0:3 20:60:10 80"
    assert listed([100, 200, 300]) == "100 200 300"
    assert listed([0.1, 0.2, 0.3, 0.4, True, 1, 2, "3"]) == "0.1 0.2 0.3 0.4 True 1 2 3"
    assert listed([4, 3, 2, 1]) == "4 3 2 1"
    assert listed([]) == ""


@given(TEXTS, TEXTS, st.sampled_from([60, 80]))
def test_shortened_texts_fit_and_stay_different(a: str, b: str, most: int) -> None:
    for shorten in (short_value, short_name):
        short = [shorten(text, most) for text in (a, b)]
        assert max(map(len, short)) <= most
        assert (short[0] == short[1]) == (a == b)
        assert [shorten(text, most) for text in short] == short
    shown = contrast(a, b)
    assert max(map(len, shown)) <= SHORT
    assert (shown[0] == shown[1]) == (a == b)


def test_our_limits_are_those_of_mlflow() -> None:
    assert validation.MAX_PARAM_VAL_LENGTH >= VALUE
    assert min(validation.MAX_ENTITY_KEY_LENGTH, validation.MAX_DATASET_NAME_SIZE) >= NAME
    assert validation.MAX_TAG_VAL_LENGTH >= NOTE


LONG = "x" * 7000


def plan(widths: list[int], **changes: Any) -> dict[str, Any]:
    sweep = Sweep(title="Widths", figure="width", widths=widths, seeds=[0], alpha=[0.5], step_size=0.1)
    planned = {"sweep": "width", "experiment": "tests", "name": "Widths", "params": sweep_params(sweep), "points": {}}
    return planned | changes


@pytest.fixture(params=["true", "false"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", request.param)
    return Store("sqlite:///mlflow.db", tmp_path)


def test_sweeps_that_differ_at_the_end_of_long_lists_are_told_apart(store: Store, tmp_path: Path) -> None:
    """2,000 widths are more than the 6,000 characters of MLflow, and differ in the last alone."""
    widths = [3 * i + i % 2 for i in range(1, 2001)]
    runs = [store.open(plan(each)) for each in (widths, [*widths[:-1], 7001])]
    for run in runs:
        run.close()
    reader = Reader(store.uri, tmp_path, "tests")
    first, second = (reader.client.get_run(run.run_id) for run in runs)
    assert len(first.data.params["widths"]) == VALUE
    assert SHORTENED.search(first.data.params["widths"])
    assert [int(width) for width in expand(reader.params(first)["widths"])] == widths
    found = compare(reader, [run.run_id for run in runs])
    assert found["params"].keys() == {"widths"}
    assert contrast(*found["params"]["widths"]) == ("…6000", "…7001")
    note = second.data.tags["mlflow.note.content"]
    assert "Since Widths: widths 4 6 10" not in note
    assert " → " in note


def test_nothing_is_too_long_for_mlflow(store: Store) -> None:
    points = {"p": {"name": LONG, "description": LONG, "params": {LONG: LONG, "width": 1}}}
    datasets = [{"name": LONG, "digest": LONG, "source": LONG, "schema": 20 * LONG, "profile": 3000 * LONG}]
    sweep = store.open(plan([1], name=LONG, description=LONG, params={LONG: LONG}, points=points, datasets=datasets))
    record = {f"metric/{LONG}": 1.0, f"metric/{LONG}y": 2.0, f"curve/{LONG}": np.ones(3), f"param/{LONG}z": LONG}
    sweep.log("p", "evaluation", record | {"param/unmet": LONG})
    sweep.summary("summary", {f"metric/{LONG}": 3.0})
    sweep.close()
    child = store.client.get_run(sweep.points["p"].run_id)
    assert child.info.status == "FINISHED"
    assert {child.data.metrics[short_name(name)] for name in (LONG, f"{LONG}y")} == {1.0, 2.0}
    file = store.client.download_artifacts(child.info.run_id, "parameters/unmet.json")
    assert json.loads(Path(file).read_text()) == LONG
    again = store.open(plan([1], name=LONG))
    assert store.client.get_run(again.run_id).info.run_name == f"{store.client.get_run(sweep.run_id).info.run_name} #2"


def test_a_run_that_cannot_be_described_does_not_stay_open(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("refused")

    monkeypatch.setattr(store.client, "log_inputs", refuse)
    with pytest.raises(ValueError, match="refused"):
        store.open(plan([1], datasets=[{"name": "line", "digest": "0"}]))
    experiment = store.client.get_experiment_by_name("tests")
    assert experiment is not None
    (run,) = store.client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
