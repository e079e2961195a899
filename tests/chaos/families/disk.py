"""Files that cannot grow, a disk that is full, and folders and databases that cannot be written."""

import os
import random
import shutil
import subprocess
from functools import partial
from math import exp, log
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.lane import Lane

SMALLEST, LARGEST = 1_500, 2_500_000
"""Bytes: less than any file of a point, more than the database of a finished run."""
SOMEBODY = 65534
"""A user who owns nothing."""


def draw(rng: random.Random) -> Fault:
    """A limit of the size of files, uniform in its logarithm; for a tenth of them a disk that is full."""
    state = rng.choice(("new", "empty", "empty", "half", "unsent"))
    size = round(exp(rng.uniform(log(SMALLEST), log(LARGEST))))
    syncs = rng.random() < 0.5
    if rng.random() < 0.1 and os.geteuid() == 0:
        room = round(exp(rng.uniform(log(50_000), log(LARGEST))))
        return Fault("disk", f"full after {room} bytes", "empty", partial(_full, room), syncs)
    return Fault("disk", f"files of at most {size} bytes {state}", state, partial(_limited, size), syncs)


def _limited(size: int, lane: Lane) -> list[str]:
    result = lane.run(file_size=size)
    return [result.complaint] if result.complaint else []


def _full(room: int, lane: Lane) -> list[str]:
    """The disk of the results has so much room and no more, until it gets more."""
    data = lane.project / "data"
    data.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(data)], capture_output=True)
    if mounted.returncode:
        return _limited(room, lane)
    try:
        result = lane.run()
        shutil.copytree(data, lane.root / "away", symlinks=True)
    finally:
        subprocess.run(["umount", str(data)], check=True)
    shutil.copytree(lane.root / "away", data, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(lane.root / "away")
    return [result.complaint] if result.complaint else []


def draw_locked(rng: random.Random) -> Fault:
    """A file or a folder that the user of the run cannot write."""
    names = ("mlflow.db", "data/smoke/08_reporting", "data/smoke/07_model_output/width", "mlruns", ".")
    name, state = rng.choice(names), rng.choice(("finished", "half"))
    return Fault("read-only", f"{name} {state}", state, partial(_locked, name))


def _locked(name: str, lane: Lane) -> list[str]:
    path = lane.project / name
    if not path.exists():
        return []
    if os.geteuid() == 0:
        for each in (lane.root, lane.project, *lane.project.rglob("*")):
            os.chown(each, SOMEBODY, SOMEBODY, follow_symlinks=False)
        (lane.root / "said.log").unlink(missing_ok=True)
    before = path.stat().st_mode
    path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        os.chown(path, 0, 0)
    try:
        result = lane.run(user=SOMEBODY if os.geteuid() == 0 else None)
    finally:
        path.chmod(before)
        _give_back(lane.root)
    return [result.complaint] if result.complaint else []


def _give_back(root: Path) -> None:
    if os.geteuid() == 0:
        for each in (root, *root.rglob("*")):
            os.chown(each, 0, 0, follow_symlinks=False)
