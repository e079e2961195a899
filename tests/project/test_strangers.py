"""Somebody else's project and machine: its configuration, its paths, what it lacks, what it brings along."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset, SharedMemoryDataCatalog
from kedro.pipeline import Node, Pipeline

import implicit_bias
from implicit_bias import cli
from implicit_bias.cli.additions import additions, requirement
from implicit_bias.cli.project import open_context
from implicit_bias.figures.dataset import FigureDataset
from implicit_bias.hooks.encodings import speak_any_encoding
from implicit_bias.hooks.preflight import InputHooks, RunRefused
from implicit_bias.pipelines.reserved import is_reserved
from implicit_bias.tracking.provenance import git_tags
from implicit_bias.tracking.reader import Reader
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.tags import COMMIT
from tests.support.tracking import (  # noqa: F401 fixtures
    PNG,
    complete,
    conf_catalog,
    fresh_database,
    plan,
    project,
    run,
    runs_of,
    steps,
    store,
)

OWN = Pipeline(implicit_bias.create_pipeline(namespace="lib"))


# One way in

SETTINGS = """
CONF_SOURCE = "config"
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"place": lambda name: f"sqlite:///{name}.db"},
}
"""


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a configuration folder, a resolver and runtime parameters of its own, as working directory."""
    package = tmp_path / "src" / "strange_package"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "strange_package"\nproject_name = "strange"\nkedro_init_version = "1.7.0"\n'
    )
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS)
    (package / "pipeline_registry.py").write_text("def register_pipelines():\n    return {}\n")
    for folder in ("config/local", "elsewhere/local"):
        (tmp_path / folder).mkdir(parents=True)
    for folder, name in (("config/base", "base"), ("config/prod", "prod"), ("elsewhere/base", "elsewhere")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "parameters.yml").write_text(
            f"tracking:\n  uri: ${{place:{name}}}\n  experiment: ${{runtime_params:who,nobody}}\n"
        )
    for name in ("KEDRO_ENV", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    configure_project("implicit_bias")
    for name in [name for name in sys.modules if name.startswith("strange_package")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("options", "env", "uri", "experiment"),
    [
        ({}, "", "sqlite:///base.db", "nobody"),
        ({}, "prod", "sqlite:///prod.db", "nobody"),
        ({"env": "base"}, "prod", "sqlite:///base.db", "nobody"),
        ({"params": {"who": "me"}}, "", "sqlite:///base.db", "me"),
        ({"conf_source": "elsewhere"}, "", "sqlite:///elsewhere.db", "nobody"),
    ],
)
def test_commands_see_a_project_as_kedro_does(
    strange: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], env: str, uri: str, experiment: str
) -> None:
    if env:
        monkeypatch.setenv("KEDRO_ENV", env)
    with open_context(**options) as context:
        assert context.params["tracking"] == {"uri": uri, "experiment": experiment}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "params"]
    arguments += [f"--params={name}={value}" for name, value in options.get("params", {}).items()]
    for command in (["report"], ["compare", "a", "b"]):
        result = CliRunner().invoke(cli.commands, ["implicit-bias", *command, *arguments])
        assert result.output == f"Error: There is no MLflow store {uri} in {strange}\n"
    checked = CliRunner().invoke(cli.commands, ["implicit-bias", "check", *arguments])
    assert "no pipeline for own data is registered here" in checked.output


# Parts of a run


def test_a_figure_that_is_never_made_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kedro.framework.project import pipelines

    monkeypatch.setattr(pipelines, "_content", {"lib": OWN})
    monkeypatch.setattr(pipelines, "_is_data_loaded", True)
    part = OWN.from_nodes("lib.width_sweep.initialize_points")
    made = part.inputs() & OWN.all_outputs()
    figures = {name for name in made if name.endswith("questions")} or {"lib.width_sweep.questions"}
    datasets: dict[str, Any] = {name: MemoryDataset(1) for name in OWN.datasets() - figures}
    datasets |= {name: FigureDataset(filepath=str(tmp_path / f"{name}.png")) for name in figures}
    params = {"env": None, "pipeline_names": ["lib"], "project_path": str(tmp_path)}
    InputHooks().before_pipeline_run(params, part, DataCatalog(datasets))


# Runners


def test_runners_that_cannot_run_our_nodes_are_refused(conf_catalog: dict[str, Any]) -> None:  # noqa: F811
    params = {"env": None, "pipeline_names": None, "project_path": "."}
    for pipeline, catalog in (
        (OWN, SharedMemoryDataCatalog()),
        (steps("width"), SharedMemoryDataCatalog.from_config(conf_catalog)),
    ):
        with pytest.raises(RunRefused, match=r"ParallelRunner .* use SequentialRunner, the default, or ThreadRunner"):
            InputHooks().before_pipeline_run(params, pipeline, catalog)
    theirs = Pipeline([Node(lambda: 1, None, "theirs", name="theirs")])
    InputHooks().before_pipeline_run(params, theirs, SharedMemoryDataCatalog())
    InputHooks().before_node_run(theirs.nodes[0], True)
    InputHooks().before_node_run(OWN.nodes[0], False)
    with pytest.raises(RunRefused, match="--async cannot save points"):
        InputHooks().before_node_run(OWN.nodes[0], True)


# Paths


def test_paths_of_any_letters(
    tmp_path: Path,
    fresh_database: Path,  # noqa: F811
    conf_catalog: dict[str, Any],  # noqa: F811
    project: Path,  # noqa: F811
) -> None:
    strange = tmp_path / "Übung 100% %41 #1 [a] (b) é's & co"
    strange.mkdir()
    shutil.copy(fresh_database, strange)
    del conf_catalog["{sweep}_sweep.figure"]["versioned"]  # Kedro looks for versions by patterns, where [a] is one
    run(strange, _elsewhere(conf_catalog, str(project), str(strange)), steps("width"))
    (parent,), children = runs_of(strange)
    assert parent.info.status == "FINISHED"
    assert len(children[parent.info.run_id]) == 3
    client = Store("sqlite:///mlflow.db", strange).client
    for each in children[parent.info.run_id]:
        assert Path(client.download_artifacts(each.info.run_id, "curves.png")).read_bytes() == PNG
    assert len(list(strange.rglob("curves.png"))) == 3
    assert not list(project.rglob("curves.png"))


def _elsewhere(value: Any, before: str, after: str) -> Any:
    if isinstance(value, dict):
        return {name: _elsewhere(each, before, after) for name, each in value.items()}
    return value.replace(before, after) if isinstance(value, str) else value


@pytest.mark.parametrize("leave", [True, False])
def test_artifacts_follow_a_project(
    project: Path,  # noqa: F811
    store: Store,  # noqa: F811
    tmp_path: Path,
    leave: bool,
) -> None:
    sweep = store.open(plan())
    complete(sweep)
    picture = tmp_path / "width_figure.png"
    picture.write_bytes(PNG)
    sweep.file(picture, "width_figure.png")
    sweep.close()
    theirs = store.client.create_experiment("theirs", (tmp_path / "bucket").as_uri())
    there = tmp_path / "moved project"
    (shutil.copytree if leave else shutil.move)(project, there)
    before = sorted(project.rglob("*"))
    reader = Reader("sqlite:///mlflow.db", there, "tests")
    (moved,) = reader.parents()
    assert reader.lost_pictures(moved) == []
    assert moved.info.artifact_uri.startswith((there / "mlruns").as_uri())
    assert Path(reader.client.download_artifacts(moved.info.run_id, "width_figure.png")).read_bytes() == PNG
    again = Store("sqlite:///mlflow.db", there).open(plan(fresh=True))
    again.file(picture, "width_figure.png")
    assert len(list(there.rglob("width_figure.png"))) == 2
    assert sorted(project.rglob("*")) == before
    assert reader.client.get_experiment(theirs).artifact_location == (tmp_path / "bucket").as_uri()
    shutil.rmtree(there / "mlruns")
    assert reader.lost_pictures(moved) == ["width_figure.png"]


def test_a_shared_database_keeps_its_artifacts(project: Path, tmp_path: Path) -> None:  # noqa: F811
    uri = f"sqlite:///{project}/mlflow.db"
    first = Store(uri, project).open(plan())
    other = tmp_path / "another project"
    other.mkdir()
    second = Store(uri, other).open(plan(fresh=True))
    for sweep in (first, second):
        assert sweep.client.get_run(sweep.run_id).info.artifact_uri.startswith((project / "mlruns").as_uri())


@pytest.mark.parametrize("address", ["sqlite:///C:/data/mlflow.db", "sqlite:///d:\\data\\mlflow.db", "sqlite:////w.db"])
def test_absolute_databases_are_left_as_they_are(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("implicit_bias.tracking.store.make", lambda _: None)
    monkeypatch.setattr("implicit_bias.tracking.store.probe", lambda _: None)
    monkeypatch.setattr("implicit_bias.tracking.store.one_at_a_time", lambda _: nullcontext())
    monkeypatch.setattr(Store, "_connect", lambda _: None)
    assert Store(address, tmp_path).uri == address
    monkeypatch.setattr("implicit_bias.tracking.store.follow", lambda *_: None)
    assert Store("sqlite:///c.db", tmp_path).uri == f"sqlite:///{tmp_path}/c.db"


def test_git_speaks_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a hook of git, GIT_DIR is that of the repository that is committed to."""
    commits = []
    for name in ("ours", "theirs"):
        folder = tmp_path / name
        git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@e"]
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", name], check=True)
        commits.append(git_tags(folder)[COMMIT])
    assert commits[0] != commits[1]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "theirs"))
    assert git_tags(tmp_path / "ours")[COMMIT] == commits[0]


# Windows


@pytest.mark.parametrize("name", ["con", "NUL", "aux.txt", "Com1", "lpt9", "prn "])
def test_names_of_devices_are_refused(name: str) -> None:
    assert is_reserved(name)
    assert not is_reserved(f"x{name}")


def test_namespaces_that_no_file_can_have_are_refused(strange: Path) -> None:
    result = CliRunner().invoke(cli.commands, ["implicit-bias", "init", "--namespace", "nul"])
    assert (result.exit_code, "Windows keeps 'nul' for a device" in result.output) == (2, True)
    with pytest.raises(ValueError, match="Windows keeps 'aux' for a device"):
        implicit_bias.create_pipeline(namespace="lab.aux")


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "ascii"])
def test_every_help_is_shown_on_any_console(encoding: str) -> None:
    code = "from implicit_bias import cli\nfor name in ('', *cli.COMMANDS):\n"
    code += "    cli.implicit_bias([*name.split(), '--help'], standalone_mode=False)\nprint('Θ̂ ≤ ε ‖σ₁‖')"
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert b"Exit codes:" in result.stdout


def test_streams_without_an_encoding_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    speak_any_encoding()


# Machines


def test_points_are_computed_here_without_multiprocessing() -> None:
    code = (
        "import logging; logging.basicConfig(); from implicit_bias.sweeps.workers import compute; "
        "from implicit_bias.sweeps.parameters import Engine; import os\n"
        "calls = ((str(k), (k,)) for k in range(3))\n"
        "print(*compute(lambda x: (x, os.getpid()), calls, str, Engine(workers=2), 3), os.getpid())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"JOBLIB_MULTIPROCESSING": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    pid = result.stdout.split()[-1]
    assert result.stdout.count(pid) == 4
    assert "There is no multiprocessing here: the points are computed in this process" in result.stderr


DRAW = """
import sys
from implicit_bias.figures.style import panels
with panels(1, (4, 3)) as (figure, axes):
    axes[0].plot([1, 2], [-1, -2])
    axes[0].set_title("minus -1, $x^2$")
figure.savefig(sys.stdout.buffer, format="png", metadata={"Software": None})
"""
RC = """
text.usetex: True
backend: TkAgg
font.size: 30
font.sans-serif: DejaVu Serif
savefig.dpi: 50
savefig.transparent: True
savefig.facecolor: red
axes.unicode_minus: False
lines.linewidth: 9
axes.prop_cycle: cycler("color", ["red"])
figure.figsize: 1, 1
path.sketch: 1, 100, 2
"""


@pytest.mark.slow
def test_a_persons_matplotlibrc_does_not_reach_our_figures(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(RC)
    (tmp_path / "plain").write_text("")
    drawn = {}
    for name in ("plain", "matplotlibrc"):
        environment = os.environ | {"MATPLOTLIBRC": str(tmp_path / name)}
        environment.pop("MPLBACKEND", None)
        result = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, timeout=120)
        assert result.returncode == 0, result.stderr
        drawn[name] = result.stdout
    assert drawn["plain"] == drawn["matplotlibrc"]
    assert drawn["plain"].startswith(b"\x89PNG")


# What init adds


def test_the_dependency_and_what_git_leaves_out(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project]\nname = "x"\ndynamic = ["dependencies"]\n')
    (tmp_path / "requirements.txt").write_text("kedro")
    (tmp_path / ".gitignore").write_text("mlflow.db\n*.pyc\n")
    new = additions(tmp_path)
    assert new[tmp_path / "requirements.txt"] == f"kedro\n{requirement()}\n"
    assert new[tmp_path / ".gitignore"] == "mlflow.db\n*.pyc\n/mlruns/\n/compare.png\n/report.html\n"
    for path, content in new.items():
        path.write_text(content)
    assert additions(tmp_path) == {}
    pyproject.write_text('[project]\nname = "x"\ndependencies = [\n    "kedro",\n]\n[tool.x]\ndependencies = []\n')
    assert additions(tmp_path) == {
        pyproject: f'[project]\nname = "x"\ndependencies = [\n    "{requirement()}",\n    "kedro",\n]\n'
        "[tool.x]\ndependencies = []\n"
    }


def test_the_version_is_said() -> None:
    result = CliRunner().invoke(cli.commands, ["implicit-bias", "--version"])
    assert (result.exit_code, result.output) == (0, f"kedro-implicit-bias {implicit_bias.__version__}\n")
