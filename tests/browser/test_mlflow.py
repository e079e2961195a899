"""MLflow's UI on a run: the runs, their figures, and the views that the run's links promise."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from implicit_bias.tracking.tags import PARENTS
from implicit_bias.tracking.views import TAG
from tests.support.project import Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mlflow(finished: Project, serve: Callable[..., Any]) -> Iterator[str]:
    command = ["-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--host", "127.0.0.1"]
    with serve(finished.path, [*command, "--port", "{port}", "--workers", "1"], "/health") as address:
        yield address


@pytest.fixture(scope="module")
def client(finished: Project) -> MlflowClient:
    return MlflowClient(finished.store)


def parent(client: MlflowClient, sweep: str) -> Any:
    (run,) = client.search_runs(["1"], f"tags.`implicit_bias.sweep` = '{sweep}' AND {PARENTS}")
    return run


def link(client: MlflowClient, sweep: str, title: str) -> str:
    """The link of that title in the description of the sweep's parent run."""
    note = parent(client, sweep).data.tags["mlflow.note.content"]
    return re.search(rf"\[{title}\]\(([^)]+)\)", note)[1]  # type: ignore[index]


def test_the_children_are_listed_with_their_metrics(page: Any, mlflow: str, client: MlflowClient) -> None:
    page.goto(f"{mlflow}/{link(client, 'width', 'Table')}")
    for width in (20, 40):
        for seed in (0, 1):
            page.get_by_text(f"h={width} seed={seed}", exact=True).first.wait_for()
    for column in ("distance", "iterations", "imbalance_c"):
        page.get_by_role("columnheader", name=column, exact=True).first.wait_for()
    assert page.get_by_text("4 matching runs").count() == 1


@pytest.mark.parametrize(
    ("sweep", "rows", "curves"),
    [
        ("width", ("Group: 20", "Group: 40"), ("20", "40")),
        ("imbalance", ("case 1 flow", "balanced descent"), ("case 2 flow", "balanced flow")),
    ],
)
def test_what_is_compared_has_a_curve_each(
    page: Any, mlflow: str, client: MlflowClient, sweep: str, rows: tuple[str], curves: tuple[str]
) -> None:
    page.goto(f"{mlflow}/{link(client, sweep, 'Comparison')}")
    for text in (*rows, *(f"{name} (curve/distance)" for name in curves)):
        page.get_by_text(text).first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer path.js-line").first.wait_for()
    assert page.get_by_text("Additional runs").count() == 0  # the parent is in no group
    assert page.get_by_text("share key").count() == 0


def test_parallel_coordinates_are_drawn(page: Any, mlflow: str, client: MlflowClient) -> None:
    page.goto(f"{mlflow}/{link(client, 'width', 'Parallel coordinates')}")
    for axis in ("width", "imbalance_c", "distance", "iterations"):
        page.locator("text", has_text=re.compile(f"^{axis}$")).first.wait_for()
    assert page.locator("text", has_text=re.compile("^alpha$")).count() == 0  # the same for all points


def test_the_figure_is_shown(page: Any, mlflow: str, client: MlflowClient) -> None:
    run_id = parent(client, "width").info.run_id
    page.goto(f"{mlflow}/#/experiments/1/runs/{run_id}/artifacts/width_figure.png")
    page.wait_for_function("[...document.images].some(image => image.complete && image.naturalWidth > 1000)")


def test_the_experiment_links_to_its_sweeps(page: Any, mlflow: str, client: MlflowClient) -> None:
    note = client.get_experiment("1").tags["mlflow.note.content"]
    page.goto(f"{mlflow}/{re.search(r'[(]([^)]+)[)]', note)[1]}")  # type: ignore[index]
    page.get_by_text("2 matching runs").wait_for()
    for name in ("Width sweep", "Imbalance sweep"):
        page.get_by_role("link", name=name, exact=True).first.wait_for()


def test_views_have_names(client: MlflowClient) -> None:
    tags = client.get_experiment("1").tags
    assert len([tag for tag in tags if tag.startswith(TAG)]) == 4
