"""Studies and the verification: broken off, they are finished as sweeps are; nothing of other parameters is used."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from implicit_bias.pipelines import checks
from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.studies import claims as verification
from implicit_bias.pipelines.studies import descent as descent_study
from implicit_bias.pipelines.studies import early, lazy
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import StaleRecords
from implicit_bias.sweeps.handover import Loaders
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.records import compute_points
from implicit_bias.sweeps.studies import DescentStudy, Verification
from implicit_bias.theory import draw_data, reparametrize
from tests.support.project import Project, _environment, finished_project, make_project
from tests.sweeps.test_compute import SWEEP, plan_of

Files = dict[str, dict[str, Any]]
calls: list[Any] = []


def counted(*arguments: Any) -> dict[str, Any]:
    calls.append(arguments)
    return {"metric/one": 1.0}


def loaders(files: Files) -> Loaders:
    return {key: partial(dict, record) for key, record in files.items()}


@pytest.fixture(scope="module")
def problem() -> dict[str, Any]:
    X, Y, _ = draw_data(6, 20, 2, np.random.default_rng(0))
    return vars(reparametrize(X, Y))


# What is computed again


def descents(files: Files, problem: dict[str, Any], **changes: Any) -> Files:
    settings: dict[str, Any] = {"title": "", "problem": "line", "product": 0.01, "ratios": [1, 10], "workers": 1}
    study = DescentStudy(**settings | changes)
    problems = {"line-draw=0": lambda: problem}
    plan = descent_study.plan_descents(study, problems)
    for each in descent_study.study_descents(study, problems, plan, {"studies": files.get}):
        files |= each
    return files


def verified(files: Files, problem: dict[str, Any], **changes: Any) -> Files:
    settings: dict[str, Any] = {"problems": 60, "seeds": 3, "draws": 2, "widths": [1000, 2000], "alphas": [0.5]}
    v = Verification(**settings | {"workers": 1} | changes)
    for each in verification.check_claims(v, verification.plan_verification(v), {"batches": files.get}):
        files |= each
    return files


CASES = [
    (
        descents,
        descent_study,
        "DESCENT",
        3,
        {"workers": 2, "ratios": [10, 1], "title": "other"},
        {"ratios": [1, 5, 10]},
    ),
    (verified, checks, "CHECKS", 6, {"workers": 2}, {"problems": 75}),
]
"""How it is run, its stage, how many records it has, changes that leave them all, and one that asks for one more."""


@pytest.mark.parametrize(("run", "module", "stage", "count", "same", "more"), CASES)
def test_only_what_is_missing_is_computed(
    run: Callable[..., Files],
    module: Any,
    stage: str,
    count: int,
    same: dict[str, Any],
    more: dict[str, Any],
    problem: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = replace(getattr(module, stage), compute=counted)
    for each in {module, verification} if module is checks else {module}:
        monkeypatch.setattr(each, stage, fake)

    def computed(files: Files, **changes: Any) -> int:
        calls.clear()
        run(files, problem, **changes)
        return len(calls)

    files: Files = {}
    assert computed(files) == count == len(files)
    assert computed(files, **same | {"workers": 1}) == 0
    for key in list(files)[::2]:
        del files[key]
    assert computed(files) == (count + 1) // 2
    assert computed(files, **more) == 1
    assert computed(files, seed=7) >= count
    assert computed(files, fresh=True) == count
    files[next(iter(files))] = {"error": "diverged", "fingerprint": files[next(iter(files))]["fingerprint"]}
    assert computed(files) == 1


def test_starts_are_those_of_their_data(problem: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent_study, "DESCENT", replace(descent_study.DESCENT, compute=counted))
    files = descents({}, problem)
    calls.clear()
    descents(files, problem | {"Y_tilde": 2 * problem["Y_tilde"]})
    assert len(calls) == 3


def test_starts_of_near_ratios_are_told_apart() -> None:
    study = DescentStudy(title="", problem="line", product=0.01, ratios=[0.1, 1, 1.0000001, 1e16, 100], balanced=False)
    assert list(study.points()) == ["ratio=0.1", "ratio=1", "ratio=1.0000001", "ratio=1e+16", "ratio=100"]


@pytest.mark.slow
def test_a_verification_of_parts_is_that_of_one_run() -> None:
    v = Verification(problems=40, seeds=3, draws=2, widths=[1000, 2000], alphas=[0.5], workers=1)
    plan = verification.plan_verification(v)
    whole: Files = {}
    for each in verification.check_claims(v, plan, {"batches": whole.get}):
        whole |= each
    parts = {key: whole[key] for key in list(whole)[::2]}
    for each in verification.check_claims(v, plan, {"batches": parts.get}):
        parts |= each
    tables = [
        verification.tabulate_claims(v, verification.join_checks(v, plan, loaders(files))) for files in (whole, parts)
    ]
    for expected, found in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(expected, found)
    other = v.model_copy(update={"seed": 1})
    joined = verification.join_checks(v, plan, loaders(whole))
    with pytest.raises(StaleRecords, match="seed was 0 and is 1"):
        verification.join_checks(other, plan, loaders(whole))
    with pytest.raises(StaleRecords, match=r"what batches holds of 'seed=0000000' is of other parameters"):
        verification.join_checks(other, verification.plan_verification(other), loaders(whole))
    with pytest.raises(StaleRecords, match=r"claims\.checks"):
        verification.tabulate_claims(other, joined)
    with pytest.raises(StaleRecords, match="the table of batches has another record"):
        verification.draw_claims(other, tables[0][0])


# Studies of a sweep


def trained(sweep: Sweep, problem: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Files, Files]:
    plan, problems = plan_of(sweep, problem), {"line-draw=0": lambda: problem}
    states = dict(compute_points(INITIALIZATION, sweep, plan, problems, {"initial_states": lambda key: None}, {}))
    inputs = {INITIALIZATION: loaders(states)}
    runs = dict(compute_points(TRAINING, sweep, plan, problems, {"trajectories": lambda key: None}, inputs))
    return plan, problems, states, runs


def test_comparisons_are_those_of_their_parameters(problem: dict[str, Any]) -> None:
    """Both studies: nothing twice, nothing of another seed, and the test rows count."""
    sweep = Sweep(**SWEEP | {"widths": [20], "seeds": [0, 1]})
    _, problems, states, runs = trained(sweep, problem)
    rows = {"X_test": np.ones((3, 20)), "Y_test": np.ones((3, 2))}

    def compare(files: Files, X_test: Any = rows["X_test"], **changes: Any) -> list[int]:
        """How many records of each study are new."""
        changed = Sweep(**SWEEP | {"widths": [20], "seeds": [0, 1]} | changes)
        data = {"line-draw=0": lambda: rows | {"X_test": X_test}}
        stored = {name: lambda key, name=name: files.get(f"{name}/{key}") for name in ("comparisons", "early")}
        known = problems, changed, plan_of(changed, problem), stored, loaders(states), loaders(runs)
        new = []
        for name, study in (
            ("comparisons", lazy.compare_points(*known)),
            ("early", early.compare_with_ridge(data, *known)),
        ):
            before = {id(record) for record in files.values()}
            found = {f"{name}/{key}": record for each in study for key, record in each.items()}
            new.append(sum(id(record) not in before for record in found.values()))
            files |= found
        return new

    files: Files = {}
    assert compare(files) == [2, 2]
    assert not any("error" in record for record in files.values())
    assert compare(files) == [0, 0]
    assert compare(files, delta=0.1) == [0, 0]
    assert compare(files, X_test=rows["X_test"] * 2) == [0, 2]
    del files[next(key for key in files if key.startswith("comparisons"))]
    assert compare(files, X_test=rows["X_test"] * 2) == [1, 0]
    with pytest.raises(StaleRecords, match=r"what initial_states holds of 'width=0{14}20-"):
        compare(files, seed=7)
    with pytest.raises(StaleRecords, match="what trajectories holds of"):
        compare(files, flow_tolerance=1e-7)


def test_a_comparison_does_not_depend_on_other_points(problem: dict[str, Any]) -> None:
    sweep = Sweep(**SWEEP | {"widths": [20], "seeds": [0]})
    plan, problems, states, runs = trained(sweep, problem)
    wider = Sweep(**SWEEP | {"widths": [20, 12345], "seeds": [1, 0]})
    more = (plan_of(wider, problem), problems, *trained(wider, problem)[2:])

    def compared(sweep: Sweep, plan: Any, problems: Any, states: Files, runs: Files) -> Files:
        found = lazy.compare_points(
            problems, sweep, plan, {"comparisons": lambda key: None}, loaders(states), loaders(runs)
        )
        return {key: record for each in found for key, record in each.items()}

    ((key, alone),) = compared(sweep, plan, problems, states, runs).items()
    beside = compared(wider, *more)[key]
    assert alone.keys() == beside.keys()
    assert all(np.array_equal(alone[name], beside[name]) for name in alone)


# In a project

PIPELINES = ("lazy,early", "descent_study", "verification")
RECORDS = ("width_lazy", "width_early", "imbalance_lazy", "descent", "claims")
OUTPUTS = ("width_lazy.csv", "imbalance_early.csv", "descent_points.csv", "claims.csv", "claims_frequencies.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_project(tmp_path_factory, "--pipelines=" + ",".join(PIPELINES))


def records(project: Project) -> dict[Path, int]:
    """Files of the studies -> when they were written."""
    folders = (project.path / "data/smoke/07_model_output" / name for name in RECORDS)
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.glob("*.npz")}


def kill_after(project: Project, pipelines: str, new: int) -> int:
    """Start a run, kill it once it has written so many records of studies; how many it has left."""
    before = records(project)
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", f"--pipelines={pipelines}"]
    run = subprocess.Popen(command, cwd=project.path, env=_environment(), stdout=subprocess.DEVNULL)
    while run.poll() is None and len(records(project)) < len(before) + new:
        time.sleep(0.001)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "the run had ended"
    return len(records(project)) - len(before)


@pytest.mark.slow
@pytest.mark.parametrize("pipelines", PIPELINES)
def test_a_killed_run_is_finished(finished: Project, tmp_path: Path, pipelines: str) -> None:
    project = make_project(tmp_path / "project")
    assert kill_after(project, pipelines, new=2) >= 2
    left = records(project)
    project.run(f"--pipelines={pipelines}")
    assert records(project).items() >= left.items(), "what was done was computed again"
    for name in OUTPUTS:
        path = project.path / "data/smoke/08_reporting" / name
        if path.exists():
            found, expected = (pd.read_csv(each) for each in (path, finished.path / path.relative_to(project.path)))
            timed = found.columns.intersection(["seconds"])
            pd.testing.assert_frame_equal(found.drop(columns=timed), expected.drop(columns=timed))
    client = MlflowClient(project.store)
    (experiment,) = (each for each in client.search_experiments() if each.name == "implicit_bias")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    keys = [(run.data.tags["implicit_bias.sweep"], run.data.tags.get("implicit_bias.point")) for run in runs]
    assert len(set(keys)) == len(keys)


CHANGES = {
    "width_sweep": {"seed": 7},
    "imbalance_sweep": {"seed": 7},
    "descent_study": {"seed": 7},
    "verification": {"seed": 7},
}
MAKERS = (
    "generate_data",
    "reparametrize_data",
    "plan_points",
    "plan_descents",
    "plan_verification",
    "initialize_points",
)
"""Nodes that need nothing of what earlier ones have made of their parameters."""
WRITERS = ("typeset_results",)
"""Write a section in another form, which says what it is of."""


@pytest.mark.slow
@pytest.mark.parametrize("replanned", [False, True])
def test_every_node_refuses_what_is_of_other_parameters(finished: Project, replanned: bool) -> None:
    """Run by itself on what an earlier run has left, with a plan of that run or with a new one."""
    script = f"""
import sys
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from implicit_bias.sweeps.compute import StaleRecords
bootstrap_project({str(finished.path)!r})
from kedro.framework.project import pipelines
with KedroSession.create({str(finished.path)!r}, env="smoke", runtime_params={CHANGES!r}) as session:
    catalog = session.load_context().catalog
    nodes = {{node.name: node for name in {PIPELINES!r} for part in name.split(",") for node in pipelines[part].nodes}}
    plans = {{}}
    if {replanned}:
        for name, node in nodes.items():
            if node.func.__name__.startswith("plan_"):
                plans |= node.run({{each: catalog[each].load() for each in node.inputs}})
    for name, node in sorted(nodes.items()):
        if node.func.__name__ in {MAKERS + WRITERS!r} or "report" == node.func.__name__[-6:]:
            continue
        try:
            made = node.run({{each: plans[each] if each in plans else catalog[each].load() for each in node.inputs}})
            for each in made.values():
                if hasattr(each, "__next__"):
                    list(each)
        except StaleRecords as error:
            print("refused", name)
        else:
            print("NOT REFUSED", name)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=finished.path,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    said = result.stdout.splitlines()
    assert result.returncode == 0, result.stderr
    assert sum(line.startswith("refused") for line in said) > 20
    refused_less = {
        # made from the plan and the data alone
        *(f"{sweep}_sweep.answer_questions" for sweep in ("width", "imbalance") if replanned),
        # compute what is missing
        *(name for name in ("study_descents", "check_claims") if replanned),
    }
    assert {line.removeprefix("NOT REFUSED ") for line in said if line.startswith("NOT REFUSED")} <= refused_less
