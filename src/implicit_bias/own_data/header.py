"""Whether the first line of a table names its columns, told from the lines below it."""

import re
from collections.abc import Sequence

import numpy as np

from implicit_bias.errors import ImplicitBiasError

NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
INTEGER = re.compile(r"[+-]?\d+")
LONG = 6
"""Numbers in a row that are in order by chance once in 360."""


class AmbiguousHeader(ImplicitBiasError, ValueError):
    """The first line may be names and may be a sample."""


def has_header(lines: Sequence[Sequence[str]]) -> bool:
    """Whether the first of several lines of cells is a header.

    It is one if it has text and no numbers, or a number or nothing over a column of words. If it is of numbers, such as
    wavelengths, it is one if they are in order and those of the other lines are not.

    Raises:
        AmbiguousHeader: it may be one and may not.
    """
    first, below = lines[0], [line for line in lines[1:] if any(line)]
    numbers = [i for i, cell in enumerate(first) if is_number(cell)]
    if not below or not numbers:
        return not numbers
    columns = {i: [line[i] for line in below if i < len(line) and line[i]] for i in range(len(first))}
    words = {i: cells and not any(map(is_number, cells)) for i, cells in columns.items()}
    if any(words[i] and (i in numbers or not cell) for i, cell in enumerate(first)):
        return True
    whole = [line for line in below if all(i < len(line) and is_number(line[i]) for i in numbers)]
    words_over_numbers = any(cell and i not in numbers and not words[i] for i, cell in enumerate(first))
    if not whole or (len(numbers) == 1 and words_over_numbers):
        return False
    return _names_by_numbers([first[i] for i in numbers], [[line[i] for i in numbers] for line in whole])


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, nan and inf among them, with a decimal point or comma."""
    return NUMBER.fullmatch(cell.strip()) is not None


def in_order(cells: Sequence[str]) -> bool:
    """Whether several cells hold numbers that only rise or only fall."""
    steps = np.diff(_values(cells))
    return bool(steps.size and (np.all(steps > 0) or np.all(steps < 0)))


def _names_by_numbers(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a line of numbers names the columns of the lines below."""
    D, head, rows = len(first), _values(first), [_values(line) for line in below]
    counts = any(np.array_equal(head, np.arange(start, start + D)) for start in ((0, 1) if D > 1 else (0,)))
    if not counts and (D < 3 or not in_order(first)):
        return False
    whole_over_fractions = _is_whole(first) and not any(map(_is_whole, below))
    even_alone = _evenly(head) and not any(map(_evenly, rows))
    if whole_over_fractions or (D >= LONG and (even_alone or not any(map(in_order, below)))):
        return True
    if counts or D >= LONG or (even_alone and not _is_whole(first)):
        shown = ", ".join(first[:3]) + (", ..." if D > 3 else "")
        raise AmbiguousHeader(
            f"the first line, {shown}, may name the columns or be a sample: say which by --header or --no-header"
        )
    return False


def _is_whole(cells: Sequence[str]) -> bool:
    return all(INTEGER.fullmatch(cell.strip()) for cell in cells)


def _values(cells: Sequence[str]) -> np.ndarray:
    return np.array([float(cell.strip().replace(",", ".")) for cell in cells])


def _evenly(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool(np.ptp(steps) <= 1e-6 * np.abs(steps).max()) if steps.size else False
