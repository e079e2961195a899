"""kedro-viz, built to static pages: the pipeline as a graph, and the figure in it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.project import Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def viz(finished: Project, serve: Callable[..., Any]) -> Iterator[str]:
    pytest.importorskip("kedro_viz", reason="kedro-viz is not installed: pip install '.[viz]'")
    finished.kedro("viz", "build", "--include-previews", env={"KEDRO_ENV": "smoke"})
    command = ["-m", "http.server", "{port}", "--bind", "127.0.0.1"]
    with serve(finished.path / "build", command) as address:
        yield address


def test_the_stages_are_a_graph(page: Any, viz: str) -> None:
    page.goto(f"{viz}/?pid=width_sweep&expandAllPipelines=true")
    nodes = ("generate_data", "reparametrize_data", "plan_points", "train_points", "evaluate_points", "draw_sweep")
    for node in nodes:
        page.locator(".pipeline-node__text", has_text=node).first.wait_for()
    layers = page.locator(".pipeline-layer-name").all_inner_texts()
    stories = ["raw", "intermediate", "model_input", "models", "model_output", "reporting"]
    assert [layer for layer in layers if layer in stories] == stories


def test_the_figure_has_a_preview(page: Any, viz: str) -> None:
    page.goto(f"{viz}/?pid=width_sweep&expandAllPipelines=true")
    page.locator(".pipeline-node__text", has_text=re.compile("^width_sweep.figure$")).first.dispatch_event("click")
    page.wait_for_function(
        "[...document.images].some(image => image.src.startsWith('data:image') && image.naturalWidth)"
    )
