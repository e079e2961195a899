"""A picture is whole or left out: each of its bits counts."""

import io

import pytest
from matplotlib import image

from implicit_bias.report.png import is_whole


@pytest.fixture(scope="module")
def picture() -> bytes:
    file = io.BytesIO()
    image.imsave(file, [[0.0, 1.0], [1.0, 0.5]], format="png")
    return file.getvalue()


def test_what_is_written_is_whole_and_every_prefix_and_every_flipped_bit_is_not(picture: bytes) -> None:
    assert is_whole(picture)
    assert not is_whole(picture + b"x")
    assert not any(is_whole(picture[:size]) for size in range(len(picture)))
    for at in range(len(picture)):
        for bit in range(8):
            assert not is_whole(picture[:at] + bytes([picture[at] ^ 1 << bit]) + picture[at + 1 :])
