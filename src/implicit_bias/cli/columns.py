"""Columns of text for a terminal."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], alignment: str) -> list[str]:
    """Indented lines of cells, each column as wide as its widest cell, and aligned as "<" or ">" says."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(f"{cell:{side}{size}}" for cell, side, size in zip(row, alignment, sizes, strict=True)).rstrip()
        for row in rows
    ]
