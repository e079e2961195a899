"""What others are given, pages and JSON files, holds no path of this machine."""

import json
from pathlib import Path

import pytest

import implicit_bias
from tests.static_pages import clean, relative
from tests.support.project import REPOSITORY, Project, make_project, static_pages


def paths_in(folder: Path, *roots: Path) -> list[str]:
    """The files of a folder that hold one of some paths."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in found if any(str(root).encode() in path.read_bytes() for root in roots)]


@pytest.mark.parametrize(
    ("root", "path", "left"),
    [
        ("/home/a", "/home/a/data/x.png", "data/x.png"),
        ("/home/a", "/home/ab/x.png", "/home/ab/x.png"),
        ("C:\\a\\b", "C:\\a\\b\\x.png", "x.png"),
        ("/home/ä b", "/home/ä b/x.png", "x.png"),
    ],
)
def test_paths_within_a_root_become_relative(root: str, path: str, left: str) -> None:
    assert json.loads(relative(json.dumps({"filepath": path, "code": f"open({path!r})"}), [root]))["filepath"] == left


def test_pages_are_cleaned(tmp_path: Path) -> None:
    """The longer of two roots goes first, the font's lines go, and all else stays."""
    (tmp_path / "build/api/nodes").mkdir(parents=True)
    (tmp_path / "build/index.html").write_text('<p>\n<link href="https://fonts.googleapis.com">\n</p>\n')
    package = Path(implicit_bias.__file__)
    node = {"filepath": str(tmp_path / "data/a.png"), "other": [str(package), None]}
    (tmp_path / "build/api/nodes/1").write_text(json.dumps(node))
    clean(tmp_path / "build", tmp_path)
    cleaned = json.loads((tmp_path / "build/api/nodes/1").read_text())
    assert cleaned == {"filepath": "data/a.png", "other": ["implicit_bias/__init__.py", None]}
    assert (tmp_path / "build/index.html").read_text() == "<p>\n</p>\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has run."""
    made = make_project(tmp_path_factory.mktemp("project"))
    made.run("--pipelines=width_sweep")
    return made


@pytest.mark.slow
def test_no_exported_file_holds_a_path(project: Project) -> None:
    """Plans, sections of the report, figures and the page; the answers of the commands, too."""
    exported = list((project.path / "data").rglob("*.json"))
    assert len(exported) > 4
    roots = (project.path, REPOSITORY, Path.home())
    assert not paths_in(project.path / "data", *roots)
    answer = project.kedro("implicit-bias", "compare", "--json", "--no-figure", "Width sweep", "Width sweep")
    assert not [root for root in roots if str(root) in answer]
    project.kedro("implicit-bias", "report", "--output", "page.html")
    page = (project.path / "page.html").read_bytes()
    assert not any(str(root).encode() in page for root in roots)


@pytest.mark.slow
def test_no_page_of_kedro_viz_holds_a_path(project: Project) -> None:
    pytest.importorskip("kedro_viz", reason="kedro-viz is not installed: pip install '.[viz]'")
    build = static_pages(project)
    assert len(list((build / "api/nodes").iterdir())) > 20
    assert not paths_in(build, project.path, REPOSITORY, Path.home())
