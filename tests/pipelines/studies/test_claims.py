"""The claims as a person checks them: one run on a tiny size, its files and what is tracked."""

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from pydantic import ValidationError

from implicit_bias.figures.claims import claims_figure
from implicit_bias.sweeps.studies import Verification
from implicit_bias.theory.claims.catalogue import CLAIMS
from tests.support.pictures import png
from tests.support.project import Project, finished_project, make_project

REPORTING = "data/smoke/08_reporting"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    return finished_project(tmp_path_factory, "--pipelines=verification")


@pytest.fixture(scope="module")
def table(finished) -> pd.DataFrame:
    return pd.read_csv(finished.path / REPORTING / "claims.csv")


def test_the_run_is_tracked(finished, table):
    client = MlflowClient(finished.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["implicit_bias.sweep"] == "verification"
    assert run.data.metrics["problems"] == 16
    assert run.data.metrics["violations"] == 0
    for row in table.itertuples():
        if np.isfinite(row.tight):
            assert run.data.metrics[f"tight/{row.claim}"] == pytest.approx(row.tight, abs=1e-300)
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"claims.csv", "claims.md", "claims.png"}


def test_the_table_has_every_claim(table):
    assert list(table["claim"]) == [claim.name for claim in CLAIMS]
    assert (table["held"] <= table["met"]).all()
    assert (table["met"] <= table["trials"]).all()
    assert (table["met"] > 0).all()


def test_the_page_shows_the_table(finished, table):
    page = (finished.path / REPORTING / "claims.md").read_text()
    assert "**Violations: 0.**" in page
    for row in table.itertuples():
        assert f"| {row.claim} | {row.statement} |" in page


@pytest.mark.slow
def test_a_problem_that_fails_is_an_error_of_its_own(finished, table, tmp_path):
    project = make_project(tmp_path)
    broken = project.path / "sitecustomize.py"
    broken.write_text(
        "from implicit_bias.pipelines import checks\n"
        "whole = checks.check_index\n"
        "def check_index(seed, index):\n"
        "    if index == 7:\n"
        "        raise ArithmeticError('no such number')\n"
        "    return whole(seed, index)\n"
        "checks.check_index = check_index\n"
    )
    output = project.run("--pipelines=verification", check=False, env={"PYTHONPATH": str(project.path)})
    assert (
        "1 of the checks failed; the table is made of the others. problem 7: ArithmeticError: no such number" in output
    )
    (run,) = MlflowClient(project.store).search_runs(["1"])
    assert run.info.status == "FAILED"
    assert run.data.metrics["problems"] == 15
    assert run.data.metrics["errors"] == 1
    rest = pd.read_csv(project.path / REPORTING / "claims.csv")
    assert list(rest["trials"][rest["kind"] == "bound"].unique()) == [15]
    assert "problem 7: ArithmeticError" in (project.path / REPORTING / "claims.md").read_text()
    assert (project.path / REPORTING / "claims.png").is_file()


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(finished, table, tmp_path):
    parallel = make_project(tmp_path)
    parallel.run("--pipelines=verification", "--params=verification.workers=2")
    pd.testing.assert_frame_equal(table, pd.read_csv(parallel.path / REPORTING / "claims.csv"))


def test_bad_parameters_are_refused_before_any_work(tmp_path):
    project = make_project(tmp_path)
    output = project.run("--pipelines=verification", "--params=verification.problems=0", check=False)
    assert "greater than or equal to 1" in " ".join(output.split())
    assert not (project.path / "data").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"widths": "100 50 2000 3000"}, "widths must increase"),
        ({"widths": [10, 2000]}, "two of them from 1000 on"),
        ({"alphas": [0.1, 0.2]}, "one of them above 1/4"),
        ({"alphas": [0.6]}, "less than or equal to 0.5"),
        ({"delta": 1}, "less than 1"),
        ({"workers": 0}, "workers must be -1 or at least 1"),
        ({"samples": 1}, "Extra inputs are not permitted"),
    ],
)
def test_sizes_that_make_no_sense_are_named(override, message):
    with pytest.raises(ValidationError, match=message):
        Verification(**{"widths": [1000, 2000], "alphas": [0.5]} | override)


def test_the_figure_tells_violations_from_unmet_hypotheses():
    row = {"claim": "a", "statement": "b", "kind": "bound", "met": 2, "held": 2, "violations": 0}
    row |= {"tight": 0.5, "typical": 0.1, "limit": 1.0}
    rows = [
        row,
        row | {"held": 1, "violations": 1, "tight": np.inf},
        row | {"met": 0, "tight": np.nan, "typical": np.nan},
    ]
    figure = claims_figure(rows)
    markers = {line.get_marker() for line in figure.axes[0].lines}
    assert {"o", "X"} <= markers
    assert png(figure) == png(claims_figure(rows))
