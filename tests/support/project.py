"""A throwaway Kedro project that uses the installed package and this repository's configuration."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    """A project folder and how to run commands in it, by this interpreter or by that of another environment."""

    path: Path
    python: str = sys.executable

    def kedro(self, *arguments: str, env: dict[str, str] | None = None, check: bool = True) -> str:
        """Run a kedro command and return everything it printed."""
        result = subprocess.run(
            [self.python, "-m", "kedro", *arguments],
            cwd=self.path,
            env=_environment() | (env or {}),
            capture_output=True,
            text=True,
            timeout=900,  # seconds, on a busy machine
        )
        output = result.stdout + result.stderr
        if check:
            assert result.returncode == 0, output
        else:
            assert result.returncode != 0, output
        return output

    def run(self, *arguments: str, **options: object) -> str:
        """Run the smoke configuration of the project."""
        return self.kedro("run", "--env=smoke", *arguments, **options)  # type: ignore[arg-type]

    @property
    def store(self) -> str:
        """Address of the project's MLflow store."""
        return f"sqlite:///{self.path / 'mlflow.db'}"


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KEDRO_"))}
    return kept | {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def make_project(path: Path) -> Project:
    """Copy what a run needs of the repository to `path`."""
    shutil.copytree(REPOSITORY / "conf", path / "conf")
    shutil.copy(REPOSITORY / "pyproject.toml", path)
    shutil.copy(REPOSITORY / ".telemetry", path)
    (path / "src").mkdir()
    return Project(path)


def static_pages(project: Project) -> Path:
    """The static pages of kedro-viz, as `make viz-build` makes them."""
    setting = [f"BIN={Path(sys.executable).parent}", "ENV=smoke"]
    words = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", ".venv/.setup", *setting, "viz-build"]
    made = subprocess.run(words, cwd=project.path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return project.path / "build"


def finished_project(factory: Any, *arguments: str) -> Project:
    """A project in a folder of pytest's `tmp_path_factory` that has run the smoke configuration."""
    project = make_project(factory.mktemp("project"))
    project.run(*arguments)
    return project
