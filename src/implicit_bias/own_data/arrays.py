"""Arrays from NumPy's files; nothing is unpickled, and nothing allocated on the word of a header."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from implicit_bias.sweeps.datasets import from_npy

MOST_BYTES = 4 * 2**30
"""What an .npz file may hold."""


def read_npy(path: Path) -> NDArray[np.generic]:
    """The array of an .npy file.

    Raises:
        ValueError: it is not one of numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # a damaged header fails in too many ways to list
        raise ValueError(f"not a .npy file of numbers ({str(error).partition(chr(10))[0][:200]})") from None
    if not isinstance(array, np.ndarray):
        raise ValueError("not a .npy file of numbers (an archive of several)")
    return _numbers(array)


def read_npz(path: Path, name: str) -> NDArray[np.generic]:
    """An array of an .npz file: the only one, or that of the name.

    Raises:
        ValueError: there is no such array, or it is not one of numbers.
    """
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if len(members) > 1 and name not in members:
            raise ValueError(f"it has the arrays {', '.join(members)}: call the one that is meant {name}")
        member = members[name] if name in members else next(iter(members.values()), None)
        if member is None:
            raise ValueError("it has no array")
        if member.file_size > MOST_BYTES:
            raise ValueError(f"it declares {member.file_size} bytes, more than {MOST_BYTES}")
        return _numbers(np.asarray(from_npy(member.filename, archive.read(member))))


def _numbers(array: NDArray[np.generic]) -> NDArray[np.generic]:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"real numbers are needed, got {array.dtype}")
    if array.ndim not in (1, 2):
        raise ValueError(f"a matrix is needed, got shape {array.shape}")
    return array
