"""The numbers of the documentation are those that the commands give."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.numbers import (
    MARK,
    SOURCES,
    TABLE,
    Commands,
    blocks,
    check,
    marks,
    pages,
    row_key,
    same_text,
    shown_like,
    unit,
)


def marked(page: Path) -> bool:
    text = page.read_text("utf-8")
    return bool([*marks(text), *blocks(text)])


MARKED = [page for page in pages() if marked(page)]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("numbers"))


@pytest.mark.parametrize("page", MARKED, ids=lambda page: page.name)
def test_console_blocks_show_what_the_commands_print(page: Path, commands: Commands) -> None:
    for finding in check(page, commands, slow=False):
        assert finding.agrees, f"{finding}: run `make docs-numbers`"


@pytest.mark.slow
@pytest.mark.parametrize("page", MARKED, ids=lambda page: page.name)
def test_marked_numbers_are_those_of_the_runs(page: Path, commands: Commands) -> None:
    for finding in check(page, commands, fast=False):
        assert finding.agrees, f"{finding}: run `make docs-numbers`"


def test_every_mark_is_understood() -> None:
    for page in MARKED:
        text = page.read_text("utf-8")
        assert {mark.source for mark in marks(text)} <= SOURCES.keys(), page.name
        assert text.count("<!-- number: ") == len(MARK.findall(text)), page.name
        assert text.count("<!-- numbers: ") == len(TABLE.findall(text)), page.name


def test_cells_of_a_table_are_marks() -> None:
    text = "<!-- numbers: width == ROW | a: x.mean() | b: y -->\n\n| h | A | B |\n|---|---|---|\n| 10³ | 1.5 | −2 |\n"
    found = list(marks(text))
    assert [(mark.shown, *mark[2:]) for mark in found] == [
        ("1.5", "a", "x.mean()", "width == 1e3"),
        ("−2", "b", "y", "width == 1e3"),
    ]
    assert all(text.startswith(mark.shown, mark.at) for mark in found)
    assert [row_key(cell) for cell in ("10⁻²", "9,500", "`balanced`")] == ["1e-2", "9500", "'balanced'"]


@pytest.mark.parametrize(("shown", "step"), [("0.788", "0.001"), ("81,300", "100"), ("3.5e-3", "0.0001"), ("−5", "1")])
def test_unit_of_the_last_digit(shown: str, step: str) -> None:
    assert unit(shown) == Decimal(step)


@pytest.mark.parametrize(
    ("shown", "now", "agrees"),
    [
        ("width 0.788", "width   0.787", True),
        ("width 0.788", "width 0.786", False),
        ("width 0.788", "height 0.788", False),
        ("1 2", "1 2 3", False),
        ("81,300", "81,263", True),
        ("−0.488", "−0.489", True),
        ("−0.488", "0.488", False),
    ],
)
def test_texts_agree_if_words_are_equal_and_numbers_to_one_unit(shown: str, now: str, agrees: bool) -> None:
    assert same_text(shown, now) is agrees


@pytest.mark.parametrize(
    ("shown", "number", "text"),
    [
        ("0.788", 0.78749, "0.787"),
        ("81,300", 81263.4, "81,300"),
        ("−0.488", -0.48449, "−0.484"),
        ("3.5e-3", 0.003449, "3.4e-3"),
        ("6.10", 6.099, "6.10"),
    ],
)
def test_a_number_is_written_as_the_one_shown(shown: str, number: float, text: str) -> None:
    assert shown_like(shown, number) == text


def test_a_wrong_output_is_seen_and_mended(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.numbers.REPOSITORY", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```console\n$ implicit-bias --version-of-nothing\n0.788\n```\n0.79<!-- number: width: x -->\n")
    monkeypatch.setattr(Commands, "output", lambda self, command: "0.792")
    monkeypatch.setattr(Commands, "number", lambda self, *words: 0.8449)
    assert [finding.agrees for finding in check(page, commands, write=True)] == [False, False]
    assert page.read_text().splitlines()[2::2] == ["0.792", "0.84<!-- number: width: x -->"]
    assert all(finding.agrees for finding in check(page, commands))
