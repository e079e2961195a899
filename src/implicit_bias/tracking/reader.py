"""Reading tracked sweeps back: runs by id or by name, their points, their curves, and what the report says of them."""

import json
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from mlflow import MlflowException
from mlflow.entities import Run

from implicit_bias.report.facts import Facts, SectionKind
from implicit_bias.report.paper import on_the_way
from implicit_bias.report.png import is_whole
from implicit_bias.report.registry import section_kind, write_section
from implicit_bias.report.section import Origin, Provenance, Section, Tracked
from implicit_bias.tracking import tags as tag
from implicit_bias.tracking.addresses import shown
from implicit_bias.tracking.limits import SHORTENED
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.runs import WORKFLOW, children_of, find_runs, now, parameter_file
from implicit_bias.tracking.store import Store, is_unmade

NUMBERS = ("width", "depth", "seed", "alpha", "inner_gain", "sigma_u", "sigma_v", "tolerance")
"""Params of a point that are numbers."""
LISTED = 8
"""Runs named in an error."""


logger = logging.getLogger(__name__)


class OtherSweep(TrackingError):
    """A sweep of something else, of which the report knows nothing."""


class Reader:
    """The sweeps of one experiment of a store that exists.

    Args:
        uri: an MLflow tracking URI; a relative sqlite path is relative to the project.
        project: the folder of the project.
        experiment: the name of the experiment; None for that of a run, of the environment or by default.
        ui: the address of MLflow's pages, if it is neither that of the server nor MLflow's default.
        default: the name of the experiment where nothing else says it.

    Raises:
        TrackingError: there is no such store or experiment.
    """

    def __init__(self, uri: str, project: Path, experiment: str | None, ui: str = "", default: str = "") -> None:
        if is_unmade(uri, project):
            raise TrackingError(f"There is no MLflow store {shown(uri)} in {project}")
        self.store = Store(uri, project, ui, reading=True)
        self.client = self.store.client
        experiment = experiment or self.store.experiment_name(default)
        found = self.client.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(repr(each.name) for each in self.client.search_experiments())
            raise TrackingError(f"There is no experiment {experiment!r} in the MLflow store: it has {names or 'none'}")
        self.experiment_id = str(found.experiment_id)

    def find(self, reference: str) -> Run:
        """The run of an id or a name; a point of a sweep may be given as SWEEP/POINT.

        Raises:
            TrackingError: no run, or more than one, is called so.
        """
        if re.fullmatch("[0-9a-f]{32}", reference):
            try:
                return self.client.get_run(reference)
            except MlflowException:
                raise TrackingError(f"There is no run with the id {reference}") from None
        named = self._named(reference)
        if not named and "/" in reference:
            sweep, _, point = reference.partition("/")
            named = [run for run in self.children(self.find(sweep)) if run.info.run_name == point]
        if len(named) == 1:
            return named[0]
        if not named:
            newest = ", ".join(repr(run.info.run_name) for run in self.parents()[:LISTED])
            raise TrackingError(f"There is no run {reference!r}; the newest sweeps are {newest or 'none'}")
        ids = ", ".join(run.info.run_id for run in named[:LISTED])
        more = ", …" if len(named) > LISTED else ""
        raise TrackingError(f"{len(named)} runs are called {reference!r}: give SWEEP/POINT, or an id: {ids}{more}")

    def parents(self) -> list[Run]:
        """The sweeps, newest first."""
        return find_runs(self.client, self.experiment_id, tag.PARENTS)

    def newest(self) -> list[Run]:
        """The newest run of each sweep in each folder of results, such as those of two environments; newest first."""
        newest = {(run.data.tags[tag.SWEEP], run.data.tags.get(tag.PLACE)): run for run in reversed(self.parents())}
        return sorted(newest.values(), key=lambda run: run.info.start_time, reverse=True)

    def children(self, run: Run) -> list[Run]:
        """The points of a sweep, in the order in which they were started."""
        return children_of(self.client, run.info.experiment_id, run.info.run_id)[::-1]

    def params(self, run: Run) -> dict[str, str]:
        """The parameters of a run, those that had to be shortened from the files that keep them whole."""
        return {name: self._whole(run, name, value) for name, value in run.data.params.items()}

    def _whole(self, run: Run, name: str, value: str) -> str:
        if not SHORTENED.search(value):
            return value
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(run.info.run_id, parameter_file(name), folder)
            except (MlflowException, OSError):  # a person has deleted it
                return value
            return str(json.loads(Path(path).read_text(encoding="utf-8")))

    def curve(self, run: Run, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of a tracked curve; empty if there is none."""
        history = self.client.get_metric_history(run.info.run_id, f"curve/{name}")
        ordered = sorted(history, key=lambda metric: metric.step)
        return [metric.step for metric in ordered], [metric.value for metric in ordered]

    def sections(self, run: Run) -> dict[str, Section]:
        """What the report says of a sweep, "", and of each study of it, by name, from what is tracked of it alone.

        Raises:
            TrackingError: the run is not that of a sweep.
        """
        if tag.SWEEP not in run.data.tags or tag.POINT in run.data.tags:
            raise TrackingError(
                f"Run {run.info.run_name!r} is not that of a sweep, but of a point, of something else or of an earlier "
                "version"
            )
        with tempfile.TemporaryDirectory() as folder:
            files = self._files(run, Path(folder))
            images = {
                picture_name(run.data.tags[tag.SWEEP], name): path.read_bytes()
                for name, path in files.items()
                if name.endswith(".png")
            }
            params = {"title": run.info.run_name, **self.params(run)}
            for name in [name for name, image in images.items() if not is_whole(image)]:
                del images[name]
                logger.warning("%s: the picture %s is damaged in the store and left out", run.info.run_name, name)
            origin = Origin(params, _provenance(run), images, self._tracked(run))
            kinds = kinds_of(run)
            main = next(iter(kinds))
            if table := kinds[main].table:
                if table not in files:
                    raise TrackingError(f"{run.info.run_name} has lost the table of its report, {table}")
                errors = {"run": error} if (error := run.data.tags.get(tag.ERROR)) else {}
                return {"": write_section(main, Facts(origin, pd.read_csv(files[table]), failures=errors))}
        return self._sections(run, origin, kinds)

    def _sections(self, run: Run, origin: Origin, kinds: Mapping[str, SectionKind]) -> dict[str, Section]:
        """The sections of a run that has points; pictures that one of them speaks of are not those of the others."""
        keys = {child.data.tags[tag.POINT]: child for child in self.children(run)}
        points = points_table([child for child in keys.values() if child.info.status == "FINISHED"])
        counted = re.fullmatch(r"\d+ of (\d+)", run.data.tags.get(tag.MISSING, ""))

        def loss_at(key: str, iteration: int) -> float:
            return on_the_way(*self.curve(keys[key], "excess"), iteration)

        facts = Facts(
            origin,
            points,
            planned=int(counted[1]) if counted else len(keys),
            names={key: str(child.info.run_name) for key, child in keys.items()},
            datasets=_datasets(run),
            failures={
                key: child.data.tags.get(tag.ERROR, child.info.status.lower())
                for key, child in keys.items()
                if child.info.status != "FINISHED"
            },
            loss_at=loss_at,
        )
        main, *studies = kinds
        of_studies = {name for study in studies for name in kinds[study].pictures}
        own = {name: image for name, image in origin.images.items() if name not in of_studies}
        first = write_section(main, replace(facts, origin=replace(origin, images=own)))
        return {"": first} | {name.replace(":", "."): write_section(name, facts) for name in studies}

    def _files(self, run: Run, folder: Path) -> dict[str, Path]:
        """The pictures and tables of a run, by name."""
        paths = [file.path for file in self.client.list_artifacts(run.info.run_id) if not file.is_dir]
        wanted = [path for path in paths if PurePosixPath(path).suffix in (".png", ".csv")]
        return {path: Path(self.client.download_artifacts(run.info.run_id, path, str(folder))) for path in wanted}

    def lost_pictures(self, run: Run) -> list[str]:
        """The pictures that a sweep was given and that are not among its artifacts any more."""
        there = {file.path for file in self.client.list_artifacts(run.info.run_id)}
        return [name for name in run.data.tags.get(tag.PICTURES, "").split(", ") if name and name not in there]

    def _tracked(self, run: Run) -> Tracked:
        described = re.findall(r"\[([^\]]+)\]\((#/[^)\s]+)\)", run.data.tags.get(tag.DESCRIPTION, ""))
        page = {"This run": f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?{WORKFLOW}"}
        links = {title: self.store.address(view) for title, view in (page | dict(described)).items()}
        return Tracked(name=str(run.info.run_name), run_id=run.info.run_id, links=links, ui=self.store.told_command())

    def _named(self, name: str) -> list[Run]:
        quote = '"' if "'" in name else "'"
        if quote in name:  # which no filter of MLflow can say
            return []
        return find_runs(self.client, self.experiment_id, f"attributes.run_name = {quote}{name}{quote}")


def kinds_of(run: Run) -> dict[str, SectionKind]:
    """The kinds of the sections about a run by their names, as its tag has them.

    Raises:
        OtherSweep: the report knows none of them.
    """
    names: list[str] = run.data.tags.get(tag.REPORT, "").split()
    known = {}
    for name in names:
        try:
            known[name] = section_kind(name)
        except ValueError as error:
            logger.warning("%s: %s", run.info.run_name, error)
    if not names or names[0] not in known:
        raise OtherSweep(f"{run.info.run_name}: a sweep of something else, of which the report knows nothing")
    return known


def points_table(children: Sequence[Run]) -> pd.DataFrame:
    """One row per point: its key, its params, numbers where they are such, and its metrics without the curves."""
    rows: list[dict[str, Any]] = []
    for child in children:
        params = {name: _number(name, value) for name, value in child.data.params.items()}
        metrics = {name: value for name, value in child.data.metrics.items() if "/" not in name}
        rows.append({"point": child.data.tags.get(tag.POINT, ""), **params, **metrics})
    return pd.DataFrame(rows, columns=None if rows else ["point"])


def _number(name: str, value: str) -> Any:
    if name not in NUMBERS or value == "None":
        return value
    return int(value) if value.isdigit() else float(value)


def picture_name(sweep: str, file: str) -> str:
    """The name by which the report knows a picture: that of its file without the sweep, in whatever namespace it is."""
    return file.removesuffix(".png").removeprefix(f"{sweep.rpartition('.')[2]}_")


def _datasets(run: Run) -> list[dict[str, Any]]:
    inputs = [each.dataset for each in run.inputs.dataset_inputs] if run.inputs else []
    return [{"name": each.name, **json.loads(each.profile or "{}")} for each in inputs]


def _provenance(run: Run) -> Provenance:
    tags = run.data.tags
    ended = run.info.end_time or now()
    return Provenance(
        finished=datetime.fromtimestamp(ended / 1000, UTC),
        versions={key.removeprefix(tag.VERSION): tags[key] for key in sorted(tags) if key.startswith(tag.VERSION)},
        commit=tags.get(tag.COMMIT, ""),
        dirty=tags.get(tag.DIRTY) == "true",
    )
