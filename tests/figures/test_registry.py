"""Every figure has its row: what draws it, and its title, its caption and what it shows."""

import ast

import pytest

from implicit_bias.figures.registry import FIGURES, STUDY_FIGURES, study_words
from implicit_bias.report.registry import SECTIONS
from tests.support.project import REPOSITORY

SOURCE = REPOSITORY / "src/implicit_bias"
FIGURE_FILES = list((SOURCE / "figures").glob("*.py"))


def names(paths) -> set[str]:
    """Names that modules read."""
    trees = [ast.walk(ast.parse(path.read_text("utf-8"))) for path in paths]
    return {node.id for tree in trees for node in tree if isinstance(node, ast.Name)}


def drawing() -> set[str]:
    """The functions of figures/ that draw a figure."""
    trees = [ast.parse(path.read_text("utf-8")) for path in FIGURE_FILES]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {each.name for each in functions if each.name.endswith("_figure") and not each.name.startswith("_")}


def test_every_figure_is_drawn_by_a_row():
    assert len(drawing()) > 15
    assert drawing() <= names(FIGURE_FILES)


def test_nothing_above_the_figures_names_one_that_it_draws():
    """Pipelines, report and tracking go through the rows; `figures/sketch.py` draws points in worker processes."""
    above = [path for room in ("pipelines", "report", "tracking", "cli") for path in (SOURCE / room).rglob("*.py")]
    assert not drawing() & names(above)


@pytest.mark.parametrize("study", STUDY_FIGURES)
def test_every_picture_of_a_study_has_its_words(study):
    for words in study_words(study).values():
        assert words.title
        assert words.caption.endswith(".")
    if study in SECTIONS:
        assert SECTIONS[study].pictures == study_words(study)


def test_every_section_with_pictures_of_its_own_has_them_here():
    assert {name for name, section in SECTIONS.items() if section.pictures} <= set(STUDY_FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_a_sweep_has_its_words(name):
    assert FIGURES[name].words.title
    assert FIGURES[name].words.caption.endswith(".")
