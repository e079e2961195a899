"""How the source is built: what `python -m tests.house` counts stays within its limits."""

import re
from pathlib import Path
from statistics import median

import pytest

from tests import house
from tests.support.project import REPOSITORY

TREE = house.working_tree()


def test_no_public_name_means_two_things() -> None:
    assert house.homonyms(TREE) == {}


def test_no_stage_takes_or_gives_an_untyped_dictionary() -> None:
    assert house.untyped(TREE) == []


def test_files_are_small() -> None:
    """Files of the tests, too: the median below 120 lines, and none above 400."""
    for folder in ("src", "tests"):
        counted = {path: len(path.read_text("utf-8").splitlines()) for path in (REPOSITORY / folder).rglob("*.py")}
        assert [str(path) for path, count in counted.items() if count > 400] == []
        assert median(counted.values()) < 120


def test_rooms_and_arrows() -> None:
    """As many as the note on registries says."""
    assert len(house.rooms(TREE)) <= 14
    assert len(house.arrows(TREE)) <= 37


def test_what_the_counts_count() -> None:
    """On a small tree: two rooms, one arrow, a name with two meanings, and a dictionary of anything."""
    tree = {
        "one/a.py": "from implicit_bias.two import b\ndef f(): ...\ndef _g(): ...\nclass C: ...\n",
        "two/b.py": "if TYPE_CHECKING:\n    from implicit_bias.one.a import f\ndef f(): ...\ndef _g(): ...\n",
        "two/c.py": "def create_pipeline(): ...\n",
        "pipelines/d.py": "def create_pipeline(): ...\ndef stage(a: int, b: dict[str, Any]) -> int: ...\n",
    }
    assert house.rooms(tree) == {"one", "two", "pipelines"}
    assert house.arrows(tree) == {("one", "two")}
    assert house.homonyms(tree) == {"f": ["one/a.py", "two/b.py"]}
    assert house.untyped(tree) == ["pipelines/d.py: stage"]
    assert house.described(tree)["lines"] == "11"


@pytest.mark.parametrize("walk", range(3))
def test_each_walk_takes_three_files_at_most(walk: int) -> None:
    """From `kedro run` to the line that trains, from a metric to its formula, from a figure to what draws it."""
    page = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    walks = page.split("Three walks")[1].split("\n## ")[0].split("\n- ")[1:]
    assert len(walks) == 3
    named = re.findall(r"`([\w/]+\.(?:py|md))`", walks[walk].partition("In the library")[0])
    assert len(named) >= 2
    assert all(Path(REPOSITORY, folder, path).exists() for path in named for folder in [folder_of(path)])
    choices = len(re.findall(r"\bor `", walks[walk]))  # a choice of two is one file
    assert len(named) - choices <= 3


def folder_of(path: str) -> str:
    return "" if path.startswith("docs/") else "src/implicit_bias"
