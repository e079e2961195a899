"""The built wheel and sdist: what is in them, and that they work beside a project of somebody else."""

import re
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.support.project import REPOSITORY, Project
from tests.support.their_project import PACKAGE, kedro_new, make_tiny, tables

pytestmark = pytest.mark.slow

BESIDE = REPOSITORY / ".venv/beside"
PARENT = "mlflow.parentRunId"

HOOKS = """
from kedro.framework.hooks import hook_impl
from pathlib import Path

class TheirHooks:
    @hook_impl
    def after_node_run(self, node):
        with Path("nodes.txt").open("a") as file:
            print(node.name, file=file)
"""
PIPELINE = """
from kedro.pipeline import Pipeline, node

def halve(table):
    return table / 2

def create_pipeline(**_):
    return Pipeline([node(halve, "raw", "inputs", name="halve")], namespace="theirs", outputs={"inputs": "inputs"})
"""


def command(*arguments: object, cwd: Path | None = None) -> str:
    result = subprocess.run([*map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `python -m build` makes of the sources."""
    source = tmp_path_factory.mktemp("source") / "repository"
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(REPOSITORY / name, source)
    output = command(sys.executable, "-m", "build", "--no-isolation", source)
    warnings = [line for line in output.splitlines() if "warn" in line.lower() or "deprecat" in line.lower()]
    assert [line for line in warnings if "byte-compiling is disabled" not in line] == []
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def modules() -> set[str]:
    """Every file of the package in the repository."""
    package = REPOSITORY / "src"
    files = (path for path in (package / "implicit_bias").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(package).as_posix() for path in files}


def test_the_wheel_holds_the_package_its_licence_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(next(n for n in names if n.endswith("METADATA"))).decode())
        entry_points = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    assert {name for name in names if ".dist-info/" not in name} == modules()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert metadata["License-Expression"] == "MIT"
    assert (
        metadata["Version"] == command(sys.executable, "-c", "import implicit_bias as i; print(i.__version__)").strip()
    )
    assert "implicit-bias = implicit_bias.cli:commands" in entry_points
    assert "implicit_bias = implicit_bias.hooks.tracking:hooks" in entry_points


def test_the_sdist_builds_the_same_and_holds_licence_and_changelog(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if "." in name.rpartition("/")[2]}
        top = {name.partition("/")[2] for name in archive.getnames()}
    package = {name.removeprefix("src/") for name in names if name.startswith("src/implicit_bias/")}
    assert package == modules()
    assert top >= {"LICENSE", "CHANGELOG.md", "CITATION.cff", "README.md", "pyproject.toml"}
    assert not {name for name in top if name.startswith(("tests", "data", "conf"))}


def environment(folder: Path, *installed: object, beside: Sequence[Path] = ()) -> str:
    """A fresh environment that sees the dependencies of this one and folders beside, not this package: its Python."""
    path = folder / "environment"
    venv.create(path, with_pip=False, symlinks=True)
    python = path / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    inside = Path(command(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (inside / "dependencies.pth").write_text("\n".join([*site.getsitepackages(), *map(str, beside)]))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python, "install")
    command(*pip, "--no-deps", "--no-index", "--ignore-installed", "--no-build-isolation", *installed)
    return str(python)


def their_project(folder: Path, python: str) -> Project:
    """A new project with hooks, a namespaced pipeline and a catalog of its own."""
    project = Project(kedro_new(folder).path, python)
    source = project.path / f"src/{PACKAGE}"
    (source / "hooks.py").write_text(HOOKS)
    settings = source / "settings.py"
    settings.write_text(f"{settings.read_text()}\nfrom {PACKAGE}.hooks import TheirHooks\n\nHOOKS = (TheirHooks(),)\n")
    (source / "pipelines/halving").mkdir()
    (source / "pipelines/halving/__init__.py").write_text(PIPELINE)
    (project.path / "data").mkdir(exist_ok=True)
    X, Y = tables(n=6, D=15)
    X.to_csv(project.path / "data/raw.csv", index=False)
    Y.to_csv(project.path / "data/y.csv", index=False)
    (project.path / "conf/base/catalog.yml").write_text(
        "theirs.raw: {type: pandas.CSVDataset, filepath: data/raw.csv}\n"
        "inputs: {type: pandas.CSVDataset, filepath: data/inputs.csv, save_args: {index: false}}\n"
        "y: {type: pandas.CSVDataset, filepath: data/y.csv}\n"
    )
    return project


def works(project: Project, store: str = "mlflow.db", experiment: str = "implicit_bias") -> MlflowClient:
    """Run their pipeline and ours; the client of the store, in which ours has one parent with four finished points."""
    where = command(project.python, "-c", "import implicit_bias as i; print(i.__file__)", cwd=project.path).strip()
    assert Path(where).is_relative_to(project.path.parent), where
    project.kedro("run", "--pipelines=halving")
    assert not (project.path / "mlruns").exists()
    project.kedro("implicit-bias", "init", "--x=inputs", "--y=y", "--namespace=lab_bias")
    make_tiny(project.path / "conf/base/parameters_lab_bias.yml")
    assert "lab_bias: can be run" in project.kedro("implicit-bias", "check")
    said = project.kedro("run", "--pipelines=lab_bias", env={"COLUMNS": "60"})
    assert "MLflow: Lab bias, width FINISHED, 4 of 4 points\n" in said  # whole lines, links too, in a narrow console
    assert re.search(r"^  http://127.0.0.1:5000/#/experiments/\S{60,}$", said, re.MULTILINE)
    nodes = (project.path / "nodes.txt").read_text().split()
    assert {"theirs.halve", "lab_bias.prepare_data", "lab_bias.width_sweep.train_points"} <= set(nodes)
    client = MlflowClient(f"sqlite:///{project.path / store}")
    runs = [run for run in runs_of(client, experiment) if "implicit_bias.sweep" in run.data.tags]
    (parent,) = [run for run in runs if PARENT not in run.data.tags]
    points = [run for run in runs if run.data.tags.get(PARENT) == parent.info.run_id]
    assert (parent.info.status, [run.info.status for run in points]) == ("FINISHED", ["FINISHED"] * 4)
    assert len(runs) == 5
    assert "Lab bias, width: all 4 points finished" in project.kedro("implicit-bias", "report")
    return client


def runs_of(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id]))


def test_the_wheel_works_beside_a_project_of_somebody_else(wheel: Path, tmp_path: Path) -> None:
    client = works(their_project(tmp_path, environment(tmp_path, wheel)))
    assert {experiment.name for experiment in client.search_experiments()} == {"Default", "implicit_bias"}


def test_the_wheel_works_beside_kedro_mlflow(wheel: Path, tmp_path: Path) -> None:
    if not (BESIDE / "kedro_mlflow").exists():
        pytest.skip("kedro-mlflow is not in .venv/beside, where make test-slow puts it")
    project = their_project(tmp_path, environment(tmp_path, wheel, beside=[BESIDE]))
    (project.path / "conf/base/mlflow.yml").write_text("server: {mlflow_tracking_uri: 'sqlite:///lab.db'}\n")
    client = works(project, "lab.db", PACKAGE)
    assert not (project.path / "mlflow.db").exists()
    ours = {run.info.run_id: run for run in runs_of(client, PACKAGE) if "implicit_bias.sweep" in run.data.tags}
    theirs = {run.info.run_name: run for run in runs_of(client, PACKAGE) if run.info.run_id not in ours}
    assert {name: run.info.status for name, run in theirs.items()} == {"halving": "FINISHED", "lab_bias": "FINISHED"}
    assert PARENT not in theirs["lab_bias"].data.tags
    assert not theirs["lab_bias"].data.metrics  # ours are in runs of our own
    assert all(name.startswith("lab_bias.") for name in theirs["lab_bias"].data.params)  # of nodes, as of any pipeline
    beside = theirs["lab_bias"].data.tags["implicit_bias.lab_bias.width"]
    assert ours[beside].data.tags["implicit_bias.run_beside"] == theirs["lab_bias"].info.run_id
    assert not {name for run in ours.values() for name in run.data.params if name.startswith("lab_bias.")}
    assert not [run for run in ours.values() if "kedro_command" in run.data.tags]


def test_the_sdist_installs(built: Path, tmp_path: Path) -> None:
    python = environment(tmp_path, next(built.glob("*.tar.gz")))
    shown = command(python, "-m", "implicit_bias.cli", "--help", cwd=tmp_path)
    assert all(name in shown for name in ("check", "init", "width"))
