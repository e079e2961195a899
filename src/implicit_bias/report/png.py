"""Whether the bytes of a picture are all there and as they were written."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_whole(image: bytes) -> bool:
    """Whether a PNG file is complete, by the length and the checksum of each of its chunks."""
    if not image.startswith(SIGNATURE):
        return False
    at = len(SIGNATURE)
    while at + 12 <= len(image):
        (length,) = struct.unpack_from(">I", image, at)
        kind, end = image[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(image) or zlib.crc32(image[at + 4 : end]) != struct.unpack_from(">I", image, end)[0]:
            return False
        at = end + 4
        if kind == b"IEND":
            return at == len(image)
    return False
