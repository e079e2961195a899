"""Whether the first line of a table names its columns, told from the lines below it."""

import re
from collections.abc import Sequence

import numpy as np

NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
INTEGER = re.compile(r"[+-]?\d+")
LONG = 6
"""Numbers in a row that are in order by chance once in 360."""


class AmbiguousHeader(ValueError):
    """The first line may be names and may be a sample."""


def has_header(lines: Sequence[Sequence[str]]) -> bool:
    """Whether the first of several lines of cells is a header.

    It is one if it has text over numbers and no numbers beside, such as names. If it is of numbers, such as
    wavelengths, it is one if they are in order and those of the other lines are not.

    Raises:
        AmbiguousHeader: it may be one and may not.
    """
    first, below = lines[0], lines[1:]
    numbers = [i for i, cell in enumerate(first) if is_number(cell)]
    if not below or not numbers:
        return not numbers
    over_numbers = [
        i
        for i, cell in enumerate(first)
        if cell.strip() and i not in numbers and any(is_number(line[i]) for line in below if i < len(line))
    ]
    columns = [i for i in numbers if all(i < len(line) and is_number(line[i]) for line in below)]
    if len(columns) < len(numbers) or not columns:
        return False
    named = _names_by_numbers([first[i] for i in columns], [[line[i] for i in columns] for line in below])
    return named and not (over_numbers and len(columns) == 1)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, nan and inf among them, with a decimal point or comma."""
    return NUMBER.fullmatch(cell.strip()) is not None


def _names_by_numbers(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a line of numbers names the columns of the lines below."""
    D = len(first)
    head, rows = _values(first), [_values(line) for line in below]
    whole = all(INTEGER.fullmatch(cell.strip()) for cell in first)
    fractions_below = all(not all(INTEGER.fullmatch(cell.strip()) for cell in line) for line in below)
    counted = np.array_equal(head, np.arange(D)) or (D > 1 and np.array_equal(head, np.arange(1, D + 1)))
    if D < 3:
        return _if_clear(whole and fractions_below, first) if counted else False
    if not _in_order(head):
        return False
    if any(map(_in_order, rows)) and (not _evenly(head) or any(map(_evenly, rows))):
        return _if_clear(False, first) if D >= LONG and not all(map(_in_order, rows)) or counted else False
    if D >= LONG or (whole and fractions_below):
        return True
    return _if_clear(False, first) if counted or (_evenly(head) and not whole) else False


def _if_clear(clear: bool, first: Sequence[str]) -> bool:
    if not clear:
        shown = ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")
        raise AmbiguousHeader(
            f"the first line, {shown}, may name the columns or be a sample: say which by --header or --no-header"
        )
    return True


def _values(cells: Sequence[str]) -> np.ndarray:
    return np.array([float(cell.strip().replace(",", ".")) for cell in cells])


def _in_order(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool(np.all(steps > 0) or np.all(steps < 0))


def _evenly(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool(np.ptp(steps) <= 1e-6 * np.abs(steps).max())
