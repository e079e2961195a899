"""kedro-viz: the pipeline as a graph, figures, tables and parameters in it, served and as static pages."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from implicit_bias.pipeline_registry import register_pipelines
from tests.support.project import Project, static_pages

pytestmark = pytest.mark.slow

GRAPH = "/?pid=width_sweep&expandAllPipelines=true"
PICTURE = "[...document.images].some(image => image.src.startsWith('data:image') && image.naturalWidth > 1000)"


@pytest.fixture(scope="module")
def viz(finished: Project, serve: Callable[..., Any]) -> Iterator[str]:
    pytest.importorskip("kedro_viz", reason="kedro-viz is not installed: pip install '.[viz]'")
    served = "run_server(host='127.0.0.1', port={port}, env='smoke', project_path='.')"  # as viz run, without PyPI
    with serve(finished.path, ["-c", f"from kedro_viz.server import run_server; {served}"], "/api/main") as address:
        yield address


def read(address: str) -> Any:
    with urllib.request.urlopen(address) as answer:
        return json.load(answer)


def shown(viz: str, name: str) -> dict[str, Any]:
    """What the panel of a node shows."""
    nodes = [each for each in read(f"{viz}/api/main?pipeline=width_sweep")["nodes"] if each["name"] == name]
    return dict(read(f"{viz}/api/nodes/{nodes[0]['id']}"))


def node(page: Any, name: str) -> Any:
    return page.locator(".pipeline-node__text", has_text=re.compile(f"^{re.escape(name)}$")).first


def test_the_stages_are_a_graph(page: Any, viz: str) -> None:
    page.goto(viz + GRAPH)
    for name in ("generate_data", "reparametrize_data", "plan_points", "train_points", "evaluate_points", "draw_sweep"):
        node(page, name).wait_for()
    layers = page.locator(".pipeline-layer-name").all_inner_texts()
    stories = ["raw", "intermediate", "model_input", "models", "model_output", "reporting"]
    assert [layer for layer in layers if layer in stories] == stories


def test_the_figure_has_a_preview(page: Any, viz: str) -> None:
    page.goto(viz + GRAPH)
    node(page, "width_sweep.figure").dispatch_event("click")
    page.wait_for_function(PICTURE)


def test_panels_show_tables_parameters_and_what_a_stage_does(viz: str) -> None:
    table, parameters = shown(viz, "width_sweep.table")["preview"], shown(viz, "params:width_sweep")["parameters"]
    assert {"point", "width", "seed", "distance"} <= set(table["columns"])
    assert parameters["width_sweep"]["widths"] == [20, 40]
    assert "Train every point by its solver" in shown(viz, "train_points")["code"]


def test_every_pipeline_can_be_chosen(viz: str) -> None:
    assert {each["id"] for each in read(f"{viz}/api/main")["pipelines"]} == register_pipelines().keys()


@pytest.fixture(scope="module")
def build(finished: Project) -> Path:
    """The static pages, as `make viz-build` makes them."""
    pytest.importorskip("kedro_viz", reason="kedro-viz is not installed: pip install '.[viz]'")
    return static_pages(finished)


def test_static_pages_hold_the_figure(build: Path) -> None:
    shown = [json.loads(path.read_text()) for path in Path(build, "api", "nodes").iterdir()]
    pictures = {Path(each["filepath"]).name for each in shown if each.get("preview_type") == "ImagePreview"}
    assert {"width_figure.png", "imbalance_figure.png"} <= pictures


def test_static_pages_ask_no_other_machine(page: Any, build: Path, serve: Callable[..., Any]) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    with serve(build, ["-m", "http.server", "--bind", "127.0.0.1", "{port}"]) as address:
        page.goto(f"{address}/?expandAllPipelines=true")
        node(page, "train_points").wait_for()
        others = [url for url in requests if not url.startswith((address, "data:", "blob:"))]
    assert requests
    assert not others
