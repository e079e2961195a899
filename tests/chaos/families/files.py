"""Damaged files of every kind, between two runs."""

import random
import uuid
from functools import partial
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.lane import Lane

KINDS = {
    "points": ("05_model_input/width/*", "06_models/width/*", "07_model_output/width/*", "08_reporting/width_points/*"),
    "data": ("01_raw/*", "02_intermediate/*"),
    "plan": ("05_model_input/width_plan.json",),
    "lock": ("05_model_input/.run.json", "05_model_input/.run.lock"),
    "results": ("08_reporting/*.*", "08_reporting/sections/*"),
    "note": ("05_model_input/width_plan.unsent.jsonl",),
}
"""Kind -> patterns of its files in the data of a project."""
WAYS = ("cut", "garbled", "emptied", "bit", "removed", "half written beside", "doubled")


def draw(rng: random.Random) -> Fault:
    """A file of a kind, damaged in a way, in a project that has run or was broken off."""
    kind, way, seed = rng.choice(list(KINDS)), rng.choice(WAYS), rng.randrange(2**32)
    state = "unsent" if kind == "note" else rng.choice(("finished", "finished", "half", "unsent"))
    syncs = state == "unsent" and rng.random() < 0.7
    name = f"{kind} {way} {state}{' sync' if syncs else ''} {seed}"
    return Fault(f"files: {kind}", name, state, partial(_damage, kind, way, seed), syncs)


def draw_database(rng: random.Random) -> Fault:
    """The database of the store, or what SQLite keeps beside it."""
    way, seed = rng.choice(("cut", "garbled", "emptied", "removed", "text", "journal", "header")), rng.randrange(2**32)
    state = rng.choice(("finished", "half"))
    return Fault("files: mlflow.db", f"{way} {state} {seed}", state, partial(_damage_database, way, seed))


def _damage(kind: str, way: str, seed: int, lane: Lane) -> list[str]:
    rng, data = random.Random(seed), lane.project / "data/smoke"
    found = sorted(path for pattern in KINDS[kind] for path in data.glob(pattern) if path.is_file())
    if found:
        change(rng.choice(found), way, rng)
    return []


def change(path: Path, way: str, rng: random.Random) -> None:
    """Damage a file in a way."""
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content)) if content else 0
    if way == "half written beside":
        (path.parent / f".{uuid.UUID(int=rng.getrandbits(128)).hex}.tmp").write_bytes(content[:at])
        return
    if way == "removed":
        path.unlink()
        return
    if way == "cut":
        del content[at:]
    elif way == "garbled":
        length = min(len(content) - at, 1 + rng.randrange(4096))
        content[at : at + length] = rng.randbytes(length)
    elif way == "emptied":
        content.clear()
    elif way == "bit" and content:
        content[at] ^= 1 << rng.randrange(8)
    elif way == "doubled":
        content += content[at:]
    path.write_bytes(content)


def _damage_database(way: str, seed: int, lane: Lane) -> list[str]:
    rng, path = random.Random(seed), lane.project / "mlflow.db"
    if way == "text":
        path.write_text("this is no database\n" * 99)
    elif way == "journal":  # what a process leaves that dies in the middle of a write
        for end in ("-journal", "-wal", "-shm"):
            Path(f"{path}{end}").write_bytes(rng.randbytes(rng.randrange(5000)))
    elif way == "header":
        content = bytearray(path.read_bytes())
        content[rng.randrange(100)] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    else:
        change(path, way, rng)
    return []
