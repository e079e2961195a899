"""The report of a run: one page that needs nothing but itself."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.accessibility import violations
from tests.support.project import Project

pytestmark = pytest.mark.slow


PHONE, DESK = 360, 1300


@pytest.fixture
def report(finished: Project) -> Path:
    return finished.path / "data/smoke/08_reporting/report.html"


def test_the_report_is_drawn_without_an_error_or_a_request(page: Any, report: Path) -> None:
    errors: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_function("document.images.length && [...document.images].every(image => image.naturalWidth)")
    assert not errors
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_wrong_with_the_report(page: Any, report: Path, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(report.as_uri())
    assert violations(page) == []


def test_on_a_phone_neither_page_nor_table_is_cut(page: Any, report: Path) -> None:
    page.set_viewport_size({"width": PHONE, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.evaluate("[...document.querySelectorAll('table')].length") > 0
    cells = "[...document.querySelectorAll('table, tbody th, tbody td')]"
    assert page.evaluate(f"{cells}.filter(cell => cell.getBoundingClientRect().right > innerWidth).length") == 0


def test_the_keyboard_reaches_everything(page: Any, report: Path) -> None:
    page.goto(report.as_uri())
    page.keyboard.press("Tab")
    focus = "document.activeElement"
    assert page.evaluate(f"{focus}.textContent") == "Skip to the results"
    assert page.evaluate(f"{focus}.getBoundingClientRect().left") >= 0  # it is shown when it has the focus
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focus}.id") == "content"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(f"{focus}.outerHTML.slice(0, 80)"))
    stops = "main a, main summary, main [tabindex='0']"
    expected = page.evaluate(f'[...document.querySelectorAll("{stops}")].map(e => e.outerHTML.slice(0, 80))')
    assert set(expected) <= reached
