"""Input made to do harm is refused, and files that cannot be written leave the old ones as they were."""

import io
import os
import resource
import struct
import zipfile

import numpy as np
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DatasetError
from kedro_datasets.partitions import PartitionedDataset
from pydantic import ValidationError

from implicit_bias.own_data.files import read_table
from implicit_bias.sweeps.data import DataSets
from implicit_bias.sweeps.datasets import ArrayDataset
from implicit_bias.sweeps.fields import MOST_VALUES
from implicit_bias.sweeps.parameters import MOST_POINTS, Sweep
from implicit_bias.sweeps.studies import Verification
from implicit_bias.tracking.connection import SECRETS, use_credentials

SWEEP = {"title": "t", "figure": "width", "problem": "p", "widths": 10, "seeds": 0, "alpha": 0.5, "step_size": 0.1}


def test_tags_of_yaml_build_no_objects(tmp_path):
    for folder in ("base", "local"):
        (tmp_path / folder).mkdir()
    trap = f"!!python/object/apply:os.mkdir ['{tmp_path / 'sprung'}']"
    for name in ("parameters", "catalog"):
        (tmp_path / "base" / f"{name}.yml").write_text(f"data:\n  gaussian: {{n: {trap}}}\n")
    loader = OmegaConfigLoader(str(tmp_path), base_env="base", default_run_env="local")
    for name in ("parameters", "catalog"):
        with pytest.raises(Exception, match=r"could not determine a constructor|Invalid YAML"):
            loader[name]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("key", ["../out", "a/../../out", "../" * 30 + "tmp/out"])
def test_the_name_of_a_point_does_not_lead_out_of_its_folder(tmp_path, key):
    folder = tmp_path / "points"
    points = PartitionedDataset(
        path=str(folder), dataset={"type": "implicit_bias.sweeps.datasets.ArrayDataset"}, filename_suffix=".npz"
    )
    with pytest.raises(DatasetError, match="outside the dataset directory"):
        points.save({key: {"a": 1.0}})
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@pytest.mark.parametrize("name", ["../a", "a/b", "a b", "", ".", "a\n", "é"])
def test_names_of_data_sets_are_names(name):
    with pytest.raises(ValidationError, match="should match pattern"):
        DataSets.model_validate({name: {}})


@pytest.mark.parametrize(
    ("model", "values", "reason"),
    [
        (DataSets, {"a": {"n": 10**9}}, "make .* numbers, more than"),
        (DataSets, {"a": {"draws": 10**9}}, "make .* numbers, more than"),
        (Sweep, SWEEP | {"widths": "1:1000000000"}, f"a list may have {MOST_VALUES} values"),
        (Sweep, SWEEP | {"widths": "1:99999999999999999999999"}, f"a list may have {MOST_VALUES} values"),
        (Sweep, SWEEP | {"widths": "1:90000 1:90000"}, f"a list may have {MOST_VALUES} values"),
        (Sweep, SWEEP | {"widths": "1:90000", "seeds": "0:90000"}, f"a sweep may have {MOST_POINTS} points"),
        (Sweep, SWEEP | {"alpha": -1e5}, "must be within"),
        (Verification, {"problems": 10**12, "widths": [1000, 10000], "alphas": [0.5]}, "less than or equal to"),
    ],
)
def test_sizes_that_fill_any_memory_are_refused(model, values, reason):
    with pytest.raises(ValidationError, match=reason):
        model.model_validate(values)


def test_a_billion_rows_in_a_header_are_not_believed(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 400)})
    (tmp_path / "x.npy").write_bytes(header.getvalue() + bytes(3200))
    with pytest.raises(ValueError, match=r"x\.npy: not a \.npy file of numbers"):
        read_table(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("X.npy", header.getvalue() + bytes(3200))
    with pytest.raises(DatasetError, match="has 3200 bytes for shape"):
        ArrayDataset(filepath=str(tmp_path / "x.npz")).load()


def test_what_is_compressed_is_not_unfolded(tmp_path):
    """A gigabyte in a megabyte, below the limit of what may be loaded."""
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("X.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2**27,)})
        for _ in range(2**7):
            file.write(bytes(2**20))
    with pytest.raises(DatasetError, match="declares 134217856 bytes, more than it has"):
        ArrayDataset(filepath=str(path)).load()


def test_one_array_under_many_names_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    ArrayDataset(filepath=str(path)).save({"a": np.arange(1000.0)})
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entries = content[start:end] * 50
    tail = content[end : end + 8] + struct.pack("<HHIIH", 50, 50, len(entries), start, 0)
    path.write_bytes(content[:start] + entries + tail)
    with pytest.raises(DatasetError, match="bytes, more than it has"):
        ArrayDataset(filepath=str(path)).load()


def test_a_file_that_finds_no_room_leaves_the_old_one(tmp_path):
    path = tmp_path / "x.npz"
    dataset = ArrayDataset(filepath=str(path))
    dataset.save({"a": 1.0})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(DatasetError, match="File too large"):
            dataset.save({"a": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert dataset.load() == {"a": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_credentials_go_to_the_environment_and_yield_to_it(monkeypatch, tmp_path, caplog):
    for name in SECRETS.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "from the environment")
    use_credentials({"credentials": {"mlflow": {"username": "from kedro", "password": "secret"}}})
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "from the environment"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "secret"
    use_credentials({"credentials": {"mlflow": {"pasword": "secret", "of_another_plugin": "too"}}})
    assert caplog.messages == ["credentials mlflow.pasword are not used: did you mean password?"]
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    use_credentials({"credentials": {"mlflow": {"MLFLOW_TRACKING_TOKEN": "of kedro-mlflow"}}})
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "of kedro-mlflow"
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "local/credentials.yml").write_text("mlflow: {password: of a loader}\n")
    use_credentials(OmegaConfigLoader(str(tmp_path), base_env="base", default_run_env="local"))
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "of a loader"
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    use_credentials({"credentials": {}})
    use_credentials({})
    use_credentials(None)
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
