"""The files of a sweep, one per point: mappings of arrays (.npz) and rendered figures, written atomically."""

import filecmp
import math
import os
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from kedro.io.core import AbstractDataset, DatasetError, parse_dataset_definition
from numpy.lib import format as npy
from numpy.typing import NDArray

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can hold: equal contents give equal bytes
_LOCAL_HEADER = 30 + 20  # bytes before each array without its name: of every archive, and of the sizes of large ones
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class ArrayDataset(AbstractDataset[Mapping[str, Any], dict[str, Any]]):
    """A flat mapping of names to arrays, numbers, strings and booleans in one uncompressed .npz file.

    Names may contain "/". Scalars come back as Python scalars, and equal mappings give equal bytes. Nothing is ever
    pickled: objects are refused on save, and a file that is not what `save` writes, to the last bit of its contents
    (checksums), is refused on load.

    Args:
        filepath: a local path; its folder is created on save.
        max_bytes: the largest content to load, as the file declares it.
        metadata: ignored here, for plugins.
    """

    def __init__(self, *, filepath: str, max_bytes: int = 4 * 2**30, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = _local(filepath)
        self._max_bytes = max_bytes
        self.metadata = metadata

    def save(self, data: Mapping[str, Any]) -> None:
        if not isinstance(data, Mapping):
            raise DatasetError(f"{self._filepath}: expected a mapping of names to arrays, got {type(data).__name__}")
        arrays = {name: self._as_array(name, value) for name, value in data.items()}
        with replacing(self._filepath) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(arrays):  # what `archive.open` would write, which takes twice as long
                header, content = as_npy(arrays[name])
                member = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
                member.header_offset, member.external_attr = file.tell(), 0o600 << 16
                member.file_size = member.compress_size = len(header) + len(content)
                member.CRC = zlib.crc32(content, zlib.crc32(header))
                file.writelines((member.FileHeader(zip64=True), header, content))
                archive.filelist.append(member)
            archive.start_dir = file.tell()

    def load(self) -> dict[str, Any]:
        try:
            with self._filepath.open("rb") as file, zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                size = sum(member.file_size for member in members)
                if size > self._max_bytes:
                    raise ValueError(f"it declares {size} bytes, more than max_bytes = {self._max_bytes}")
                if size > self._filepath.stat().st_size:  # compressed, or one array under many names
                    raise ValueError(f"it declares {size} bytes, more than it has")
                arrays = {
                    member.filename.removesuffix(".npy"): from_npy(member.filename, _stored(file, member))
                    for member in members
                }
                listed = sum(_LOCAL_HEADER + len(each.orig_filename.encode()) + each.compress_size for each in members)
                if listed != archive.start_dir:  # checksums cover the arrays, not the list of them
                    raise ValueError("its list of arrays is incomplete")
                return arrays
        except FileNotFoundError:
            raise DatasetError(f"{self._filepath} does not exist") from None
        except Exception as error:  # a damaged archive fails in too many ways to list
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise DatasetError(f"{self._filepath} is not a readable array file: {reason}") from error

    def _as_array(self, name: str, value: object) -> NDArray[Any]:
        if not isinstance(name, str):
            raise DatasetError(f"{self._filepath}: names must be strings, got {name!r}")
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {name!r} is not an array: {error}") from None
        if array.dtype.hasobject:
            raise DatasetError(
                f"{self._filepath}: {name!r} holds objects ({type(value).__name__}), not numbers or text"
            )
        return array

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "max_bytes": self._max_bytes}


class BytesDataset(AbstractDataset[bytes, bytes]):
    """The bytes of one file, such as a rendered figure.

    Args:
        filepath: a local path; its folder is created on save.
        metadata: ignored here, for plugins.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = _local(filepath)
        self.metadata = metadata

    def save(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise DatasetError(f"{self._filepath}: expected bytes, got {type(data).__name__}")
        with replacing(self._filepath) as file:
            file.write(data)

    def load(self) -> bytes:
        try:
            return self._filepath.read_bytes()
        except OSError as error:
            raise DatasetError(f"{self._filepath} cannot be read: {error.strerror}") from error

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class StoredDataset(AbstractDataset[None, dict[str, Callable[[str], Any]]]):
    """What earlier runs have left of the points of a sweep; it is only ever read.

    Loading gives name -> a function that reads what there is of a point: None if nothing, an error if it is damaged.

    Args:
        partitions: name -> definition of a dataset, with * for the point in its filepath.
        metadata: ignored here, for plugins.
    """

    def __init__(self, *, partitions: dict[str, dict[str, Any]], metadata: dict[str, Any] | None = None) -> None:
        self._partitions = {name: parse_dataset_definition(definition) for name, definition in partitions.items()}
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[str], Any]]:
        return {name: partial(self._read, *definition) for name, definition in self._partitions.items()}

    @staticmethod
    def _read(kind: type[AbstractDataset[Any, Any]], arguments: dict[str, Any], key: str) -> Any:
        dataset = kind(**arguments | {"filepath": arguments["filepath"].replace("*", key)})
        return dataset.load() if dataset.exists() else None

    def is_empty(self) -> bool:
        """Whether earlier runs have left nothing, of any point."""
        folders = {Path(arguments["filepath"]).parent for _, arguments in self._partitions.values()}
        return not any(folder.is_dir() and any(folder.iterdir()) for folder in folders)

    def save(self, data: None) -> None:
        raise DatasetError("what earlier runs have left is only read")

    def _describe(self) -> dict[str, Any]:
        return {name: arguments["filepath"] for name, (_, arguments) in self._partitions.items()}


def _local(filepath: str) -> Path:
    if "://" in filepath:
        raise DatasetError(f"{filepath}: only local paths are supported")
    return Path(filepath)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` once it is written: readers see the old or the new one.

    It is on disk before it replaces another one, and nothing is replaced by its like. A new file gets to the disk when
    the system writes it: waiting for thousands of them would take longer than what a stopped machine can lose, points
    of the last seconds, whose files are then refused by their checksums.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            there = path.is_file()
            unchanged = there and filecmp.cmp(temporary, path, shallow=False)
            if there and not unchanged:
                os.fsync(file.fileno())
        if not unchanged:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def as_npy(array: NDArray[Any]) -> tuple[bytes, Any]:
    """Header and contents of a .npy file; the contents are a view of the array where it is in order."""
    columns = array.flags.f_contiguous and not array.flags.c_contiguous
    ordered = np.ascontiguousarray(array.T if columns else array)
    return _header(array.dtype, array.shape, columns), ordered.reshape(-1).view(
        np.uint8
    ).data if ordered.nbytes else b""


@lru_cache(4096)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...], columns: bool) -> bytes:
    """How a .npy file begins: records have hundreds of entries of a few kinds, and NumPy takes longer than the disk."""
    said = {"descr": npy.dtype_to_descr(dtype), "fortran_order": columns, "shape": shape}
    stream = BytesIO()
    try:
        npy.write_array_header_1_0(stream, said)
    except ValueError:  # too long for it
        stream = BytesIO()
        npy.write_array_header_2_0(stream, said)
    return stream.getvalue()


def _stored(file: IO[bytes], member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member of an archive, checked as `zipfile` does, which takes three times as long."""
    name = member.orig_filename.encode()
    file.seek(member.header_offset)
    header = file.read(30 + len(name))
    file.seek(int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
    content = file.read(member.compress_size)
    whole = header[:4] == b"PK\3\4" and header[30:] == name and zlib.crc32(content) == member.CRC
    whole = whole and member.compress_size == member.file_size
    if member.compress_type or not whole:
        raise ValueError(f"{member.filename} is {'compressed' if member.compress_type else 'damaged'}")
    return content


def from_npy(name: str, content: bytes) -> Any:
    """The array of a .npy file, whose header must account for every byte: nothing is allocated on its word alone."""
    begin = _data_begins(content)
    shape, fortran_order, dtype = _said(content[:begin])
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects")
    if not dtype.itemsize and math.prod(shape) > len(content):
        raise ValueError(f"{name} declares {shape} entries of no size")
    if len(content) - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has {len(content) - begin} bytes for shape {shape} of {dtype}")
    array: NDArray[Any] = np.ndarray(
        shape, dtype, buffer=bytearray(memoryview(content)[begin:]), order="F" if fortran_order else "C"
    )
    return array.item() if array.ndim == 0 else array


def _data_begins(content: bytes) -> int:
    """Where the header of a .npy file ends, which gives its own length after the version."""
    size = 2 if content[6:7] == b"\1" else 4
    return 8 + size + int.from_bytes(content[8 : 8 + size], "little")


@lru_cache(4096)
def _said(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the array of a .npy file."""
    stream = BytesIO(header)
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"format version {version}")
    return _HEADERS[version](stream)
