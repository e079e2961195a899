"""Faults of every family, counted: `make chaos`.

    python -m tests.chaos [--faults 500] [--seed 0] [--kind proxies] [--lanes 2] [--write docs/chaos.md]

A trial disturbs a run of a small sweep, gives the same command again, and compares what there is with what an
undisturbed run leaves. A refusal counts if it says what to do and the trial, doing it, comes to the same end.
"""

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.chaos.families import disk, files, hands, proxies, signals
from tests.chaos.fault import Draw, Fault
from tests.chaos.lane import Lane
from tests.chaos.page import page, table
from tests.chaos.process import prepare
from tests.chaos.trial import FAILED, Trial, trial
from tests.support.project import make_project

FAMILIES: dict[str, tuple[int, Draw]] = {
    "signals": (26, signals.draw),
    "first": (6, signals.draw_new),
    "workers": (2, signals.draw_worker),
    "disk": (16, disk.draw),
    "locked": (4, disk.draw_locked),
    "proxies": (18, proxies.draw),
    "files": (18, files.draw),
    "database": (5, files.draw_database),
    "hands": (8, hands.draw),
}
"""Name -> how many of about a hundred faults are of it, and how one is drawn."""


WHOLE = 0.15
"""How many of the faults strike a run with its figures and its report; in the others it ends with the points."""


def drawn(count: int, seed: int, kind: str) -> list[Fault]:
    """Faults of all families, or of one, in random order; every family has at least one of 24."""
    rng = random.Random(seed)
    names = [kind] if kind else list(FAMILIES)
    weights = [FAMILIES[name][0] for name in names]
    chosen = (names + rng.choices(names, weights, k=max(count - len(names), 0)))[:count]
    faults = [FAMILIES[name][1](rng) for name in chosen]
    faults = [replace(each, whole=each.family == "files: results" or rng.random() < WHOLE) for each in faults]
    rng.shuffle(faults)
    return faults


def lane_of(root: Path, faults: list[Fault], results: "multiprocessing.Queue[Trial | None]") -> None:
    """Try faults one after the other in a folder."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(root.with_name(f"{root.name}-tmp"))
    Path(tempfile.tempdir).mkdir()
    lanes = {whole: Lane(root / ("whole" if whole else "points"), whole) for whole in {fault.whole for fault in faults}}
    try:
        for lane in lanes.values():
            lane.build()
        for fault in faults:
            try:
                results.put(trial(lanes[fault.whole], fault))
            except Exception as error:
                results.put(Trial(fault.family, fault.name, FAILED, f"the trial broke: {error!r}", 0.0))
        for lane in lanes.values():
            lane.reset("new")
    finally:
        results.put(None)


def attempt(faults: list[Fault], lanes: int, folder: Path) -> list[Trial]:
    """Try faults in several folders at once."""
    prepare(make_project(folder / "warm").path)
    fork = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[Trial | None] = fork.Queue()
    running = []
    for number in range(lanes):
        root = folder / f"lane{number}"
        root.mkdir()
        running.append(fork.Process(target=lane_of, args=(root, faults[number::lanes], queue)))
        running[-1].start()
    done: list[Trial] = []
    left = lanes
    while left:
        result = queue.get()
        if result is None:
            left -= 1
            continue
        done.append(result)
        why = f": {result.why}" if result.why else ""
        print(
            f"{len(done):4} {result.family}, {result.name}: {result.outcome}{why} ({result.seconds:.1f} s)", flush=True
        )
    for process in running:
        process.join()
    return done


def main() -> int:
    """Try faults; 1 if one has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=FAMILIES, default="", help="faults of this kind only")
    parser.add_argument("--lanes", type=int, default=2, help="trials at once")
    parser.add_argument("--write", type=Path, help="where to write the page")
    options = parser.parse_args()
    place = options.write and options.write.resolve()  # lanes may change the working directory
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "COLUMNS": "1000"}
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="chaos-")).resolve()  # not one that forked processes remove at their end
    folder.chmod(0o755)
    try:
        done = attempt(drawn(options.faults, options.seed, options.kind), options.lanes, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    elapsed = time.monotonic() - begun
    cpu = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(table(done))
    print(f"{len(done)} faults in {elapsed / 60:.1f} minutes, {cpu / 60:.1f} minutes of CPU time")
    if place:
        place.write_text(page(done, options.seed, elapsed, cpu), "utf-8")
    return int(Counter(each.outcome for each in done)[FAILED] > 0)


if __name__ == "__main__":
    sys.exit(main())
