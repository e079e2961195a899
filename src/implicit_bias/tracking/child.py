"""The child run of one point in MLflow."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric

from implicit_bias.tracking.artifacts import keep_whole, upload, write_file
from implicit_bias.tracking.limits import short_name
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.runs import as_params, as_tags, delete_tags, is_active, shortened, texts
from implicit_bias.tracking.statements import write_first
from implicit_bias.tracking.tags import ERROR

DELETED = "DELETED"  # by a person, while the sweep runs
LEFT = "LEFT"  # begun by an earlier process, not finished

logger = logging.getLogger(__name__)


@dataclass
class Child:
    """The run of one point: what it has been given so far, and how it ended.

    Its metrics have the time of its start: giving it the same ones again, from another process, changes nothing.

    Attributes:
        folder: of its artifacts, where they can be written there.
        planned: its params in the plan.
        params: those it has in the store.
        logged: parts and files it has been given.
        listed: whether those include files from an earlier process.
        trained: what its training has found, until that is sent with its evaluation.
    """

    client: MlflowClient
    key: str
    run_id: str
    started: int
    folder: Path | None = None
    planned: Mapping[str, Any] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    curves: set[str] = field(default_factory=set)
    listed: bool = True
    trained: dict[str, Any] = field(default_factory=dict)
    status: str = "RUNNING"

    def go_on(self) -> None:
        """Take up a run that an earlier process has left."""
        if self.status == LEFT:
            self.client.update_run(self.run_id, "RUNNING")
            delete_tags(self.client, self.client.get_run(self.run_id), ERROR)
            self.status = "RUNNING"

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuse params that have another value already."""
        known = shortened(texts(self.planned)) | self.params
        for name, value in shortened(texts(params)).items():
            if (before := known.get(name, value)) != value:
                raise TrackingError(f"Point {self.key!r}: param {name!r} is {value}, but was {before} before")

    def write(
        self, metrics: Sequence[Metric], params: Mapping[str, Any], tags: Mapping[str, str], status: str | None
    ) -> None:
        """Send what the run does not have yet, its planned params included, in one batch, and end it with a status."""
        self.check_params(params)
        given = texts(self.planned) | texts(params)
        new = {name: value for name, value in given.items() if short_name(name) not in self.params}
        batch = metrics, as_params(new), as_tags(tags)
        with self._unless_deleted():
            keep_whole(self.client, self.run_id, new)  # first: a param that is there is not sent again
            if not write_first(self.client, self.run_id, *batch, status):
                self.client.log_batch(self.run_id, *batch)
                if status is not None:
                    self.client.set_terminated(self.run_id, status)
            self.status = status or self.status
        self.params |= shortened(new)

    def file(self, name: str, content: bytes) -> None:
        """Keep a file, unless it is there."""
        if not self.listed:
            self.logged |= {file.path for file in self.client.list_artifacts(self.run_id)}
            self.listed = True
        if name not in self.logged and self.status != DELETED:
            with self._unless_deleted():
                if not write_file(self.folder, name, content):
                    upload(self.client, self.run_id, name, content)
            self.logged.add(name)

    @contextmanager
    def _unless_deleted(self) -> Iterator[None]:
        """Go on without the run if a person has deleted it meanwhile."""
        try:
            yield
        except MlflowException:
            if is_active(self.client, self.run_id):
                raise
            self.status = DELETED
            logger.warning("MLflow: point %s was deleted there, it stays missing: %s", self.key, self.run_id)
