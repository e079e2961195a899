"""What a person may do in MLflow, or to its folders, between two runs."""

import random
import shutil
import sqlite3
from contextlib import closing
from functools import partial

from tests.chaos.fault import Fault
from tests.chaos.lane import Lane

CHILD = "SELECT run_uuid FROM tags WHERE key = 'implicit_bias.point' ORDER BY value LIMIT 1"
PARENT = "SELECT run_uuid FROM tags WHERE key = 'implicit_bias.plan' LIMIT 1"
TAG = "INSERT OR REPLACE INTO tags (key, value, run_uuid) SELECT '{}', '{}', run_uuid FROM ({})"

EDITS = {
    "a child deleted": f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ({CHILD})",
    "all children deleted": "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN "
    "(SELECT run_uuid FROM tags WHERE key = 'implicit_bias.point')",
    "the parent deleted": f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ({PARENT})",
    "the sweep deleted": "UPDATE runs SET lifecycle_stage = 'deleted'",
    "a child marked RUNNING": f"UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ({CHILD})",
    "a child marked FAILED": f"UPDATE runs SET status = 'FAILED' WHERE run_uuid = ({CHILD})",
    "the description edited": TAG.format("mlflow.note.content", "mine", PARENT),
    "a child described": TAG.format("mlflow.note.content", "mine", CHILD),
    "a tag added": TAG.format("mine", "yes", PARENT),
    "the parent renamed": TAG.format("mlflow.runName", "mine", PARENT),
    "the experiment deleted": "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'implicit_bias'",
    "the experiment renamed": "UPDATE experiments SET name = 'mine' WHERE name = 'implicit_bias'",
}
"""What is done -> how, in SQL."""
FOLDERS = {
    "artifacts removed": "mlruns",
    "the lock file removed": "mlflow.db.lock",
    "sections removed": "data/smoke/08_reporting",
}


def draw(rng: random.Random) -> Fault:
    """An edit in the store, or a folder that is removed."""
    what, state = rng.choice([*EDITS, *FOLDERS]), rng.choice(("finished", "half"))
    return Fault("hands", f"{what} {state}", state, partial(_act, what))


def _act(what: str, lane: Lane) -> list[str]:
    if what in FOLDERS:
        path = lane.project / FOLDERS[what]
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return []
    with closing(sqlite3.connect(lane.project / "mlflow.db")) as connection, connection:
        connection.execute(EDITS[what])
    return []
