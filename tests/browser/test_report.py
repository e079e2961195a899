"""The report of a run: one page that needs nothing but itself."""

from typing import Any

import pytest

from tests.project import Project

pytestmark = pytest.mark.slow


def test_the_report_is_drawn_without_an_error_or_a_request(page: Any, finished: Project) -> None:
    report = finished.path / "data/smoke/08_reporting/report.html"
    errors: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_function("document.images.length && [...document.images].every(image => image.naturalWidth)")
    assert not errors
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]
