"""The tables of docs/theory.md and docs/reliability.md name what exists."""

import importlib.util
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from implicit_bias.theory import Stop, reparametrize, scaled, standard_normal
from implicit_bias.theory.experiment import train
from implicit_bias.theory.measure import evaluate

ROOT = Path(__file__).parents[2]
COLUMNS = ["Symbol", "Meaning", "Shape", "Paper", "Name in code", "Test"]


def notation() -> list[list[str]]:
    """Rows of the notation table, as lists of cells."""
    section = (ROOT / "docs/theory.md").read_text("utf-8").split("## Notation")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert header == COLUMNS
    return rows


ROWS = notation()


def exists(name: str) -> bool:
    """Whether implicit_bias.theory.<modules>.<attribute>... does, where an attribute may be a field of a dataclass."""
    path = name.split(".")
    value = importlib.import_module("implicit_bias.theory")
    while path and importlib.util.find_spec(f"{value.__name__}.{path[0]}"):
        value = importlib.import_module(f"{value.__name__}.{path.pop(0)}")
        if not hasattr(value, "__path__"):
            break
    if not path or not isinstance(value, ModuleType) or value.__name__ == "implicit_bias.theory":
        return False
    for part in path:
        if is_dataclass(value) and part in {field.name for field in fields(value)}:
            return part == path[-1]
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


@pytest.mark.parametrize("row", ROWS, ids=[row[4].strip("`") for row in ROWS])
def test_every_row_names_code_and_a_test_that_exist(row):
    assert len(row) == len(COLUMNS)
    name, test = row[4].strip("`"), row[5].strip("`")
    assert exists(name)
    assert re.search(rf"\b{name.rpartition('.')[2]}\b", (ROOT / "tests" / test).read_text("utf-8")), "tested elsewhere"


def test_the_check_sees_a_name_that_is_missing():
    assert exists("problem.Problem.sigma")
    assert not exists("problem.Problem.no_such_symbol")
    assert not exists("bounds.no_such_bound")
    assert exists("claims.check.equal")
    assert not exists("claims.check")
    assert not exists("no_such_module.equal")


def test_every_metric_of_a_point_is_explained():
    rng = np.random.default_rng(0)
    problem = reparametrize(rng.standard_normal((4, 9)) / 3, rng.standard_normal((4, 1)))
    h = 40
    state = scaled(standard_normal(problem, h, rng), h**-0.5, h**-0.5)
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    for solver, step in (("gradient_flow", None), ("gradient_descent", float(problem.flow_time(1, 0.01)))):
        run, _ = train(problem, state, solver, 0.01, Stop(t_max=problem.flow_time(100, 0.01)), 10, 1e-8)
        measured = evaluate(problem, state, run, h**-0.5, h**-0.5, 0.5, 0.05, step=step).metrics
        for name in measured:
            bound = re.sub(r"^met/|_(worst|final)$", "", name)
            assert f"`{name}`" in page or (bound != name and f"`{bound}`" in page), name


BORDERS = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs/borders.md").read_text("utf-8"))


def test_borders_are_held_by_tests_that_exist():
    assert len(BORDERS) > 40
    for file, test in BORDERS:
        assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}::{test}"


@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("law.md", "Tu, Aranguri"),  # the law at equal scales, for all times
        ("law.md", "Chizat, Colombo"),  # convergence of wide random linear networks, with rates
        ("related.md", "Varre"),
    ],
)
def test_results_that_others_had_before_are_cited(page, source):
    assert source in " ".join((ROOT / "docs" / page).read_text("utf-8").split())


PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere_on_the_site(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
        assert (page.parent / target).resolve().is_relative_to(ROOT / "docs"), f"{target} is not on the site"


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:")[1]))
    assert named == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES}, "see nav in mkdocs.yml"


def named_tests() -> list[tuple[str, bool]]:
    """The tests that docs/reliability.md names as FILE::TEST, and whether it says that they are slow."""
    page = (ROOT / "docs/reliability.md").read_text("utf-8")
    return [(name, slow == "[") for slow, name in re.findall(r"(\[?)`(tests/\S+?::\w+)`", page)]


@pytest.mark.parametrize(("name", "slow"), named_tests(), ids=[name for name, _ in named_tests()])
def test_reliability_names_tests_that_exist(name: str, slow: bool) -> None:
    file, _, function = name.partition("::")
    source = (ROOT / file).read_text("utf-8")
    head, found, _ = source.partition(f"def {function}(")
    assert found
    marked = "slow" in head.rpartition("\n\n\n")[2] or "pytestmark = pytest.mark.slow" in source
    assert marked == slow
