"""Texts that every MLflow server takes: older ones have room for 500 characters of a parameter, newer ones for 6,000.

A longer text is shortened here, with its digest, and never by MLflow, which cuts two different ones to the same.
"""

import hashlib
import re

VALUE, NAME, NOTE = 500, 250, 5000
"""Characters of a parameter; of a key or the name of a run; of a tag."""
DATASET_NAME, SCHEMA, PROFILE = 500, 65_535, 65_535
"""Characters of what is said of a data set."""
SHORT = 40
"""Characters of a parameter beside another that differs from it."""
SHORTENED = re.compile(r" … \(\d+ characters, sha256:[0-9a-f]{16}\)$")
"""The end of a shortened value."""


def short_value(text: str, most: int = VALUE) -> str:
    """A text of at most so many characters; of a longer one the beginning, its length and its digest."""
    if len(text) <= most:
        return text
    end = f" … ({len(text)} characters, sha256:{short_digest(text)})"
    return text[: most - len(end)] + end


def short_name(text: str, most: int = NAME) -> str:
    """A name of at most so many characters, of those that keys of MLflow may have; different names stay different."""
    return text if len(text) <= most else f"{text[: most - 17]}-{short_digest(text)}"


def contrast(first: str, second: str, most: int = SHORT) -> tuple[str, str]:
    """Two different texts so far shortened that their difference is seen: from the word on in which they differ."""
    if max(len(first), len(second)) <= most:
        return first, second
    same = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    start = first[:same].rfind(" ") + 1
    start = start if same - start < most // 2 else same
    first, second = (_cut(text, start, most) for text in (first, second))
    return first, second


def _cut(text: str, start: int, most: int) -> str:
    shown = ("…" if start else "") + text[start:]
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
