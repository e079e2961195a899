"""Files of runs: those that are written in place are where MLflow looks for them, the others are left to it."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from implicit_bias.tracking.artifacts import folder_at, upload, write_file
from implicit_bias.tracking.store import Store


@pytest.mark.parametrize("name", ["my runs", "100 % wide", "ü"])
def test_a_file_is_where_mlflow_keeps_those_it_is_given(store: Store, tmp_path: Path, name: str) -> None:
    client = store.client
    place = tmp_path / name / "mlruns"
    experiment = client.create_experiment(name, place.as_uri())
    ours, theirs = (client.create_run(experiment).info for _ in range(2))
    assert write_file(folder_at(client, ours.artifact_uri), "curves.svg", b"<svg/>")
    upload(client, theirs.run_id, "curves.svg", b"<svg/>")
    for run in (ours, theirs):
        assert [(each.path, each.file_size) for each in client.list_artifacts(run.run_id)] == [("curves.svg", 6)]
        assert (place / run.run_id / "artifacts/curves.svg").read_bytes() == b"<svg/>"
    assert write_file(folder_at(client, ours.artifact_uri), "curves.svg", b"again")
    assert [path.name for path in (place / ours.run_id / "artifacts").iterdir()] == ["curves.svg"]


@pytest.mark.parametrize("name", ["../curves.svg", "/curves.svg", "folder/curves.svg", ".hidden", "a:b", "", "a\nb"])
def test_names_that_say_more_than_a_file_are_left_to_mlflow(tmp_path: Path, name: str) -> None:
    assert not write_file(tmp_path, name, b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["s3://bucket/1/artifacts", "mlflow-artifacts:/1", "mlruns/1", ""])
def test_what_is_elsewhere_has_no_folder(store: Store, address: str) -> None:
    assert folder_at(store.client, address) is None
    assert folder_at(MlflowClient("http://127.0.0.1:9"), "/tmp/1/artifacts") is None
    assert not write_file(None, "curves.svg", b"")
