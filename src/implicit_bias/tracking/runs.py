"""Runs as MLflow keeps them: which are ours, and the texts and numbers that they take."""

import time
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient, MlflowException
from mlflow.entities import Param, Run, RunTag

from implicit_bias.tracking.addresses import redacted
from implicit_bias.tracking.connection import is_outage
from implicit_bias.tracking.limits import NOTE, short_digest, short_name, short_value
from implicit_bias.tracking.tags import CHILD_OF, CREATION, DESCRIBED, DESCRIPTION

WORKFLOW = "workflowType=machine_learning"  # without it the page opens on traces, not on runs
UNFINISHED = ("FAILED", "KILLED", "SCHEDULED")
"""How a run has ended that may go on; SCHEDULED: all went well, and stages that end its points are still to come."""
WELL = ("FINISHED", "SCHEDULED")


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


def children_of(client: MlflowClient, experiment_id: str, run_id: str, more: str = "") -> list[Run]:
    """The points of a sweep, the newest first; more may be asked of them."""
    return find_runs(client, experiment_id, f"{CHILD_OF} = '{run_id}'{more}")


def is_active(client: MlflowClient, run_id: str) -> bool:
    """Whether a run is there: a person may have deleted it, or it is of another store."""
    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if is_outage(error):
            raise
        return False


def delete_twins(client: MlflowClient, experiment_id: str, run_id: str, creation: str | None) -> None:
    """Delete what repeated requests have made beside a run: the answers to the first ones were lost on the way."""
    if creation:
        for twin in find_runs(client, experiment_id, f"tags.`{CREATION}` = '{creation}'"):
            if twin.info.run_id != run_id and is_empty(twin):
                discard(client, twin)


def is_empty(run: Run) -> bool:
    """Whether a run was given nothing after its creation: not so a copy, or what a person has made."""
    return run.info.status != "FINISHED" and not run.data.params and not run.data.metrics


def note(description: str) -> dict[str, str]:
    """The tags that describe a run."""
    text = short_value(description, NOTE)
    return {DESCRIPTION: text, DESCRIBED: short_digest(text)}


def is_described_by_us(run: Run) -> bool:
    """Whether the description of a run is the one it was given here, and not one that a person has written."""
    return run.data.tags.get(DESCRIBED) in (None, short_digest(run.data.tags.get(DESCRIPTION, "")))


def discard(client: MlflowClient, run: Run) -> None:
    """End a run that nobody needs, and delete it."""
    if run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, "KILLED")
    client.delete_run(run.info.run_id)


def delete_tags(client: MlflowClient, run: Run, *names: str) -> None:
    """Delete those of some tags that a run has."""
    for name in run.data.tags.keys() & set(names):
        client.delete_tag(run.info.run_id, name)


def now() -> int:
    """Milliseconds since the epoch, as MLflow counts."""
    return time.time_ns() // 1_000_000


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow keeps them, without the secrets of addresses among them."""
    return {name: redacted(str(value)) for name, value in values.items()}


def shortened(values: Mapping[str, str]) -> dict[str, str]:
    """Parameters with names and values that every server takes."""
    return {short_name(name): short_value(value) for name, value in values.items()}


def as_params(values: Mapping[str, str]) -> list[Param]:
    """Parameters as MLflow's client takes them."""
    return [Param(name, value) for name, value in shortened(values).items()]


def as_tags(values: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow's client takes them."""
    return [RunTag(short_name(name), short_value(value, NOTE)) for name, value in values.items()]


def parameter_file(name: str) -> str:
    """The artifact that keeps the whole of a parameter whose value had to be shortened, as a JSON text."""
    return f"parameters/{short_name(name)}.json"
