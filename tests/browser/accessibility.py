"""What axe-core finds on a page: https://github.com/dequelabs/axe-core, shipped by axe-playwright-python."""

from typing import Any

import pytest


def violations(page: Any, within: str = "html") -> list[str]:
    """The rules of axe that a page, or what a selector finds on it, breaks, each with the first element that does."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install '.[browser]'").Axe()
    found = axe.run(page, context=within).response["violations"]
    return [
        f"{each['id']} ({each['impact']}), {len(each['nodes'])} times: {each['nodes'][0]['html']}" for each in found
    ]
