"""The commands on tracked runs, `compare` and `report`: what they read back from a small store, and their errors."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from implicit_bias import cli
from implicit_bias.figures.comparison import comparison_figure
from implicit_bias.tracking.comparison import compare
from implicit_bias.tracking.reader import Reader
from implicit_bias.tracking.store import Store

WIDTHS, SEEDS = (100, 400), (0, 1, 2)
ITERATION = [0, 10, 100]


def distance(width: int, seed: int, scale: float) -> float:
    return scale * (1 + 0.1 * seed) / width**0.5


PROFILE = {"n": 5, "D": 9, "m": 1, "r": 5, "cond": 2.0}


def fill(
    store: Store,
    name: str,
    scale: float,
    failed: str = "",
    order: int = 1,
    enlarged: float = 1.0,
    folder: str = "",
    **params: Any,
) -> str:
    """Track a sweep of known distances, which may be enlarged, from a folder of results; a point may fail.

    With order -1 the last point is done first.
    """
    keys = {f"w={h}-s={seed}": (h, seed) for h in WIDTHS for seed in SEEDS}
    sweep = store.open(
        {
            "experiment": "tests",
            "sweep": "width",
            "name": name,
            "report": "sweep",
            "params": {"title": name, "figure": "width", "step_size": 0.01, "solvers": "gradient_flow", **params},
            "points": {
                key: {"name": f"h={h} seed={seed}", "params": {"width": h, "seed": seed, "solver": "gradient_flow"}}
                for key, (h, seed) in keys.items()
            },
            "datasets": [{"name": "line", "digest": "0123abcd", "profile": PROFILE}],
        }
        | ({"folder": folder} if folder else {})
    )
    for key, (h, seed) in list(keys.items())[::order]:
        if key == failed:
            sweep.fail(key, "FloatingPointError: <b>diverged</b>")
            continue
        decay = np.exp(-0.05 * scale * np.array(ITERATION))
        curves = {"curve/iteration": ITERATION, "curve/excess": decay, "curve/bound": 2 * decay}
        sweep.log(key, "trajectory", curves | {"curve/distance": distance(h, seed, scale) * (1 + decay)})
        measured = {"metric/distance": enlarged * distance(h, seed, scale), "metric/law_rms": scale / h**0.5}
        sweep.log(key, "evaluation", measured | {"metric/iterations": 100.0, "metric/loss": float(decay[-1])})
    sweep.summary("summary", {"metric/slope": -0.5})
    sweep.close()
    return sweep.run_id


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with a store of two sweeps, and the ids of their runs; a point of the second has failed."""
    folder = tmp_path_factory.mktemp("tracked")
    store = Store("sqlite:///mlflow.db", folder)
    first = fill(store, "First", 1.0)
    return folder, first, fill(store, "Second", 2.0, failed="w=400-s=2", step_size=0.02)


@pytest.fixture
def here(tracked: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tracked[0])
    return tracked[0]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.commands, ["implicit-bias", *arguments, "--experiment", "tests"])


def compared(*arguments: str) -> dict[str, Any]:
    result = run("compare", "--json", "--no-figure", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_two_sweeps(here: Path, tracked: tuple[Path, str, str]) -> None:
    found = compared("First", tracked[2])  # by name, and by id
    assert [run["name"] for run in found["runs"]] == ["First", "Second"]
    assert [run["status"] for run in found["runs"]] == ["FINISHED", "FAILED"]
    assert found["params"] == {"title": ["First", "Second"], "step_size": ["0.01", "0.02"]}
    for i, scale, lost in ((0, 1.0, ()), (1, 2.0, ((400, 2),))):
        values = [distance(h, seed, scale) for h in WIDTHS for seed in SEEDS if (h, seed) not in lost]
        metric = found["metrics"]["distance"][i]
        assert metric["count"] == len(values)
        assert metric["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert metric["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        (group,) = [each["metrics"]["distance"][i] for each in found["groups"] if each["group"] == {"width": 400}]
        at_400 = [distance(400, seed, scale) for seed in SEEDS if (400, seed) not in lost]
        assert group["mean"] == pytest.approx(np.mean(at_400), rel=1e-12)
    assert found["metrics"]["slope"] == [{"mean": -0.5, "sd": None, "count": 1}] * 2


def test_what_differs_comes_first(here: Path) -> None:
    found = compared("First", "Second")
    assert found["differ"] == ["distance", "law_rms", "loss"]  # those without a spread come last
    assert found["same"] == ["slope", "iterations"]
    lines = run("compare", "First", "Second", "--no-figure").stdout.split("\n")
    heads = [line for line in lines if line.endswith((":", ",")) or line.startswith("The same")]
    assert [head.split()[0] for head in heads] == ["Parameters", "Distance", "Metrics", "mean", "The"]
    (same,) = [line for line in lines if line.startswith("The same: ")]
    assert "slope" in same


def test_means_of_another_metric_per_width(here: Path) -> None:
    result = run("compare", "First", "Second", "--no-figure", "--metric", "law_rms")
    assert re.search(r"law_rms per width.*\n.*\n +width=100 +0\.1 +0\.2 +2\n", result.output)
    refused = run("compare", "First", "Second", "--metric", "distances")
    assert refused.exit_code == 1
    assert "neither run has the metric 'distances': they have " in refused.output


@pytest.mark.parametrize(
    "scale", [2.6e226, pytest.param(1e308, marks=pytest.mark.slow), pytest.param(np.inf, marks=pytest.mark.slow)]
)
def test_enormous_distances_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    """Of a descent that left every scale; JSON has no infinity."""
    monkeypatch.chdir(tmp_path)
    store = Store("sqlite:///mlflow.db", tmp_path)
    fill(store, "Small", 1.0)
    fill(store, "Large", 1.0, enlarged=scale)
    result = run("compare", "Small", "Large")
    assert result.exit_code == 0, result.output
    assert "distance" in result.output
    printed = run("compare", "Small", "Large", "--json", "--no-figure").stdout

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(printed, parse_constant=refuse)
    large = found["metrics"]["distance"][1]
    if scale < 1e300:
        expected = [distance(h, seed, 1.0) * scale for h in WIDTHS for seed in SEEDS]
        assert large["mean"] == pytest.approx(np.mean(expected), rel=1e-12)
        assert large["sd"] == pytest.approx(np.std(np.array(expected) / scale, ddof=1) * scale, rel=1e-12)
    else:
        assert (large is None) == (scale == np.inf)  # a point tracks finite numbers only
    assert "distance" in found["differ"]


@pytest.mark.slow
def test_standard_output_is_the_answer_alone(tracked: tuple[Path, str, str], tmp_path: Path) -> None:
    """In a project, where Kedro logs as soon as it is imported."""
    project = tmp_path / "project"
    shutil.copytree(tracked[0], project)
    (project / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "theirs"\nproject_name = "theirs"\nkedro_init_version = "1.7.0"\n'
    )
    for name in ("src/theirs", "conf/base", "conf/local"):
        (project / name).mkdir(parents=True)
    for name in ("__init__", "settings", "pipeline_registry"):
        (project / f"src/theirs/{name}.py").write_text("def register_pipelines():\n    return {}\n")
    command = ("compare", "First", "Second", "--experiment", "tests", "--json", "--no-figure")
    answer = subprocess.run(
        [sys.executable, "-m", "implicit_bias.cli", *command],
        cwd=project,
        env=os.environ | {"DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["differ"] == ["distance", "law_rms", "loss"]


def test_two_points(here: Path) -> None:
    found = compared("First/h=100 seed=0", "First/h=400 seed=0")
    assert found["params"] == {"width": ["100", "400"]}
    assert [each["mean"] for each in found["metrics"]["distance"]] == [distance(h, 0, 1.0) for h in WIDTHS]
    assert found["groups"] == []


def test_a_sweep_beside_a_point(here: Path) -> None:
    found = compared("First", "First/h=100 seed=0")
    assert found["params"] == {"width": ["100 400", "100"], "seed": ["0 1 2", "0"]}
    assert [run["points"] for run in found["runs"]] == [6, 1]


def test_tables_and_figure(here: Path, tmp_path: Path) -> None:
    figure = tmp_path / "new" / "figure.png"
    result = run("compare", "First", "Second", "--output", str(figure))
    assert result.exit_code == 0, result.output
    assert re.search(r"step_size +0\.01 +0\.02\n", result.output)
    assert re.search(r"width=100 +0\.110 ± 0\.010 +0\.220 ± 0\.020 +2\n", result.output)
    assert str(figure) in result.output
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["First", "Third"], "There is no run 'Third'; the newest sweeps are 'Second', 'First'"),
        (["First", "First/h=1 seed=0"], "There is no run 'First/h=1 seed=0'"),
        (["h=100 seed=0", "First"], "2 runs are called 'h=100 seed=0': give SWEEP/POINT, or an id: "),
        (["First", "0" * 32], f"There is no run with the id {'0' * 32}"),
        (["""it's "so" """, "First"], "There is no run"),
        (["First", "Second", "--uri", "sqlite:///nowhere.db"], "There is no MLflow store sqlite:///nowhere.db in"),
        (["First", "Second", "--uri", "http://127.0.0.1:9"], "cannot be used"),
        (["First", "Second", "--output", "figure.nothing"], "figure.nothing cannot be written"),
    ],
)
def test_what_cannot_be_compared_is_said(here: Path, arguments: list[str], message: str) -> None:
    result = run("compare", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert not (here / "nowhere.db").exists()


def test_an_unknown_experiment_is_said_with_those_there_are(here: Path) -> None:
    result = CliRunner().invoke(cli.commands, ["implicit-bias", "compare", "First", "Second", "--experiment", "mine"])
    assert result.exit_code == 1
    assert "There is no experiment 'mine' in the MLflow store: it has 'tests'" in result.output


@pytest.mark.parametrize("arguments", [["compare", "First"], ["compare"], ["report", "--nothing"]])
def test_wrong_usage(here: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_figure_shows_the_curves_and_the_bounds() -> None:
    decay = [1.0, 0.5, 0.25]
    curves = [
        {
            "excess": {"iteration": ITERATION, "value": decay},
            "bound": {"iteration": ITERATION, "value": [2 * value for value in decay]},
            "distance": {"iteration": ITERATION, "value": [3.0, 2.0, 1.5]},
            "law_rms": 1.4,
        }
    ]
    points = {"width": [100, 100, 400], "distance": [1.0, 3.0, 0.5], "law_rms": [2.0, 2.0, 1.0]}
    point = {"label": "A", "curves": curves, "points": {"width": [100], "distance": [1.5]}}
    left, right = comparison_figure([point, point | {"label": "B"}]).axes
    assert [list(line.get_ydata()) for line in left.lines] == [decay, [2.0, 1.0, 0.5]] * 2
    assert [list(line.get_ydata()) for line in right.lines] == [[3.0, 2.0, 1.5], [1.4, 1.4]] * 2
    sweep = {"label": "A", "curves": curves, "points": points}
    _, right = comparison_figure([sweep, sweep]).axes
    assert any(list(line.get_ydata()) == [2.0, 0.5] for line in right.lines)  # the means over the runs of a width
    assert right.get_xlabel() == "width $h$"


def test_the_report_is_rebuilt_from_tracked_runs(here: Path, tmp_path: Path, tracked: tuple[Path, str, str]) -> None:
    page = tmp_path / "page.html"
    result = run("report", "--output", str(page))  # the newest run of the sweep
    assert result.exit_code == 0, result.output
    assert "Second: 5 of 6 points finished" in result.output
    text = page.read_text(encoding="utf-8")
    assert "FloatingPointError: &lt;b&gt;diverged&lt;/b&gt;" in text
    assert "0.220 ± 0.020" in text
    assert tracked[2] in text
    assert "First" not in re.findall("<h2.*?</h2>", text)


def test_the_report_of_chosen_runs(here: Path, tmp_path: Path, tracked: tuple[Path, str, str]) -> None:
    page = tmp_path / "page.html"
    result = run("report", "--run-id", tracked[1], "--run-id", "Second", "--output", str(page))
    assert result.exit_code == 0, result.output
    titles = re.findall('<h2 id="([^"]+)-title">(.*?)</h2>', page.read_text(encoding="utf-8"))
    assert titles == [(f"width-{tracked[1][:8]}", "First"), (f"width-{tracked[2][:8]}", "Second")]


def test_the_report_keeps_the_sweeps_of_other_environments_and_names_runs_as_they_are_tracked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = Store("sqlite:///mlflow.db", tmp_path)
    for folder in ("base", "wide", "wide"):
        fill(store, "Sweep", 1.0, folder=folder)
    result = run("report")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(re.findall("<h2[^>]*>(.*?)</h2>", page)) == {"Sweep", "Sweep #3"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run-id", "nothing"], "There is no run 'nothing'"),
        (["--run-id", "First/h=100 seed=0"], "'h=100 seed=0' is not that of a sweep"),
        (["--output", "/dev/null/page.html"], "/dev/null/page.html cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_said(here: Path, arguments: list[str], message: str) -> None:
    result = run("report", *arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_the_same_points_are_drawn_of_both_sweeps_to_their_ends(tmp_path: Path) -> None:
    store = Store("sqlite:///mlflow.db", tmp_path)
    ids = [fill(store, "Sweep", 1.0, order=order) for order in (1, -1)]
    first, second = compare(Reader("sqlite:///mlflow.db", tmp_path, "tests"), ids)["drawn"]
    assert first["curves"] == second["curves"]
    assert [curve["label"] for curve in first["curves"]] == ["h=100 seed=0", "h=100 seed=2", "h=400 seed=2"]
    assert {curve["excess"]["iteration"][-1] for curve in first["curves"]} == {100}
