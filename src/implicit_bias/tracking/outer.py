"""Runs of others around ours: one that the environment names has ours as a child, one that is active is linked."""

import os
import sys
from typing import Any

from mlflow import MlflowClient

from implicit_bias.tracking.runs import is_active
from implicit_bias.tracking.tags import BESIDE, PARENT, PREFIX


def outer_tags(client: MlflowClient) -> dict[str, str]:
    """What a run of ours says of the runs around it."""
    tags = {}
    for tag, run_id in ((PARENT, os.environ.get("MLFLOW_RUN_ID")), (BESIDE, _active())):
        if run_id and is_active(client, run_id):
            tags[tag] = run_id
    return tags


def link_back(client: MlflowClient, tags: dict[str, str], sweep: str, run_id: str) -> None:
    """Let the runs around ours say which it is, in their tag `implicit_bias.<sweep>`."""
    for tag in (PARENT, BESIDE):
        if tag in tags:
            client.set_tag(tags[tag], f"{PREFIX}{sweep}", run_id)


def _active() -> str:
    """The run that is active in this thread by MLflow's fluent interface, if anybody uses it."""
    mlflow: Any = sys.modules.get("mlflow")
    run = mlflow.active_run() if mlflow is not None else None
    return str(run.info.run_id) if run is not None else ""
