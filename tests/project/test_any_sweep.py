"""A sweep of somebody else, tracked by what its catalog says: ridge regression over regularisation and folds.

Its project has no parameters, theory or figures of this package.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.project import REPOSITORY, Project

PAGE = (REPOSITORY / "docs/tracking.md").read_text(encoding="utf-8")


def block(title: str) -> str:
    """The block of code of the page that has a title."""
    _, _, rest = PAGE.partition(f'title="{title}"\n')
    return rest.partition("```")[0]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project of the page: what it shows, in the files it names."""
    folder = tmp_path_factory.mktemp("ridge study")
    for name in ("conf/base", "conf/local", "src/ridge_study"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "ridge_study"\nproject_name = "Ridge study"\nkedro_init_version = "1.7.0"\n'
    )
    for name in ("__init__", "settings"):
        (folder / f"src/ridge_study/{name}.py").touch()
    (folder / "src/ridge_study/pipeline_registry.py").write_text(block("pipeline_registry.py"))
    (folder / "conf/base/catalog.yml").write_text(block("catalog.yml"))
    return Project(folder)


def test_the_code_of_the_page_is_short() -> None:
    code = [line for line in block("pipeline_registry.py").splitlines() if line.strip()]
    assert 10 < len(code) < 30


def test_a_sweep_of_ridge_regression(project: Project) -> None:
    said = project.kedro("run")
    assert "MLflow: Ridge FINISHED, 15 of 15 points" in said
    client = MlflowClient(project.store)
    runs = list(client.search_runs([client.get_experiment_by_name("implicit_bias").experiment_id]))
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == 15
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.params == {"model": "ridge"}
    assert {"best_alpha", "best_error"} <= parent.data.metrics.keys()
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["errors.png"]
    for child in children:
        steps = [(each.step, each.value) for each in client.get_metric_history(child.info.run_id, "curve/coefficient")]
        assert [step for step, _ in steps] == list(range(10))
        assert child.data.params.keys() == {"alpha", "fold"}
        assert child.data.metrics["error"] > 0
    errors = {run.data.params["alpha"]: run.data.metrics["error"] for run in children if run.data.params["fold"] == "0"}
    assert errors == pytest.approx(expected_errors(), rel=1e-9)


def expected_errors() -> dict[str, float]:
    """The same mean square errors of the first fold by the normal equations."""
    import numpy as np
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    test, train = np.arange(len(X)) % 5 == 0, np.arange(len(X)) % 5 != 0
    errors = {}
    for alpha in (0.01, 0.1, 1.0):
        A, b = X[train] - X[train].mean(0), y[train] - y[train].mean()
        w = np.linalg.solve(A.T @ A + alpha * np.eye(10), A.T @ b)
        rest = y[test] - y[train].mean() - (X[test] - X[train].mean(0)) @ w
        errors[str(alpha)] = float(np.mean(rest**2))
    return errors


@pytest.mark.slow
def test_it_goes_on_is_sent_and_compared(project: Project, tmp_path: Path) -> None:
    """A run that fails half way is gone on with; what a lost store has missed is sent; two runs are compared."""
    there = tmp_path / "another ridge study"
    shutil.copytree(project.path, there, ignore=shutil.ignore_patterns("data", "mlruns", "mlflow.db*"))
    other = Project(there)
    registry = there / "src/ridge_study/pipeline_registry.py"
    code = registry.read_text()
    registry.write_text(code.replace("        yield", "        assert fold < 1, 'power cut'\n        yield", 1))
    assert "power cut" in other.kedro("run", check=False)
    registry.write_text(code)
    assert "MLflow: Ridge goes on, " in (said := other.kedro("run"))
    assert "MLflow: Ridge FINISHED, 15 of 15 points" in said
    assert not [run for run in _runs(other) if run.info.status != "FINISHED"]
    assert len(_runs(other)) == 16
    optional = "tracking: {uri: 'http://127.0.0.1:9', optional: true}"
    (there / "conf/base/parameters.yml").write_text(optional)
    assert "kedro implicit-bias sync" in other.kedro("run")
    (there / "conf/base/parameters.yml").unlink()
    assert "Ridge #2: FINISHED, 15 of 15 points" in other.kedro("implicit-bias", "sync")
    found = json.loads(_last_line(other, "compare", "Ridge", "Ridge #2", "--no-figure", "--json"))
    assert found["params"] == {}
    first, second = found["metrics"]["error"]
    assert first == second
    assert first["count"] == 15
    assert "a sweep of something else" in other.kedro("implicit-bias", "report")


@pytest.mark.slow
def test_nothing_of_the_theory_is_imported(project: Project) -> None:
    code = (
        "import sys, pathlib; from kedro.framework.session import KedroSession; "
        "from kedro.framework.startup import bootstrap_project; bootstrap_project(pathlib.Path.cwd()); "
        "KedroSession.create().__enter__().run(); print(sorted(name for name in sys.modules if name.startswith("
        "('implicit_bias.theory', 'implicit_bias.sweeps.parameters', 'implicit_bias.pipelines', "
        "'implicit_bias.figures'))))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=project.path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def _runs(project: Project) -> list:  # type: ignore[type-arg]
    client = MlflowClient(project.store)
    return list(client.search_runs([client.get_experiment_by_name("implicit_bias").experiment_id]))


def _last_line(project: Project, *command: str) -> str:
    return next(line for line in project.kedro("implicit-bias", *command).splitlines() if line.startswith("{"))
