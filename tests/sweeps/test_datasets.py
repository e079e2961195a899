"""Files of points: what is saved comes back, anything else is refused in one line, and no reader sees half a file."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kedro.io import DataCatalog, DatasetError
from kedro_datasets.partitions import PartitionedDataset

from implicit_bias.sweeps.datasets import ArrayDataset, BytesDataset, StoredDataset

RECORD = {
    "curve/loss": np.geomspace(1, 1e-9, 60),
    "curve/iteration": np.arange(60),
    "metric/distance": np.float64(0.25),
    "param/width": 500,
    "param/solver": "flow λ",
    "param/relative": True,
    "state": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "none": np.zeros((0, 3)),
    "names": np.array(["a", "βγ"]),
    "": np.complex64(1j),
    "empty": "",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "point.npz"


def array_dataset(path: Path, **options: int) -> ArrayDataset:
    return ArrayDataset(filepath=str(path), **options)


def test_a_record_comes_back_as_it_was(path: Path) -> None:
    dataset = array_dataset(path)
    assert not dataset.exists()
    dataset.save(RECORD)
    assert dataset.exists()
    loaded = dataset.load()
    assert loaded.keys() == RECORD.keys()
    for name, value in RECORD.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert np.asarray(loaded[name]).dtype.kind == np.asarray(value).dtype.kind
    assert loaded["curve/loss"].flags.writeable
    assert loaded["state"].flags.f_contiguous


def test_scalars_come_back_as_python_scalars(path: Path) -> None:
    array_dataset(path).save({"i": 3, "f": np.float32(0.5), "s": np.str_("x"), "b": np.bool_(True), "n": -(2**63)})
    loaded = array_dataset(path).load()
    assert loaded == {"i": 3, "f": 0.5, "s": "x", "b": True, "n": -(2**63)}
    assert [type(loaded[name]) for name in "ifsbn"] == [int, float, str, bool, int]


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=1, min_side=0)),
        max_size=4,
    )
)
def test_any_mapping_of_arrays_survives(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, np.ndarray]
) -> None:
    dataset = array_dataset(tmp_path_factory.mktemp("any") / "point.npz")
    dataset.save(record)
    loaded = dataset.load()
    assert loaded.keys() == record.keys()
    for name, value in record.items():
        assert loaded[name].dtype == value.dtype
        assert loaded[name].tobytes() == value.tobytes()


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    array_dataset(tmp_path / "a").save(RECORD)
    array_dataset(tmp_path / "b").save(dict(reversed(RECORD.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_file(path: Path) -> None:
    array_dataset(path).save(RECORD)
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["curve/loss"], RECORD["curve/loss"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "NoneType"),
        ({"a": 1}, "dict"),
        (np.array([1, "a", None], dtype=object), "objects"),
        ([1, [2, 3]], "not an array"),
        (2**200, "int"),
        (np.zeros(2, [("a", object)]), "objects"),
    ],
)
def test_objects_are_refused_by_name(path: Path, value: object, reason: str) -> None:
    with pytest.raises(DatasetError, match=f"'bad/name'.*{reason}") as caught:
        array_dataset(path).save({"good": 1.0, "bad/name": value})
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_only_mappings_with_text_names_are_saved(path: Path) -> None:
    with pytest.raises(DatasetError, match="expected a mapping"):
        array_dataset(path).save([1.0])  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="names must be strings, got 1"):
        array_dataset(path).save({1: 1.0})  # type: ignore[dict-item]


def assert_refused(path: Path, reason: str = "not a readable array file", **options: int) -> None:
    with pytest.raises(DatasetError, match=reason) as caught:
        array_dataset(path, **options).load()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(path: Path) -> None:
    assert_refused(path, "does not exist")


def test_no_truncated_file_is_read(path: Path) -> None:
    array_dataset(path).save(RECORD)
    content = path.read_bytes()
    for length in range(0, len(content), 61):
        path.write_bytes(content[:length])
        assert_refused(path)


def test_a_damaged_file_is_refused_or_unchanged(path: Path) -> None:
    """Every bit in turn: where one that flips is not found, nothing is read of it."""
    dataset = array_dataset(path)
    dataset.save({"curve/loss": np.arange(3.0), "metric/steps": 7, "method": "flow"})
    content, record = path.read_bytes(), dataset.load()
    refused = 0
    for position in range(len(content)):
        for bit in range(8):
            path.write_bytes(content[:position] + bytes([content[position] ^ 1 << bit]) + content[position + 1 :])
            try:
                read = dataset.load()
            except DatasetError:
                refused += 1
            else:
                assert read.keys() == record.keys()
                assert all(np.array_equal(read[name], record[name]) for name in record)
    assert refused > 4 * len(content)


def test_a_record_that_is_there_already_is_not_written_again(path: Path) -> None:
    dataset = array_dataset(path)
    dataset.save(RECORD)
    written = path.stat()
    dataset.save(RECORD)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    dataset.save(RECORD | {"one more": 1})
    assert "one more" in dataset.load()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_stored_records_are_read_by_point(tmp_path: Path) -> None:
    definition = {"type": "implicit_bias.sweeps.datasets.ArrayDataset", "filepath": str(tmp_path / "*.npz")}
    stored = StoredDataset(partitions={"states": definition})
    array_dataset(tmp_path / "a.npz").save({"x": 1.0})
    (tmp_path / "b.npz").write_bytes(b"no archive")
    read = stored.load()["states"]
    assert read("a") == {"x": 1.0}
    assert read("c") is None
    with pytest.raises(DatasetError, match=r"b\.npz is not a readable array file"):
        read("b")
    with pytest.raises(DatasetError, match="only read"):
        stored.save({})  # type: ignore[arg-type]


def test_pickles_are_never_loaded(path: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    path.parent.mkdir()
    np.savez(path, trap=np.array([Trap()], dtype=object))
    assert_refused(path, "pickled objects")
    path.write_bytes(pickle.dumps(Trap()))
    assert_refused(path, "not a readable array file")
    assert not (tmp_path / "sprung").exists()


def test_a_zip_bomb_is_not_unpacked(path: Path) -> None:
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "ab":
            archive.writestr(f"{name}.npy", bytes(10_000_000))
    assert path.stat().st_size < 100_000
    assert_refused(path, "declares 20000000 bytes, more than max_bytes = 15000000", max_bytes=15_000_000)


def test_sizes_that_differ_from_what_is_there_are_refused(path: Path) -> None:
    path.parent.mkdir()
    np.savez(path, a=np.zeros(1000))
    whole = path.read_bytes()
    entry = whole.rindex(b"PK\1\2")  # of the directory; its bytes 24 to 28 are the size that is announced
    path.write_bytes(whole[: entry + 24] + bytes(4) + whole[entry + 28 :])
    assert_refused(path, "damaged", max_bytes=10)


def test_a_header_cannot_ask_for_more_than_there_is(path: Path) -> None:
    path.parent.mkdir()
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("huge.npy", stream.getvalue() + bytes(16))
    assert_refused(path, "huge.npy has 16 bytes for shape")


@pytest.mark.parametrize("kind", [ArrayDataset, BytesDataset])
def test_a_failed_save_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    old, new = ({"a": 1.0}, {"a": 2.0}) if kind is ArrayDataset else (b"old", b"new")
    dataset = kind(filepath=str(path))
    dataset.save(old)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DatasetError, match="No space left"):
            dataset.save(new)
    assert dataset.load() == old
    assert list(path.parent.iterdir()) == [path]


def test_only_a_file_that_replaces_another_one_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    dataset = array_dataset(path)
    for value, waits in ((1.0, 0), (1.0, 0), (2.0, 1)):
        dataset.save({"a": value})
        assert len(waited) == waits


@pytest.mark.parametrize("lost", [0, 1, 7, 512])
def test_what_a_stopped_machine_leaves_of_a_file_is_refused(path: Path, lost: int) -> None:
    """Its end, or all of it, is missing or zero: the size is often on disk before the contents."""
    array_dataset(path).save({"a": np.arange(100.0)})
    whole = path.read_bytes()
    for left in (whole[:lost], whole[:lost] + bytes(len(whole) - lost)):
        path.write_bytes(left)
        assert_refused(path, "not a readable array file")


def test_files_get_the_permissions_of_ordinary_files(path: Path) -> None:
    array_dataset(path).save({"a": 1})
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_bytes_come_back(path: Path) -> None:
    dataset = BytesDataset(filepath=str(path))
    with pytest.raises(DatasetError, match=r"point\.npz cannot be read: No such file"):
        dataset.load()
    dataset.save(b"\x89PNG")
    assert dataset.load() == b"\x89PNG"
    with pytest.raises(DatasetError, match="expected bytes, got str"):
        dataset.save("text")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ArrayDataset, BytesDataset])
def test_remote_paths_are_refused(kind: type) -> None:
    with pytest.raises(DatasetError, match="only local paths"):
        kind(filepath="s3://bucket/key")


def test_partitions_of_a_catalog(tmp_path: Path) -> None:
    config = {
        name: {
            "type": "partitions.PartitionedDataset",
            "path": str(tmp_path / name),
            "filename_suffix": suffix,
            "dataset": {"type": f"implicit_bias.sweeps.datasets.{kind}"},
        }
        for name, suffix, kind in [("records", ".npz", "ArrayDataset"), ("figures", ".png", "BytesDataset")]
    }
    catalog = DataCatalog.from_config(config)
    catalog.save("records", {"width=500-seed=0": {"a": np.arange(3.0)}, "width=500-seed=1": {"a": np.arange(4.0)}})
    catalog.save("figures", {"width=500-seed=0": b"png"})
    records = catalog.load("records")
    assert [load()["a"].size for _, load in sorted(records.items())] == [3, 4]
    assert catalog.load("figures")["width=500-seed=0"]() == b"png"
    assert isinstance(catalog["records"], PartitionedDataset)
    assert "ArrayDataset" in repr(catalog["records"])
    assert array_dataset(tmp_path / "x").metadata is None
