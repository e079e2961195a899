"""What the check of plain English flags, and what it leaves alone."""

import tomllib

import pytest

from tests.prose import findings
from tests.support.project import REPOSITORY

SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["prose"]


def found(text: str) -> list[str]:
    return [finding.found for finding in findings(text, SETTINGS["phrases"], SETTINGS["longest-sentence"])]


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("The table has one row a point.", "one row a point"),
        ("It is ridgeless\nregression.", "ridgeless regression"),
        ("The initialization is random.", "initialization"),
        ("It is in the the table.", "the the"),
        ("| `\\|x\\|` |", r"\| in a table"),
        ("The norm `||x||_F` of it.", "`||x||_F`"),
        ("Word " * 39 + "end.", "Word Word Word Word Word Word Word Word ..."),
        ("- item\n- " + "a word " * 20, "- a word a word a word a ..."),
    ],
)
def test_it_is_flagged(text: str, flagged: str) -> None:
    assert found(text) == [flagged]


@pytest.mark.parametrize(
    "text",
    [
        "The table has one row per point.",
        "Call `initialization` and *Networks with General Initialization*, see [it](optimization.md).",
        "```console\nridgeless the the\n```",
        "    ridgeless = 1\n",
        "A formula $\\lVert x \\rVert$ of the kind.",
        "Word " * 38 + ". " + "Word " * 38,
        "| " + "a word " * 30 + "|",
        "- " + "a word " * 15 + "\n- " + "a word " * 15,
    ],
)
def test_it_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_finding_names_its_line() -> None:
    assert [finding.line for finding in findings("One.\n\n```\ncode\n```\n\nridgeless", SETTINGS["phrases"], 38)] == [7]


def test_the_listed_pages_exist() -> None:
    assert all(any(REPOSITORY.glob(pattern)) for pattern in SETTINGS["files"])
