"""What each role writes to a real store, read back from it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from implicit_bias.tracking.provenance import is_dead, plan_fingerprint
from implicit_bias.tracking.reader import OtherSweep, kinds_of
from implicit_bias.tracking.records import TrackingError, on_common_steps
from implicit_bias.tracking.store import Store
from implicit_bias.tracking.tags import PROCESS
from tests.support.tracking import KEYS, PNG, complete, history, plan, read, trajectory


def test_the_parent_says_what_is_computed(store: Store, project: Path) -> None:
    sweep = store.open(plan())
    run = read(store, sweep.run_id)
    assert run.info.status == "RUNNING"
    assert run.info.run_name == "width sweep"
    assert run.data.params == {"solver": "flow", "tolerance": "1e-06"}
    tags = run.data.tags
    assert tags["implicit_bias.sweep"] == "width"
    assert tags["implicit_bias.plan"] == plan_fingerprint(plan())
    assert tags["mlflow.note.content"] == "**Three** points"
    assert tags["implicit_bias.version.numpy"] == np.__version__
    assert tags["mlflow.user"]
    assert not is_dead(tags[PROCESS])
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("line", "0123abcd")
    assert json.loads(given.dataset.source) == {"uri": "data/line.csv"}
    assert json.loads(given.dataset.profile) == {"n": 5}
    assert store.client.get_experiment_by_name("tests").artifact_location == (project / "mlruns").as_uri()


def test_a_child_holds_its_point(store: Store) -> None:
    sweep = store.open(plan())
    key = KEYS[2]
    sweep.log(key, "trajectory", trajectory())
    child = sweep.points[key]
    assert read(store, child.run_id).info.status == "RUNNING"
    sweep.point_file(key, "curves.png", PNG)
    sweep.log(key, "evaluation", {"metric/distance": np.float64(0.25), "param/rank": 3, "param/case": "a", "other": 1})
    run = read(store, child.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "width=00500, seed=0"
    assert run.data.params == {"width": "500", "seed": "0", "rank": "3", "case": "a"}
    assert run.data.metrics == {"seconds": 2.0, "curve/loss": 1 / 101, "distance": 0.25}
    assert run.data.tags["implicit_bias.point"] == key
    assert run.data.tags["implicit_bias.sweep"] == "width"
    assert run.data.tags["mlflow.parentRunId"] == sweep.run_id
    assert run.info.end_time - run.info.start_time >= 2000
    assert history(store, child.run_id, "curve/loss") == [(0, 1.0), (1, 0.5), (10, 1 / 11), (100, 1 / 101)]
    (artifact,) = store.client.list_artifacts(child.run_id)
    assert artifact.path == "curves.png"
    assert Path(store.client.download_artifacts(child.run_id, "curves.png")).read_bytes() == PNG


def test_nothing_is_said_twice(store: Store) -> None:
    sweep = store.open(plan())
    for _ in range(2):
        complete(sweep)
        sweep.point_file(KEYS[0], "figure.png", PNG)
        sweep.summary("summary", {"metric/slope": -0.5})
        sweep.fail(KEYS[0], "too late")
    found = store.client.search_runs([sweep.experiment_id])
    assert len(found) == 1 + len(KEYS)
    assert len(history(store, sweep.points[KEYS[0]].run_id, "curve/loss")) == 4
    assert len(history(store, sweep.run_id, "slope")) == 1
    assert read(store, sweep.points[KEYS[0]].run_id).info.status == "FINISHED"


def test_values_that_cannot_be_drawn_are_left_out_and_named(store: Store) -> None:
    sweep = store.open(plan())
    iteration = np.array([0.0, 0.4, 1.0, 2.0, 3.0, np.inf, 1e30])
    loss = np.array([8.0, 7.0, np.nan, np.inf, 1.0, 0.5, 0.25])
    metrics = {"metric/bound": np.inf, "metric/rate": np.nan, "metric/distance": 1.0}
    sweep.log(KEYS[0], "trajectory", {"curve/iteration": iteration, "curve/loss": loss, **metrics})
    sweep.log(KEYS[0], "evaluation", {})
    run = read(store, sweep.points[KEYS[0]].run_id)
    assert history(store, run.info.run_id, "curve/loss") == [(0, 8.0), (3, 1.0)]
    assert run.data.metrics == {"curve/loss": 1.0, "distance": 1.0}
    assert run.data.tags["implicit_bias.non_finite.trajectory"] == "bound, rate, curve/loss"


def test_curves_longer_than_a_batch(store: Store) -> None:
    sweep = store.open(plan())
    curves = {f"curve/{name}": np.arange(1500.0) for name in "abc"}
    params = {f"param/p{i:03}": "x" * 10_000 for i in range(150)}
    sweep.log(KEYS[0], "trajectory", {**curves, **params})
    sweep.log(KEYS[0], "evaluation", {})
    run_id = sweep.points[KEYS[0]].run_id
    for name in "abc":
        assert history(store, run_id, f"curve/{name}") == [(i, float(i)) for i in range(1500)]
    written = read(store, run_id).data.params
    assert len(written) == 152
    assert set(map(len, written.values())) >= {500}  # what every server takes; the rest is in files


def record_until(end: float) -> dict[str, Any]:
    at = np.linspace(0, end, 400)
    return {"curve/iteration": at, "curve/loss": np.exp(-at / 100), "curve/u2v": at - 1, "metric/x": 1.0}


def test_curves_of_different_runs_share_their_steps() -> None:
    first, second = (on_common_steps(record_until(end), 12, 1234) for end in (900.4, 1234.0))
    assert first["curve/iteration"].tolist() == second["curve/iteration"].tolist()
    assert first["curve/iteration"][[0, -1]].tolist() == [0, 1234]
    for curve, end in ((first, 900.4), (second, 1234.0)):
        steps = np.minimum(curve["curve/iteration"], end)
        np.testing.assert_allclose(curve["curve/loss"], np.exp(-steps / 100), rtol=1e-9)
        np.testing.assert_allclose(curve["curve/u2v"], steps - 1, rtol=1e-9, atol=1e-9)


def test_early_decades_have_fewer_steps_and_no_curve_more_than_a_person_sees() -> None:
    for end in (1, 7, 300, 1234.0, 5e4, 1e7):
        steps = on_common_steps(record_until(end), 6, end)["curve/iteration"]
        assert steps[0] == 0
        assert steps[-1] == np.rint(end)
        assert steps.size <= 2 + 2 * 6 + 2 * max(np.ceil(np.log10(end)) - 2, 0) + 2
        late = steps[(steps >= end / 100) & (steps > 10)]
        assert np.all(late[1:] / late[:-1] < 10 ** (1 / 6) * 1.1)


def test_a_point_that_stops_early_is_held_until_the_last(store: Store) -> None:
    sweep = store.open(plan(steps_per_decade=4))
    ends = dict(zip(KEYS, (900.4, 1234.0, 40.0), strict=True))
    for key, end in ends.items():
        sweep.log(key, "trajectory", record_until(end))
    for key in KEYS[:2]:
        sweep.log(key, "evaluation", {"curve/iteration": np.array([0, ends[key]]), "curve/distance": np.array([2, 1])})
    sweep.close()
    histories = [dict(history(store, sweep.points[key].run_id, "curve/loss")) for key in KEYS]
    assert set(histories[0]) == set(histories[1]) == set(histories[2])
    assert max(histories[0]) == 1234
    for steps, end in zip(histories, ends.values(), strict=True):
        for step, loss in steps.items():
            assert loss == pytest.approx(np.exp(-min(step, end) / 100))
    distances = [dict(history(store, sweep.points[key].run_id, "curve/distance")) for key in KEYS[:2]]
    assert set(distances[0]) == set(distances[1])
    assert [each[1234] for each in distances] == [1, 1]


def test_a_repetition_says_what_changed(store: Store) -> None:
    runs = [read(store, store.open(each).run_id) for each in (plan(), plan(), plan(params={"solver": "descent"}))]
    assert [run.info.run_name for run in runs] == ["width sweep", "width sweep #2", "width sweep #3"]
    notes = [run.data.tags["mlflow.note.content"] for run in runs]
    assert notes[1].endswith("A repetition of width sweep.")
    assert notes[2].endswith("Since width sweep #2: solver flow → descent.")


def test_runs_of_another_title_have_numbers_of_their_own(store: Store) -> None:
    titles = ("wide", "width sweep", "wide", "width sweep (all)", "width sweep")
    names = [read(store, store.open(plan(name=title)).run_id).info.run_name for title in titles]
    assert names == ["wide", "width sweep", "wide #2", "width sweep (all)", "width sweep #2"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"metric/x": np.zeros(2)}, "metric/x must be a number"),
        ({"curve/x": np.zeros((2, 2))}, "curve/x must be as long as"),
        ({"curve/x": np.zeros(3), "curve/iteration": np.arange(4)}, "curve/x must be as long as"),
        ({"param/width": 101}, "param 'width' is 101, but was 100 before"),
    ],
)
def test_records_that_make_no_sense_are_refused(store: Store, record: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrackingError, match=reason):
        store.open(plan()).log(KEYS[0], "trajectory", record)


def test_a_point_outside_the_plan_is_refused(store: Store) -> None:
    with pytest.raises(TrackingError, match="'width=1' is not in the plan of sweep 'width'"):
        store.open(plan()).log("width=1", "trajectory", trajectory())


def test_files_of_the_parent(store: Store, tmp_path: Path) -> None:
    sweep = store.open(plan())
    folder = tmp_path / "plots"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(b"pdf")
    sweep.file(folder / "a.pdf", "a.pdf")
    sweep.file(folder / "a.pdf", "figures/renamed.pdf")
    sweep.file(folder, "plots")
    for name in ("a.pdf", "figures/renamed.pdf", "plots/a.pdf"):
        assert Path(store.client.download_artifacts(sweep.run_id, name)).read_bytes() == b"pdf"


def test_the_commit_is_noted(store: Store, project: Path) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert "mlflow.source.git.commit" not in read(store, store.open(plan()).run_id).data.tags
    (project / "tracked").write_text("1")
    subprocess.run([*git, "add", "tracked"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for content, dirty in [("1", "false"), ("2", "true")]:
        (project / "tracked").write_text(content)
        tags = read(store, store.open(plan()).run_id).data.tags
        assert (tags["mlflow.source.git.commit"], tags["implicit_bias.git.dirty"]) == (commit, dirty)


def test_the_fingerprint_is_of_what_is_computed() -> None:
    renamed = plan(name="other", description="", points={k: {**p, "name": "x"} for k, p in plan()["points"].items()})
    assert plan_fingerprint(renamed) == plan_fingerprint(plan())
    assert plan_fingerprint(json.loads(json.dumps(plan()))) == plan_fingerprint(plan())
    for change in ({"params": {}}, {"datasets": []}, {"sweep": "x"}, {"points": {}}):
        assert plan_fingerprint(plan(**change)) != plan_fingerprint(plan())


def test_a_tag_names_the_sections_of_the_report(store: Store) -> None:
    sweep = store.open(plan(report="sweep"))
    assert read(store, sweep.run_id).data.tags["implicit_bias.report"] == "sweep"
    for kind in ("sweep", "lazy", "lazy", ""):
        sweep.section(kind)
    assert read(store, sweep.run_id).data.tags["implicit_bias.report"] == "sweep lazy"
    sweep.close("FAILED")
    again = store.open(plan(report="sweep"))
    assert again.run_id == sweep.run_id
    assert read(store, sweep.run_id).data.tags["implicit_bias.report"] == "sweep lazy"
    again.section("early")
    assert read(store, sweep.run_id).data.tags["implicit_bias.report"] == "sweep lazy early"


def test_sections_are_chosen_by_the_tag_alone(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a file with the name of a table, nor a picture with that of a study, makes a section."""

    def kinds(name: str, **changes: Any) -> list[str]:
        sweep = store.open(plan(sweep=name, **changes))
        store.client.log_text(sweep.run_id, "claim", "claims.csv")
        store.client.log_text(sweep.run_id, "", f"{name}_gaps.png")
        return list(kinds_of(read(store, sweep.run_id)))

    assert kinds("a", report="sweep") == ["sweep"]
    assert kinds("b", report="sweep no.such:SECTION early") == ["sweep", "early"]
    assert "no.such:SECTION" in caplog.text
    with pytest.raises(OtherSweep):
        kinds("c")
    with pytest.raises(OtherSweep):
        kinds("d", report="no.such:SECTION sweep")
