"""What a sweep leaves in MLflow: a parent run, one child run a point, and their states, through MlflowClient alone."""

import json
import logging
import math
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

# MLflow reads these while it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient, MlflowException
from mlflow.entities import Dataset, DatasetInput, Experiment, Metric, Param, Run, RunTag
from mlflow.store.db.db_types import DATABASE_ENGINES

from implicit_bias.tracking.connection import first_line, impatient, is_outage, one_at_a_time, probe, quiet, redacted
from implicit_bias.tracking.limits import (
    DATASET_NAME,
    NAME,
    NOTE,
    PROFILE,
    SCHEMA,
    contrast,
    short_name,
    short_value,
)
from implicit_bias.tracking.moves import artifacts_of, follow, is_within
from implicit_bias.tracking.outer import link_back, outer_tags
from implicit_bias.tracking.provenance import fingerprint, git_tags, is_dead, place, process_tag, user, versions
from implicit_bias.tracking.records import TrackingError, entries, last_step, metrics_of, on_common_steps, rest_of
from implicit_bias.tracking.views import TAG, oldest_views, saved_view, view_of_groups, view_of_points

COMPARED = 10  # runs in a comparison link: more are unreadable side by side
KEPT_VIEWS = 40  # views of sweeps that an experiment keeps
NUMBER = 10  # characters kept for the number in the name of a run
MOST_CHANGES = 8  # changed parameters named in a description
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
EXPERIMENT_NOTE = "[All sweeps]({page}): the description of each links to views of its points, which are its children."

WORKFLOW = "workflowType=machine_learning"  # without it the page opens on traces, not on runs
PARENTS = "tags.process LIKE '%' AND tags.plan LIKE '%' AND tags.sweep LIKE '%'"  # an experiment may have others
CHILD_OF = "tags.point LIKE '%' AND tags.`mlflow.parentRunId`"  # not what a person has put under a sweep
UNFINISHED = ("FAILED", "KILLED", "SCHEDULED")
"""How a run has ended that may go on; SCHEDULED: all went well, and stages that end its points are still to come."""
DEFAULT_PORT = 5000
DELETED = "DELETED"  # by a person, while the sweep runs
WELL = ("FINISHED", "SCHEDULED")
UI = f"http://127.0.0.1:{DEFAULT_PORT}"

RELATIVE = r"^sqlite:///(?!/|:|[A-Za-z]:[/\\])"
"""How the address of a database begins that is relative to the project."""

logger = logging.getLogger(__name__)


@dataclass
class Point:
    """The child run of one point: what it has been given so far, and how it ended.

    Its metrics have the time of its start: giving it the same ones again, from another process, changes nothing.
    """

    run_id: str
    started: int
    params: dict[str, str] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    curves: set[str] = field(default_factory=set)
    trained: Mapping[str, Any] = field(default_factory=dict)  # its curves, until they are logged to their end
    status: str = "RUNNING"  # LEFT: begun by an earlier process, not finished


class Store:
    """A tracking server or database that answers.

    Args:
        uri: an MLflow tracking URI; a relative sqlite path is relative to the project.
        project: the folder of the project: a local database keeps its artifacts in `mlruns` there.
        ui: the address of MLflow's pages, if it is neither that of the server nor MLflow's default.

    Raises:
        TrackingError: nothing usable answers there.
    """

    def __init__(self, uri: str, project: Path, ui: str = "") -> None:
        self.project = project.absolute()
        self.uri = re.sub(RELATIVE, lambda _: f"sqlite:///{self.project.as_posix()}/", uri)
        self.ui = ui
        self._repaired: set[str] = set()
        try:
            with impatient(), quiet("alembic", "mlflow.store.db.utils"):
                if self.uri.partition(":")[0].partition("+")[0] in DATABASE_ENGINES:
                    with one_at_a_time(self.uri):
                        probe(self.uri)  # MLflow itself retries a dead database for minutes
                        self._connect()
                        if is_within(self.uri, self.project):
                            follow(self.uri, self.project)
                else:
                    self._connect()
        except Exception as error:
            raise TrackingError(
                redacted(f"The MLflow tracking store {self.uri} cannot be used: {first_line(error)}")
            ) from error

    def _connect(self) -> None:
        self.client = MlflowClient(self.uri)
        self.client.search_experiments(max_results=1)

    def open(self, plan: Mapping[str, Any], run_id: str | None = None) -> "Sweep":
        """Start the parent run of a sweep, or go on with one, after closing what dead processes left running there.

        Without a run to go on with it is the last run of the same plan from the same folder, if that has ended
        unfinished and the plan is not `fresh`.
        """
        experiment_id = self._repaired_experiment(plan)
        if run_id is None and not plan.get("fresh"):
            run_id = self._last(experiment_id, plan, *UNFINISHED)
        return Sweep(self.client, experiment_id, plan, self.project, run_id)

    def _repaired_experiment(self, plan: Mapping[str, Any]) -> str:
        experiment_id = self._experiment(str(plan["experiment"]))
        if experiment_id not in self._repaired:
            self._repaired.add(experiment_id)
            self._repair(experiment_id)
        return experiment_id

    def rejoin(self, plan: Mapping[str, Any]) -> "Sweep | None":
        """Go on with the last run of a plan from its folder, finished or not, for what later stages make of its points.

        None if there is no such run, or if it is still running.
        """
        last = self._last(self._repaired_experiment(plan), plan, *UNFINISHED, "FINISHED")
        return None if last is None else self.open(plan, last)

    def _last(self, experiment_id: str, plan: Mapping[str, Any], *statuses: str) -> str | None:
        """The last run of the same plan from the same folder, if it has ended in one of some ways."""
        same = f"tags.plan = '{fingerprint(plan)}' AND tags.place = '{_place(plan, self.project)}'"
        last = next(iter(find_runs(self.client, experiment_id, same)), None)
        return last.info.run_id if last and last.info.status in statuses else None

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            artifacts = artifacts_of(self.project) if self.uri.startswith("sqlite:") else None
            try:
                new = str(self.client.create_experiment(name, artifacts, EXPERIMENT_TAGS))
                page = f"#/experiments/{new}/runs?{WORKFLOW}&searchFilter={quote(PARENTS)}"
                self.client.set_experiment_tag(new, "mlflow.note.content", EXPERIMENT_NOTE.format(page=page))
                return new
            except MlflowException:  # another process was faster
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        _refuse_deleted(experiment)
        return str(experiment.experiment_id)

    def experiment_name(self, default: str) -> str:
        """The experiment that runs belong to, which need not exist: of MLflow's environment variables, or a default.

        Raises:
            TrackingError: it is deleted, or the environment names an experiment or a run that there is not.
        """
        found = None
        try:
            if os.environ.get("MLFLOW_EXPERIMENT_NAME"):
                found = self.client.get_experiment_by_name(default)
            elif number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
                found = self.client.get_experiment(number)
            elif outer := os.environ.get("MLFLOW_RUN_ID"):
                found = self.client.get_experiment(self.client.get_run(outer).info.experiment_id)
            else:
                found = self.client.get_experiment_by_name(default)
            if outer := os.environ.get("MLFLOW_RUN_ID"):
                self.client.get_run(outer)
        except MlflowException as error:
            if is_outage(error):
                raise
            raise TrackingError(
                f"MLFLOW_EXPERIMENT_ID or MLFLOW_RUN_ID names what is not in the store: {first_line(error)}"
            ) from None
        if found is None:
            return default
        _refuse_deleted(found)
        return str(found.name)

    def _repair(self, experiment_id: str) -> None:
        """Mark as KILLED the runs whose process died without a word, at the last time they are known to have lived."""
        for parent in find_runs(self.client, experiment_id, f"{PARENTS} AND attributes.status = 'RUNNING'"):
            if not is_dead(parent.data.tags["process"]):
                continue
            children = find_runs(self.client, experiment_id, f"{CHILD_OF} = '{parent.info.run_id}'")
            last = max([parent.info.start_time, *(run.info.end_time or run.info.start_time for run in children)])
            for run in [*(child for child in children if child.info.status == "RUNNING"), parent]:
                self.client.set_terminated(run.info.run_id, "KILLED", last)
            logger.warning("Run %r was killed with its process: marked as such in MLflow", parent.info.run_name)

    def ui_command(self) -> str:
        """The shell command that shows this store where its links lead, empty for a server that shows itself."""
        if self.uri.startswith("http"):
            return ""
        port = urlsplit(self.ui or UI).port
        uri, here = self.uri, f"sqlite:///{Path.cwd().as_posix()}/"
        uri = uri.replace(here, "sqlite:///", 1) if uri.startswith(here) else uri
        if uri == "sqlite:///mlflow.db" and _makes_ui(Path.cwd()):
            return "make ui" + (f" PORT={port}" if port not in (None, DEFAULT_PORT) else "")
        command = f"mlflow ui --backend-store-uri {_quoted(redacted(uri))}"
        return command + (f" --port {port}" if port not in (None, DEFAULT_PORT) else "")

    def links(self, sweep: "Sweep") -> list[str]:
        """Addresses in MLflow's UI: all points of a sweep, then some of them evenly chosen side by side."""
        return [self.address(view) for view in sweep.views().values()]

    def whereabouts(self, sweep: "Sweep") -> dict[str, Any]:
        """Name and id of a sweep's parent run, links to it and to the views of its points, and how to open them."""
        run = {"This run": f"#/experiments/{sweep.experiment_id}/runs/{sweep.run_id}?{WORKFLOW}"}
        links = {title: self.address(view) for title, view in (run | sweep.views()).items()}
        return {"name": sweep.name, "run_id": sweep.run_id, "links": links, "ui": self.ui_command()}

    def address(self, view: str) -> str:
        """The address of a page of MLflow's UI."""
        ui = self.ui or (redacted(self.uri).rstrip("/") if self.uri.startswith("http") else UI)
        return f"{ui}/{view}"


class Sweep:
    """The parent run of one sweep, and its points. Saying the same thing twice changes nothing.

    Args:
        client: the client of the store.
        experiment_id: the experiment the runs are in.
        plan: name, description, params, datasets and points of the sweep, known before any of it is computed.
        project: the folder whose git commit the runs belong to.
        run_id: the parent run to go on with; by default a new one is started.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        plan: Mapping[str, Any],
        project: Path,
        run_id: str | None = None,
    ) -> None:
        self.client, self.experiment_id, self.plan = client, experiment_id, plan
        self.points: dict[str, Point] = {}
        self._summaries: set[str] = set()
        self._started = now()
        self._horizon = 0.0  # the last step of any point
        self._common = {
            "sweep": str(plan["sweep"]),
            "mlflow.user": user(),
            "mlflow.source.name": project.name,
            "mlflow.source.type": "LOCAL",
        }
        self._known: dict[str, float] = {}  # metrics that the parent has
        tags = {
            **self._common,
            "plan": fingerprint(plan),
            "place": _place(plan, project),
            "process": process_tag(),
            **{f"version.{name}": number for name, number in versions().items()},
            **git_tags(project),
            **outer_tags(client),
        }
        self._files: set[str] = set()
        self.before = ""  # how it had ended before this process went on with it
        if run_id is None:
            self._start(tags)
        else:
            self._go_on(run_id, tags)
        try:
            self._describe()
        except Exception:
            with suppress(Exception):  # of a store that is lost
                client.set_terminated(self.run_id, "FAILED")
            raise
        link_back(client, tags, self._common["sweep"], self.run_id)

    def _start(self, tags: dict[str, str]) -> None:
        """Start the parent run."""
        client, experiment_id, plan = self.client, self.experiment_id, self.plan
        before = find_runs(client, experiment_id, f"tags.sweep = '{plan['sweep']}' AND {PARENTS}")
        self.name = _next_name(str(plan["name"]), [str(run.info.run_name) for run in before])
        self.description = str(plan.get("description", "")) + (_changes(plan, before[0]) if before else "")
        tags["mlflow.note.content"] = self.description
        cut = {name: short_value(value, NOTE) for name, value in tags.items()}
        self.run_id = client.create_run(experiment_id, self._started, cut, self.name).info.run_id

    def _describe(self) -> None:
        """Give the parent run its parameters, data sets and views."""
        client, plan = self.client, self.plan
        params = _strings(plan.get("params", {}))
        client.log_batch(self.run_id, params=_params(params))
        self._keep_whole(self.run_id, params)
        datasets = [_dataset(entry) for entry in plan.get("datasets", ())]
        if datasets:
            client.log_inputs(self.run_id, [DatasetInput(dataset) for dataset in datasets])
        if plan.get("compare"):
            self._save_views()

    def _go_on(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Take up a parent run whose process is gone: finished children stay, the others are given again."""
        run = self.client.get_run(run_id)
        self.run_id, self.name, self._started = run_id, str(run.info.run_name), run.info.start_time
        self.description = str(self.plan.get("description", ""))
        self._known = dict(run.data.metrics)
        self._files = set(filter(None, run.data.tags.get("pictures", "").split(", ")))
        self.before = str(run.info.status)
        self._horizon = float(run.data.tags.get("horizon", 0))
        self.client.log_batch(run_id, tags=_tags({**tags, "place": run.data.tags.get("place", tags["place"])}))
        self.client.update_run(run_id, "RUNNING")  # after it has a living process: another one repairs what has none
        _delete_tags(self.client, run, "error", "missing")
        for child in find_runs(self.client, self.experiment_id, f"{CHILD_OF} = '{run_id}'"):
            key, finished = child.data.tags["point"], child.info.status == "FINISHED"
            if finished or key not in self.points:
                point = Point(child.info.run_id, child.info.start_time, dict(child.data.params), status="LEFT")
                if finished:
                    point.logged = {file.path for file in self.client.list_artifacts(point.run_id)}
                    point.status = "FINISHED"
                self.points[key] = point
        done = len(self.plan["points"]) - len(self.missing())
        logger.info("MLflow: %s goes on, %d of %d points are there", self.name, done, len(self.plan["points"]))

    def log(self, key: str, part: str, record: Mapping[str, Any]) -> None:
        """Log one part of a point: its params, metrics and curves.

        Of the parts `trajectory` and `evaluation` the latter ends it; others, which compare it, may follow.
        """
        point, compares = self._point(key, record), part not in ("trajectory", "evaluation")
        if self._steps_per_decade:
            self._horizon = max(self._horizon, last_step(record))
        if part in point.logged or point.status == DELETED or not (compares or point.status == "RUNNING"):
            return
        record = {name: value for name, value in record.items() if name not in point.curves}
        rest: list[Metric] = []
        if per_decade := self._steps_per_decade:
            if part == "evaluation":
                rest = self._rest_of(point)
                record = on_common_steps(record, per_decade, self._horizon)
            elif compares:
                record = on_common_steps(record, per_decade, self._horizon)
            else:
                point.trained = {name: value for name, value in record.items() if name.startswith("curve/")}
                record = on_common_steps(record, per_decade)
        metrics, skipped = metrics_of(record, point.started)
        tags = {f"non_finite.{part}": ", ".join(skipped)} if skipped else {}
        self._write(key, [*metrics, *rest], entries(record, "param/"), tags)
        point.logged.add(part)
        point.curves |= {name for name in record if name.startswith("curve/")} - {"curve/iteration"}
        if part == "evaluation":
            self._end(point, "FINISHED")

    @property
    def _steps_per_decade(self) -> int:
        return int(self.plan.get("steps_per_decade") or 0)

    def _rest_of(self, point: Point) -> list[Metric]:
        """What is not logged yet of the curves of a trained point."""
        trained, point.trained = point.trained, {}
        rest = rest_of(trained, self._steps_per_decade, self._horizon) if trained else {}
        return metrics_of(rest, point.started)[0]

    def fail(self, key: str, error: str) -> None:
        """End a point that could not be computed."""
        point = self._point(key)
        if point.status == "RUNNING":
            self._write(key, tags={"error": first_line(error)})
            self._end(point, "FAILED")

    def point_file(self, key: str, name: str, content: bytes) -> None:
        """Keep a file with a point."""
        point = self._point(key)
        if name not in point.logged and point.status != DELETED:
            with self._unless_deleted(point):
                self._upload(point.run_id, name, content)
            point.logged.add(name)

    def summary(self, name: str, record: Mapping[str, Any]) -> None:
        """Log a record of the whole sweep on its parent, once a name; of one that goes on, what has changed."""
        if name not in self._summaries:
            metrics, _ = metrics_of(record, now())
            axis = self.plan.get("compare", {}).get("axis")
            if axis:  # not the curves of the points, whose steps are iterations
                named = ((metric, short_name(metric.key.replace("curve/", f"by_{axis}/"))) for metric in metrics)
                metrics = [Metric(key, metric.value, metric.timestamp, metric.step) for metric, key in named]
            latest = {metric.key: metric.value for metric in metrics}
            changed = [metric for metric in metrics if self._known.get(metric.key) != latest[metric.key]]
            self.client.log_batch(self.run_id, changed)
            self._summaries.add(name)

    def file(self, path: Path, name: str) -> None:
        """Keep a file, or a folder of files, with the parent under a name."""
        if path.is_dir():
            for part in sorted(part for part in path.rglob("*") if part.is_file()):
                self.file(part, f"{name}/{part.relative_to(path).as_posix()}")
        elif path.name == PurePosixPath(name).name:
            self.client.log_artifact(self.run_id, str(path), _folder(name))
        else:
            self._upload(self.run_id, name, path.read_bytes())
        if name.endswith(".png") and "/" not in name:
            self._files.add(name)

    def missing(self) -> list[str]:
        """The points of the plan that are not FINISHED."""
        return [key for key in self.plan["points"] if key not in self.points or self.points[key].status != "FINISHED"]

    def waiting(self) -> bool:
        """Whether points are missing that have not failed: a later stage ends them."""
        return any(key not in self.points or self.points[key].status != "FAILED" for key in self.missing())

    def views(self) -> dict[str, str]:
        """Where MLflow's UI shows the points.

        If the plan says how they compare, in groups, as parallel coordinates and as a table, from saved views; then at
        most COMPARED of them, evenly chosen, side by side.
        """
        page = f"#/experiments/{self.experiment_id}/runs?{WORKFLOW}"
        views = {}
        if self.plan.get("compare"):
            groups, points = (f"{page}&viewStateShareKey={key}" for key in self._view_keys())
            views["Comparison"] = f"{groups}&compareRunsMode=CHART"
            views["Parallel coordinates"] = f"{points}&compareRunsMode=CHART"
            views["Table"] = points
        else:
            views["All points"] = f"{page}&searchFilter={quote(self._mine())}"
        runs = [self.points[key].run_id for key in self.plan["points"] if key in self.points]
        if len(runs) > 1:
            chosen, experiments = runs[:: -(-len(runs) // COMPARED)], [self.experiment_id]
            query = "&".join(
                f"{name}={quote(json.dumps(ids, separators=(',', ':')))}"
                for name, ids in {"runs": chosen, "experiments": experiments}.items()
            )
            views["Side by side"] = f"#/compare-runs?{query}&{WORKFLOW}"
        return views

    def _mine(self) -> str:
        return f"tags.mlflow.parentRunId = '{self.run_id}'"

    def _view_keys(self) -> tuple[str, str]:
        """Under which the views of the groups and of the points are saved."""
        key = f"{self.plan['sweep']}-{self.run_id[:8]}"
        return key, f"{key}-points"

    def _save_views(self) -> None:
        """Save the views of the points with the experiment, and forget the oldest ones of earlier runs."""
        client, compare = self.client, self.plan["compare"]
        compared, points = self._view_keys()
        states = {
            compared: view_of_groups(compare, self._mine(), self.run_id),
            points: view_of_points(compare, self._mine(), self.run_id),
        }
        for key, state in states.items():
            name = self.name if key == compared else f"{self.name}, points"
            client.set_experiment_tag(self.experiment_id, TAG + key, saved_view(name, state, now()))
        for tag in oldest_views(client.get_experiment(self.experiment_id).tags, KEPT_VIEWS):
            client.delete_experiment_tag(self.experiment_id, tag)

    def close(self, status: str | None = None, error: str = "") -> str:
        """End the parent and whatever is still open, and return the parent's status.

        Args:
            status: how it ended; None means that it ran to its end: FINISHED, or FAILED if points are missing.
                Of a part that leaves the end of its points to others: SCHEDULED, or as it was.
            error: what ended it.
        """
        missing = self.missing()
        for point in self.points.values():
            if (metrics := self._rest_of(point)) and point.status != DELETED:
                with self._unless_deleted(point):
                    self.client.log_batch(point.run_id, metrics)
        final = status or ("FAILED" if missing else "FINISHED")
        tags = {"error": first_line(error)} if error else {}
        if self._files:
            tags["pictures"] = ", ".join(sorted(self._files))
        if self._horizon:
            tags["horizon"] = str(self._horizon)  # of the curves of points that a later process evaluates
        if missing:
            tags["missing"] = f"{len(missing)} of {len(self.plan['points'])}"
            still_open = f"{CHILD_OF} = '{self.run_id}' AND attributes.status = 'RUNNING'"
            for run in find_runs(self.client, self.experiment_id, still_open):
                if final not in WELL:
                    self.client.set_tag(
                        run.info.run_id, "error", first_line(error) or "the run ended before this point"
                    )
                self.client.set_terminated(run.info.run_id, final)
        links = " · ".join(f"[{title}]({view})" for title, view in self.views().items())
        first, _, rest = self.description.partition("\n\n")  # the page folds all but the beginning
        tags["mlflow.note.content"] = "\n\n".join(part for part in (first, links, rest) if part)
        self.client.log_batch(self.run_id, tags=_tags(tags))
        self.client.set_terminated(self.run_id, final)
        return final

    def _point(self, key: str, record: Mapping[str, Any] | None = None) -> Point:
        """The child run of a point, started at its first mention, dated back by the seconds its record took."""
        if key not in self.points:
            if key not in self.plan["points"]:
                raise TrackingError(f"Point {key!r} is not in the plan of sweep {self.plan['sweep']!r}")
            planned = self.plan["points"][key]
            name = short_name(str(planned.get("name", key)))
            tags = {**self._common, "mlflow.parentRunId": self.run_id, "point": key}
            if note := planned.get("description"):
                tags["mlflow.note.content"] = short_value(str(note), NOTE)
            seconds = float((record or {}).get("metric/seconds", 0))
            start = now() - round(1000 * seconds if math.isfinite(seconds) else 0)
            self.points[key] = Point(self.client.create_run(self.experiment_id, start, tags, name).info.run_id, start)
        point = self.points[key]
        if point.status == "LEFT":
            self.client.update_run(point.run_id, "RUNNING")
            _delete_tags(self.client, self.client.get_run(point.run_id), "error")
            point.status = "RUNNING"
        return point

    def _write(
        self,
        key: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Send to a point's run what it does not have yet, its planned params included, in as few calls as can be."""
        point = self.points[key]
        planned = _strings(self.plan["points"][key].get("params", {}))
        params = _strings(params or {})
        known = point.params
        for name, value in _shortened(params).items():
            if (before := (_shortened(planned) | known).get(name, value)) != value:
                raise TrackingError(f"Point {key!r}: param {name!r} is {value}, but was {before} before")
        new = {name: value for name, value in (planned | params).items() if short_name(name) not in known}
        with self._unless_deleted(point):
            self.client.log_batch(point.run_id, metrics, _params(new), _tags(tags or {}))
            self._keep_whole(point.run_id, new)
        point.params |= _shortened(new)

    @contextmanager
    def _unless_deleted(self, point: Point) -> Iterator[None]:
        """Go on without the run of a point that a person has deleted meanwhile."""
        try:
            yield
        except MlflowException:
            if self.client.get_run(point.run_id).info.lifecycle_stage == "active":
                raise
            point.status = DELETED
            logger.warning("MLflow: a point of %s was deleted there, it stays missing: %s", self.name, point.run_id)

    def _end(self, point: Point, status: str) -> None:
        if point.status != DELETED:
            with self._unless_deleted(point):
                self.client.set_terminated(point.run_id, status)
                point.status = status

    def _keep_whole(self, run_id: str, params: Mapping[str, str]) -> None:
        """Keep parameters whose values had to be shortened as files, one each."""
        for name, value in params.items():
            if short_value(value) != value:
                self._upload(run_id, parameter_file(name), json.dumps(value, ensure_ascii=False).encode())

    def _upload(self, run_id: str, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(name).name)
            path.write_bytes(content)
            self.client.log_artifact(run_id, str(path), _folder(name))


def find_runs(client: MlflowClient, experiment_id: str, query: str) -> list[Run]:
    """All active runs of an experiment that a filter selects."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], query, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _refuse_deleted(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"The MLflow experiment {experiment.name!r} is deleted: restore it with "
            f"`mlflow experiments restore -x {experiment.experiment_id}`"
        )


def _makes_ui(folder: Path) -> bool:
    """Whether a Makefile shows the store of a folder, as that of this project does."""
    makefile = folder / "Makefile"
    if not makefile.is_file():
        return False
    return bool(re.search(r"(?m)^ui:.*\n(\t.*\n)*\t.*mlflow ui", makefile.read_text("utf-8", "replace")))


def _quoted(word: str) -> str:
    return subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word)


def _next_name(name: str, taken: Sequence[str]) -> str:
    """The name, with the next number if it is taken; runs of the sweep with other titles have numbers of their own."""
    name = short_name(name, NAME - NUMBER)
    found = (re.fullmatch(re.escape(name) + r"(?: #(\d+))?", each) for each in taken)
    numbers = [int(each[1] or 1) for each in found if each]
    return f"{name} #{max(numbers) + 1}" if numbers else name


def _place(plan: Mapping[str, Any], project: Path) -> str:
    return place(Path(plan.get("folder") or project))


def _delete_tags(client: MlflowClient, run: Run, *names: str) -> None:
    for name in run.data.tags.keys() & set(names):
        client.delete_tag(run.info.run_id, name)


def now() -> int:
    """Milliseconds since the epoch, as MLflow counts."""
    return time.time_ns() // 1_000_000


def _dataset(entry: Mapping[str, Any]) -> Dataset:
    """A dataset of a plan: name, digest and, if known, source, schema and profile (text, or anything JSON holds)."""
    source = str(entry.get("source", entry["name"]))
    kind, key = ("http", "url") if source.startswith(("http://", "https://")) else ("local", "uri")
    schema, profile = (
        value if value is None or isinstance(value, str) else json.dumps(value)
        for value in (entry.get("schema"), entry.get("profile"))
    )
    name, address = short_name(str(entry["name"]), DATASET_NAME), json.dumps({key: short_value(source, NOTE)})
    schema = schema if len(schema or "") <= SCHEMA else None
    profile = profile if len(profile or "") <= PROFILE else None
    return Dataset(name, str(entry["digest"])[:36], kind, address, schema, profile)


def _changes(plan: Mapping[str, Any], before: Run) -> str:
    """What a sweep computes that its last run did not, as a line of its description."""
    name = before.info.run_name
    if before.data.tags.get("plan") == fingerprint(plan):
        return f"\n\nA repetition of {name}."
    old, new = before.data.params, _shortened(_strings(plan.get("params", {})))
    pairs = {key: contrast(old.get(key, "–"), value) for key, value in new.items() if old.get(key) != value}
    changed = [f"{key} {' → '.join(pair)}" for key, pair in pairs.items()]
    more = ", …" if len(changed) > MOST_CHANGES else ""
    return (
        f"\n\nSince {name}: {', '.join(changed[:MOST_CHANGES])}{more}."
        if changed
        else f"\n\nOther data or code than {name}."
    )


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _shortened(values: Mapping[str, str]) -> dict[str, str]:
    return {short_name(name): short_value(value) for name, value in values.items()}


def _params(values: Mapping[str, str]) -> list[Param]:
    return [Param(name, value) for name, value in _shortened(values).items()]


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(short_name(name), short_value(value, NOTE)) for name, value in values.items()]


def parameter_file(name: str) -> str:
    """The artifact that keeps the whole of a parameter whose value had to be shortened, as a JSON text."""
    return f"parameters/{short_name(name)}.json"


def _folder(name: str) -> str | None:
    folder = PurePosixPath(name).parent.as_posix()
    return None if folder == "." else folder
