"""One trial: a fault, the same command again, the way out of a refusal if there is one, and the checks."""

import re
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checks import complaints
from tests.chaos.fault import Fault
from tests.chaos.lane import Lane
from tests.chaos.process import Result

SURVIVED, REFUSED, FAILED = "survived", "refused, with the way out", "FAILED"
TRIES = 3
"""How often a way out may be needed."""


@dataclass(frozen=True)
class Trial:
    """How a fault went."""

    family: str
    name: str
    outcome: str
    why: str
    seconds: float


def trial(lane: Lane, fault: Fault) -> Trial:
    """Let a fault strike, give the same command again, and look at what there is."""
    begun = time.monotonic()
    lane.reset(fault.state)
    outcome, said = SURVIVED, fault.strike(lane)
    acts = [lane.sync, lane.run] if fault.syncs else [lane.run]
    for act in acts:
        for _ in range(TRIES):
            result = act()
            if result.complaint:
                said.append(result.complaint)
            if result.code == 0 or not follow(lane, result):
                break
            outcome = REFUSED
            if act == lane.sync:
                break
        if result.code and not (act == lane.sync and outcome == REFUSED):
            last = [line for line in result.said.splitlines() if line.strip()][-1:]
            said.append(f"{act.__name__} ended with {result.code}: {' '.join(last)[:300]}")
    said += complaints(lane)
    if said:
        outcome = FAILED
        shutil.copy(lane.root / "said.log", lane.root / "states" / "last-failure.log")
    return Trial(fault.family, fault.name, outcome, "; ".join(said), time.monotonic() - begun)


def follow(lane: Lane, result: Result) -> bool:
    """Do what a refusal says; whether it says what to do."""
    said = re.sub(r"\s+", " ", result.said)
    if found := re.search(r"mlflow experiments restore -x (\d+)", said):
        with closing(sqlite3.connect(lane.project / "mlflow.db")) as connection, connection:
            change = "UPDATE experiments SET lifecycle_stage = 'active' WHERE experiment_id = ?"
            connection.execute(change, (int(found[1]),))
        return True
    if "Run the pipeline again" in said:  # the trial does
        return True
    if found := re.search(r"move (/\S+?) away", said):
        path = Path(found[1])
        (lane.root / "away").mkdir(exist_ok=True)
        if not path.is_relative_to(lane.project) or not path.exists():
            return False
        path.rename(lane.root / "away" / f"{time.monotonic_ns()}-{path.name}")
        return True
    return False
