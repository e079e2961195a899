"""`kedro implicit-bias init` in a project of somebody else: what it writes, asks and leaves alone, and that it runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from implicit_bias import cli
from tests.support.project import Project
from tests.support.their_project import PACKAGE, kedro_new, make_tiny, tables

CATALOG, PARAMETERS = "conf/base/catalog_implicit_bias.yml", "conf/base/parameters_implicit_bias.yml"
MODULE = f"src/{PACKAGE}/pipelines/implicit_bias/__init__.py"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kedro_new(tmp_path_factory.mktemp("new")).path


@pytest.fixture
def project(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, as the working directory."""
    path = tmp_path / "their-study"
    shutil.copytree(fresh, path)
    monkeypatch.chdir(path)
    return path


def init(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli.commands, ["implicit-bias", "init", *arguments], input=answer)


def contents(project: Path) -> dict[str, bytes]:
    files = (path for path in project.rglob("*") if path.is_file() and path.suffix != ".pyc")  # of Python's own
    return {str(path.relative_to(project)): path.read_bytes() for path in files}


def test_three_files_are_added_and_none_is_changed(project: Path) -> None:
    before = contents(project)
    result = init()
    assert result.exit_code == 0, result.output
    after = contents(project)
    assert set(after) - set(before) == {CATALOG, PARAMETERS, MODULE}
    assert {name: after[name] for name in before} == before
    assert "kedro run --pipelines=implicit_bias" in result.output
    assert 'add to pyproject.toml: "kedro-implicit-bias~=' in result.output
    assert init("--dry-run").output.count("(as it is)") == 3


def test_a_dry_run_shows_all_and_writes_nothing(project: Path) -> None:
    before = contents(project)
    result = init("--dry-run", "--x", "spectra", "--y", "spectra", "--target", "glucose", "--namespace", "lab_sugar")
    assert result.exit_code == 0, result.output
    assert contents(project) == before
    for line in (
        "--- conf/base/catalog_lab_sugar.yml (new)",
        'targets: ["glucose"]',
        "title: Lab sugar, width",
        'create_pipeline(X="spectra", Y="spectra", namespace="lab_sugar")',
        "role: trajectory, sweep: \"lab_sugar.{sweep}\"",
    ):  # fmt: skip
        assert line in result.output


def test_what_was_changed_is_overwritten_only_when_asked(project: Path) -> None:
    init()
    changed = project / PARAMETERS
    original = changed.read_text()
    changed.write_text(original.replace('"0:4"', '"0:9"'))
    kept = init(answer="n\n")
    assert (kept.exit_code, '"0:9"' in changed.read_text()) == (0, True)
    assert "parameters_implicit_bias.yml has been changed or is of another init. Overwrite it? [y/N]" in kept.output
    assert init(answer="").exit_code == 1  # nobody to ask
    assert '"0:9"' in changed.read_text()
    assert init(answer="y\n").exit_code == 0
    assert changed.read_text() == original
    changed.write_text(original.replace('"0:4"', '"0:9"'))
    assert init("--yes").exit_code == 0
    assert changed.read_text() == original


def test_a_file_of_somebody_else_is_never_overwritten(project: Path) -> None:
    theirs = project / MODULE
    theirs.parent.mkdir()
    theirs.write_text("# mine\n")
    before = contents(project)
    result = init("--yes")
    assert result.exit_code == 1
    assert result.output == (
        f"Error: {MODULE} is not a file of kedro-implicit-bias: move it, or choose another --namespace\n"
    )
    assert contents(project) == before


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_full_disk_leaves_nothing_half_written(project: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """The disk takes half of the file after so many whole ones."""
    before, write, count = contents(project), Path.write_text, 0

    def write_text(path: Path, text: str, **how: str) -> int:
        nonlocal count
        count += 1
        if count > room:
            write(path, text[: len(text) // 2], **how)
            raise OSError(28, "No space left on device", str(path))
        return write(path, text, **how)

    monkeypatch.setattr(Path, "write_text", write_text)
    result = init("--yes")
    assert (result.exit_code, "No space left on device" in result.output) == (1, True)
    assert contents(project) == before


def test_a_registry_without_find_pipelines_gets_advice(project: Path) -> None:
    registry = project / f"src/{PACKAGE}/pipeline_registry.py"
    registry.write_text("def register_pipelines():\n    return {}\n")
    output = init().output
    assert 'pipelines["implicit_bias"] = implicit_bias.create_pipeline()' in output
    assert f"from {PACKAGE}.pipelines import implicit_bias" in output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--namespace", "a-b"], 2, "Invalid value for '--namespace': it names a Python module, by letters, digits and "
         "_, first a letter, got 'a-b'\n"),
        (["--namespace", "_a"], 2, "by letters, digits and _, first a letter, got '_a'\n"),
        (["--namespace", "class"], 2, "by letters, digits and _, first a letter, got 'class'\n"),
        (["--namespace", "lab.own"], 2, "first a letter, got 'lab.own': dots are for create_pipeline(namespace=...) in "
         "your pipeline registry\n"),
        (["--env", "../x"], 2, "Invalid value for '--env': it must be made of letters, digits, _ and -, got '../x'\n"),
        (["--x", "t", "--y", "t"], 2, "--x and --y are the same dataset: name the columns of the targets by --target"),
        (["--y-test", "t"], 2, "--y-test needs --x-test, the inputs of the same rows"),
        (["--wide"], 2, "No such option"),
    ],
)  # fmt: skip
def test_wrong_usage_is_said(project: Path, arguments: list[str], code: int, message: str) -> None:
    result = init(*arguments)
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_outside_of_a_project_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = init()
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert result.output == f"Error: {tmp_path} is not in a Kedro project: kedro new makes one\n"


def test_help_says_all() -> None:
    text = CliRunner().invoke(cli.commands, ["implicit-bias", "init", "--help"]).output
    options = ("--x", "--y", "--x-test", "--y-test", "--target", "--namespace", "--env", "--yes", "--dry-run")
    assert all(option in text for option in options)
    assert "Exit codes:" in text


@pytest.mark.slow
def test_two_data_sets_of_a_project_run_and_are_tracked_each_for_itself(project: Path) -> None:
    X, Y = tables(n=6, D=15)
    (project / "data").mkdir(exist_ok=True)
    X.to_csv("data/x.csv", index=False)
    Y.to_parquet("data/y.parquet")
    pd.concat([X.iloc[:, :9], Y], axis=1).to_csv("data/other.csv", index=False)
    (project / "conf/base/catalog.yml").write_text(
        "inputs: {type: pandas.CSVDataset, filepath: data/x.csv}\n"
        "targets: {type: pandas.ParquetDataset, filepath: data/y.parquet}\n"
        "other: {type: pandas.CSVDataset, filepath: data/other.csv}\n"
    )
    assert init("--x", "inputs", "--y", "targets", "--namespace", "first").exit_code == 0
    assert init("--x", "other", "--y", "other", "--target", "y0", "--namespace", "second").exit_code == 0
    for name in ("first", "second"):
        make_tiny(project / f"conf/base/parameters_{name}.yml")
    output = Project(project).kedro("run", "--pipelines=first,second")
    assert len(re.findall("FINISHED, 4 of 4 points", " ".join(output.split()))) == 2
    client = MlflowClient(Project(project).store)
    (experiment,) = [each for each in client.search_experiments() if each.name == "implicit_bias"]
    runs = client.search_runs([experiment.experiment_id])
    parents = {run.data.tags["implicit_bias.sweep"]: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert set(parents) == {"first.width", "second.width"}
    for sweep, inputs in {"first.width": "15", "second.width": "9"}.items():
        children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[sweep].info.run_id]
        assert [child.info.status for child in children] == ["FINISHED"] * 4
        assert {child.data.params["D"] for child in children} == {inputs}
        assert parents[sweep].info.status == "FINISHED"
        assert parents[sweep].data.params["own_data.center_x"] == "False"
        page = client.download_artifacts(parents[sweep].info.run_id, "report.html", str(project))
        written = project / "data" / sweep.partition(".")[0] / "08_reporting/report.html"
        assert Path(page).read_bytes() == written.read_bytes()


def test_hooks_cost_nothing_where_nothing_is_ours(project: Path) -> None:
    code = (
        "import sys\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "from kedro.framework.session import KedroSession\n"
        f"bootstrap_project(r'{project}')\n"
        f"with KedroSession.create(r'{project}') as session:\n"
        "    session.run()\n"
        "heavy = {'mlflow', 'matplotlib', 'scipy', 'joblib', 'sqlalchemy', 'filelock'} & set(sys.modules)\n"
        "print(sorted(heavy), sorted(name for name in sys.modules if name.startswith('implicit_bias')))\n"
    )
    pipeline = project / f"src/{PACKAGE}/pipelines/plain"
    pipeline.mkdir()
    (pipeline / "__init__.py").write_text(
        "from kedro.pipeline import Pipeline, node\n"
        "def create_pipeline(**_):\n"
        "    return Pipeline([node(lambda: 1, None, 'one', name='one')])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    hooks = ("encodings", "lock", "misspelt", "notebook", "preflight", "siblings", "signals", "tracking", "workers")
    ours = [
        "implicit_bias",
        "implicit_bias.errors",
        "implicit_bias.hooks",
        *(f"implicit_bias.hooks.{name}" for name in hooks),
    ]
    ours += ["implicit_bias.tracking", "implicit_bias.tracking.marks"]
    assert result.stdout.splitlines()[-1] == f"[] {ours}"
    assert not (project / "mlflow.db").exists()
