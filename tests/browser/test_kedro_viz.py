"""kedro-viz: the pipeline as a graph, figures, tables and parameters in it, served and as static pages."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from implicit_bias.pipeline_registry import register_pipelines
from tests.project import Project

pytestmark = pytest.mark.slow

GRAPH = "/?pid=width_sweep&expandAllPipelines=true"
PICTURE = "[...document.images].some(image => image.src.startsWith('data:image') && image.naturalWidth > 1000)"


@pytest.fixture(scope="module")
def viz(finished: Project, serve: Callable[..., Any]) -> Iterator[str]:
    pytest.importorskip("kedro_viz", reason="kedro-viz is not installed: pip install '.[viz]'")
    command = ["-m", "kedro", "viz", "run", "--host", "127.0.0.1", "--port", "{port}", "--no-browser", "--env", "smoke"]
    with serve(finished.path, command) as address:
        yield address


def node(page: Any, name: str) -> Any:
    return page.locator(".pipeline-node__text", has_text=re.compile(f"^{re.escape(name)}$")).first


def test_the_stages_are_a_graph(page: Any, viz: str) -> None:
    page.goto(viz + GRAPH)
    for name in ("generate_data", "reparametrize_data", "plan_points", "train_points", "evaluate_points", "draw_sweep"):
        node(page, name).wait_for()
    layers = page.locator(".pipeline-layer-name").all_inner_texts()
    stories = ["raw", "intermediate", "model_input", "models", "model_output", "reporting"]
    assert [layer for layer in layers if layer in stories] == stories


def test_the_figure_and_the_table_have_previews(page: Any, viz: str) -> None:
    page.goto(viz + GRAPH)
    node(page, "width_sweep.figure").dispatch_event("click")
    page.wait_for_function(PICTURE)
    node(page, "width_sweep.table").dispatch_event("click")
    page.get_by_role("columnheader", name="width", exact=True).first.wait_for()


def test_a_stage_shows_its_docstring(page: Any, viz: str) -> None:
    page.goto(viz + GRAPH)
    node(page, "train_points").dispatch_event("click")
    page.get_by_text("Show Code").first.click()
    page.get_by_text("Train every point by gradient flow or gradient descent").first.wait_for()


def test_every_pipeline_can_be_chosen(viz: str) -> None:
    with urllib.request.urlopen(f"{viz}/api/main") as answer:
        main = json.load(answer)
    assert {each["id"] for each in main["pipelines"]} == register_pipelines().keys()


def test_static_pages_hold_the_figure(finished: Project) -> None:
    pytest.importorskip("kedro_viz", reason="kedro-viz is not installed: pip install '.[viz]'")
    finished.kedro("viz", "build", "--include-previews", env={"KEDRO_ENV": "smoke"})
    build = finished.path / "build"
    assert (build / "index.html").is_file()
    shown = [json.loads(path.read_text()) for path in Path(build, "api", "nodes").iterdir()]
    pictures = {Path(each["filepath"]).name for each in shown if each.get("preview_type") == "ImagePreview"}
    assert {"width_figure.png", "imbalance_figure.png"} <= pictures
