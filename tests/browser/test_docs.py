"""The documentation as a site, opened from a folder: nothing is fetched, mathematics is typeset, the search answers."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.browser.accessibility import violations
from tests.support.project import REPOSITORY

pytestmark = pytest.mark.slow

MATHEMATICS = ("activations", "depth", "descent", "glossary", "law", "lazy", "metrics", "theory")


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` makes it."""
    pytest.importorskip("zensical", reason="zensical is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("docs")
    for name in ("docs", "src"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for name in ("mkdocs.yml", "Makefile"):
        shutil.copy(REPOSITORY / name, folder)
    words = ["make", "-o", ".venv/.docs", f"BIN={Path(sys.executable).parent}", "docs"]
    made = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "site"


@pytest.mark.parametrize("name", ["index.html", "glossary.html", "theory.html", "api/law.html"])
def test_a_page_needs_only_its_folder(page: Any, site: Path, name: str) -> None:
    errors: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / name).as_uri())
    page.wait_for_load_state("load")
    assert not errors
    assert [url for url in requests if not url.startswith((site.as_uri(), "data:", "blob:"))] == []


@pytest.mark.parametrize("name", MATHEMATICS)
def test_all_mathematics_is_typeset(page: Any, site: Path, name: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / f"{name}.html").as_uri())
    page.wait_for_load_state("load")
    assert page.locator(".arithmatex").count() > 3
    assert page.locator(".arithmatex .katex").count() == page.locator(".arithmatex").count()
    assert page.locator(".katex-error").count() == 0
    assert not errors
    assert "\\" not in page.locator(".katex-html").first.inner_text()


def test_the_search_answers_from_a_folder(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.wait_for_load_state("load")
    page.keyboard.press("/")
    page.get_by_placeholder("Search").wait_for()
    page.keyboard.type("parent run")
    page.get_by_role("link", name="Glossary").last.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ask.html", "glossary.html", "related.html"])
def test_axe_finds_nothing_wrong_with_a_page(page: Any, site: Path, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto((site / name).as_uri())
    page.wait_for_load_state("load")
    assert violations(page) == []
