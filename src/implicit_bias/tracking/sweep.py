"""What a sweep leaves in MLflow: a parent run, one child run per point, and how they ended, by MlflowClient."""

import json
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric

from implicit_bias.sweeps.handover import entries
from implicit_bias.tracking import tags as tag
from implicit_bias.tracking.addresses import redacted
from implicit_bias.tracking.artifacts import folder_at, keep_whole, upload
from implicit_bias.tracking.child import DELETED, LEFT, Child
from implicit_bias.tracking.connection import first_line
from implicit_bias.tracking.describe import METRICS, as_csv, changes, dataset, next_name
from implicit_bias.tracking.limits import NOTE, short_name, short_value
from implicit_bias.tracking.outer import link_back, outer_tags
from implicit_bias.tracking.provenance import git_tags, place_of, plan_fingerprint, process_tag, user, versions
from implicit_bias.tracking.records import TrackingError, check_record, last_step, metrics_of, on_common_steps
from implicit_bias.tracking.runs import (
    WELL,
    WORKFLOW,
    as_params,
    as_tags,
    children_of,
    delete_tags,
    delete_twins,
    discard,
    find_runs,
    is_described_by_us,
    is_empty,
    note,
    now,
    texts,
)
from implicit_bias.tracking.statements import write_run
from implicit_bias.tracking.views import TAG, oldest_views, saved_view, view_of_groups, view_of_points

COMPARED = 10  # runs in a comparison link: more are unreadable side by side
KEPT_VIEWS = 40  # views of sweeps that an experiment keeps
TRACKED = ("metric/", "curve/", "param/")

logger = logging.getLogger(__name__)


class TrackedSweep:
    """The parent run of one sweep, and its points. Saying the same thing twice changes nothing.

    Args:
        client: the client of the store.
        experiment_id: the experiment the runs are in.
        plan: name, description, params, datasets and points of the sweep, known before any of it is computed.
        project: the folder whose git commit the runs belong to.
        run_id: the parent run to continue; by default a new one is started.
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
        self.points: dict[str, Child] = {}
        self._summaries: set[str] = set()
        self._horizon = 0.0  # the last step of any point
        self._steps_per_decade = int(plan.get("steps_per_decade") or 0)
        self._common = {
            tag.SWEEP: str(plan["sweep"]),
            "mlflow.user": user(),
            "mlflow.source.name": project.name,
            "mlflow.source.type": "LOCAL",
        }
        self._place = place_of(plan, project)
        self._known: dict[str, float] = {}  # metrics that the parent has
        tags = {
            **self._common,
            tag.PLAN: plan_fingerprint(plan),
            tag.PLACE: self._place,
            tag.PROCESS: process_tag(),
            **({tag.REPORT: str(plan["report"])} if plan.get("report") else {}),
            **{f"{tag.VERSION}{name}": number for name, number in versions().items()},
            **git_tags(project),
            **outer_tags(client),
        }
        self._files: set[str] = set()
        self._sections = str(plan.get("report", "")).split()
        self.before = ""  # how it had ended before this process continued it
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
        link_back(client, tags, self._common[tag.SWEEP], self.run_id)

    def _start(self, tags: dict[str, str]) -> None:
        """Start the parent run."""
        client, experiment_id, plan = self.client, self.experiment_id, self.plan
        before = find_runs(client, experiment_id, f"tags.`{tag.SWEEP}` = '{plan['sweep']}' AND {tag.PARENTS}")
        self.name = next_name(str(plan["name"]), [str(run.info.run_name) for run in before])
        self.description = redacted(str(plan.get("description", ""))) + (changes(plan, before[0]) if before else "")
        tags |= note(self.description) | {tag.CREATION: uuid4().hex}
        cut = {name: short_value(value, NOTE) for name, value in tags.items()}
        self.run_id = client.create_run(experiment_id, now(), cut, self.name).info.run_id
        delete_twins(client, experiment_id, self.run_id, tags[tag.CREATION])

    def _describe(self) -> None:
        """Give the parent run its parameters, data sets and views."""
        client, plan = self.client, self.plan
        params = texts(plan.get("params", {}))
        keep_whole(client, self.run_id, params)
        client.log_batch(self.run_id, params=as_params(params))
        if told := plan.get("metrics"):
            upload(client, self.run_id, METRICS, as_csv(told))
        if datasets := [DatasetInput(dataset(entry)) for entry in plan.get("datasets", ())]:
            client.log_inputs(self.run_id, datasets)
        if plan.get("compare"):
            self._save_views()

    def _go_on(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Take up a parent run whose process is gone: finished children stay, the others are given again."""
        run = self.client.get_run(run_id)
        self.run_id, self.name = run_id, str(run.info.run_name)
        self.description = redacted(str(self.plan.get("description", "")))
        self._known = dict(run.data.metrics)
        self._files = set(filter(None, run.data.tags.get(tag.PICTURES, "").split(", ")))
        self.before = str(run.info.status)
        if self.before == "FINISHED":  # its results are of the versions and of the commit that it says
            tags = {tag.PROCESS: tags[tag.PROCESS]}
        tags = {**tags, tag.PLACE: run.data.tags.get(tag.PLACE, self._place)}
        self._sections = run.data.tags.get(tag.REPORT, "").split()
        if self._sections:
            tags.pop(tag.REPORT, None)
        delete_twins(self.client, self.experiment_id, run_id, run.data.tags.get(tag.CREATION))
        self.client.log_batch(run_id, tags=as_tags(tags))
        self.client.update_run(run_id, "RUNNING")  # after it has a living process: another one repairs what has none
        delete_tags(self.client, run, tag.ERROR, tag.MISSING)
        for child in children_of(self.client, self.experiment_id, run_id):
            key, finished = child.data.tags[tag.POINT], child.info.status == "FINISHED"
            if finished or key not in self.points:
                self.points[key] = Child(
                    self.client,
                    key,
                    child.info.run_id,
                    child.info.start_time,
                    folder_at(self.client, child.info.artifact_uri),
                    planned=self.plan["points"].get(key, {}).get("params", {}),
                    params=dict(child.data.params),
                    listed=not finished,
                    status="FINISHED" if finished else LEFT,
                )
        done = len(self.plan["points"]) - len(self.missing())
        logger.info("MLflow: %s goes on, %d of %d points are there", self.name, done, len(self.plan["points"]))

    def log(self, key: str, part: str, record: Mapping[str, Any]) -> None:
        """Log one part of a point: its params, metrics and curves.

        A `trajectory` starts the run of its point, and is sent with the `evaluation`, which ends it: then it is known
        how far the longest run of the sweep goes. Other parts, which compare the point, may follow.
        """
        point, compares = self._point(key, record), part not in ("trajectory", "evaluation")
        if self._steps_per_decade:
            self._horizon = max(self._horizon, last_step(record))
        if part in point.logged or point.status == DELETED or not (compares or point.status == "RUNNING"):
            return
        point.logged.add(part)
        if part == "trajectory":
            point.trained = {name: value for name, value in record.items() if name.startswith(TRACKED)}
            check_record(point.trained)
            point.check_params(entries(record, "param/"))
            return
        self._send(point, {part: record}, {}, "FINISHED" if part == "evaluation" else None)

    def _send(
        self, point: Child, parts: dict[str, Mapping[str, Any]], tags: dict[str, str], status: str | None
    ) -> None:
        """Send parts of a point, after what its training has found, in one batch, and end its run with a status."""
        metrics: dict[tuple[str, int], Metric] = {}
        params: dict[str, Any] = {}
        trained, point.trained = point.trained, {}
        for part, record in ({"trajectory": trained} | parts).items():
            new = {name: value for name, value in record.items() if name not in point.curves}
            if self._steps_per_decade:
                new = on_common_steps(new, self._steps_per_decade, self._horizon)
            found, skipped = metrics_of(new, point.started)
            metrics |= {(metric.key, metric.step): metric for metric in found}
            params |= entries(record, "param/")
            if skipped:
                tags[f"{tag.NON_FINITE}{part}"] = ", ".join(skipped)
            point.curves |= {name for name in new if name.startswith("curve/")} - {"curve/iteration"}
        point.write(list(metrics.values()), params, tags, status)

    def fail(self, key: str, error: str) -> None:
        """End a point that could not be computed."""
        point = self._point(key)
        if point.status == "RUNNING":
            self._send(point, {}, {tag.ERROR: first_line(error)}, "FAILED")

    def point_file(self, key: str, name: str, content: bytes) -> None:
        """Keep a file with a point."""
        self._point(key).file(name, content)

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
        else:
            upload(self.client, self.run_id, name, path.read_bytes())
        if name.endswith(".png") and "/" not in name:
            self._files.add(name)

    def section(self, kind: str) -> None:
        """Say that the report has a section of a kind about this sweep."""
        if kind and kind not in self._sections:
            self._sections.append(kind)
            self.client.set_tag(self.run_id, tag.REPORT, " ".join(self._sections))

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
            compared = {"runs": runs[:: -(-len(runs) // COMPARED)], "experiments": [self.experiment_id]}
            query = {name: json.dumps(ids, separators=(",", ":")) for name, ids in compared.items()}
            views["Side by side"] = f"#/compare-runs?{urlencode(query, quote_via=quote)}&{WORKFLOW}"
        return views

    def _mine(self) -> str:
        return f"tags.`{tag.PARENT}` = '{self.run_id}'"

    def _view_keys(self) -> tuple[str, str]:
        """Under which the views of the groups and of the points are saved."""
        key = f"{self.plan['sweep']}-{self.run_id[:8]}"
        return key, f"{key}-points"

    def _save_views(self) -> None:
        """Save the views of the points with the experiment, and forget the oldest ones of earlier runs."""
        client, names, views = self.client, (self.name, f"{self.name}, points"), (view_of_groups, view_of_points)
        for key, name, view in zip(self._view_keys(), names, views, strict=True):
            state = view(self.plan["compare"], self._mine(), self.run_id)
            client.set_experiment_tag(self.experiment_id, TAG + key, saved_view(name, state, now()))
        for old in oldest_views(client.get_experiment(self.experiment_id).tags, KEPT_VIEWS):
            client.delete_experiment_tag(self.experiment_id, old)

    def close(self, status: str | None = None, error: str = "") -> str:
        """End the parent and whatever is still open, and return the parent's status.

        Args:
            status: how it ended; None means that it ran to its end: FINISHED, or FAILED if points are missing.
                Of a part that leaves the end of its points to others: SCHEDULED, or as it was.
            error: what ended it.
        """
        missing = self.missing()
        final = status or ("FAILED" if missing else "FINISHED")
        if final != "KILLED":  # whoever ends a run does not wait; the next one gives it all again
            for point in self.points.values():
                if point.trained and point.status == "RUNNING":
                    self._send(point, {}, {}, None)
        self._discard_ghosts()
        tags = {tag.ERROR: first_line(error)} if error else {}
        if self._files:
            tags[tag.PICTURES] = ", ".join(sorted(self._files))
        if missing:
            tags[tag.MISSING] = f"{len(missing)} of {len(self.plan['points'])}"
            still_open = " AND attributes.status = 'RUNNING'"
            for run in children_of(self.client, self.experiment_id, self.run_id, still_open):
                if final not in WELL:
                    reason = first_line(error) or "the run ended before this point"
                    self.client.set_tag(run.info.run_id, tag.ERROR, reason)
                self.client.set_terminated(run.info.run_id, final)
        links = " · ".join(f"[{title}]({view})" for title, view in self.views().items())
        first, _, rest = self.description.partition("\n\n")  # the page folds all but the beginning
        if is_described_by_us(self.client.get_run(self.run_id)):
            tags |= note("\n\n".join(part for part in (first, links, rest) if part))
        self.client.log_batch(self.run_id, tags=as_tags(tags))
        self.client.set_terminated(self.run_id, final)
        return final

    def _discard_ghosts(self) -> None:
        """Delete children that a server has made without its answer having arrived."""
        known = {point.run_id for point in self.points.values()}
        unfinished = " AND attributes.status != 'FINISHED'"
        for run in children_of(self.client, self.experiment_id, self.run_id, unfinished):
            if run.info.run_id not in known and run.data.tags[tag.POINT] in self.points and is_empty(run):
                discard(self.client, run)

    def _point(self, key: str, record: Mapping[str, Any] | None = None) -> Child:
        """The child run of a point, started at its first mention, dated back by the seconds its record took."""
        if key not in self.points:
            if key not in self.plan["points"]:
                raise TrackingError(f"Point {key!r} is not in the plan of sweep {self.plan['sweep']!r}")
            planned = self.plan["points"][key]
            name = short_name(str(planned.get("name", key)))
            tags = {**self._common, tag.PARENT: self.run_id, tag.POINT: key}
            if description := planned.get("description"):
                tags[tag.DESCRIPTION] = short_value(redacted(str(description)), NOTE)
            seconds = float((record or {}).get("metric/seconds", 0))
            start = now() - round(1000 * seconds if math.isfinite(seconds) else 0)
            made = write_run(self.client, self.experiment_id, start, tags, name)
            if made is None:
                info = self.client.create_run(self.experiment_id, start, tags, name).info
                made = info.run_id, info.artifact_uri
            run_id, address = made
            folder, params = folder_at(self.client, address), planned.get("params", {})
            self.points[key] = Child(self.client, key, run_id, start, folder, params)
        point = self.points[key]
        point.go_on()
        return point
