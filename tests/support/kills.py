"""Runs of a project that are killed: `python -m tests.support.kills random SEED KILLS PROJECT ...`, or `moments`.

Every run is a process of its own, in a process group of its own, forked from this one, which has imported everything:
dozens of runs cost what a few commands cost. Ctrl-C reaches the whole group, its worker processes among them; other
signals reach the main process alone.

Random moments are a random part of the CPU time of a whole run, so that they do not depend on how busy the machine is.
Chosen moments are seen from outside, in the files and the database of the project, as soon as there is a new sign of
them. The run of the first project is left alone.
"""

import os
import random
import signal
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TICK = os.sysconf("SC_CLK_TCK")
GONE = 60.0
"""Seconds in which the workers of a killed run end: many looks of theirs, on a busy machine."""

TRIES = 3
"""Runs that may end before they are killed at a moment near their end."""

Signs = Callable[[Path], set[Any]]
"""What is to be seen of a moment in a project; the moment is there when there is more of it."""

POINTS = {"to_nodes": ["width_sweep.evaluate_points"]}
"""What is left out of the runs that are killed at random moments: the figures at the end."""


def run(project: Path, workers: int, **part: Any) -> None:
    """What a killed process is: an ordinary run, in the current process."""
    from kedro.framework.session import KedroSession

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(project)
    parameters = {"width_sweep": {"widths": "20 30 40", "workers": workers}}
    with KedroSession.create(project, env="smoke", runtime_params=parameters) as session:
        session.run(pipeline_names=["width_sweep"], **part)


def start(project: Path, workers: int = 1, **part: Any) -> int:
    """Fork a run, and return its pid; in the child, never return."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        log = os.open(project / "runs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        run(project, workers, **part)
        sys.exit()
    return pid


def group(leader: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(its) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def cpu(pid: int) -> float:
    """CPU seconds of a process that has not been waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def whole(project: Path, workers: int = 1, **part: Any) -> float:
    """CPU seconds of a run that is left alone."""
    _, status, usage = os.wait4(start(project, workers, **part), 0)
    assert os.waitstatus_to_exitcode(status) == 0, (project / "runs.log").read_text()
    return usage.ru_utime + usage.ru_stime


def killed(project: Path, pid: int, number: int, due: Callable[[], bool]) -> bool:
    """Send a signal to a run as soon as it is due; whether it was still there. Its workers are gone afterwards."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, (project / "runs.log").read_text()
            return False
        if due():
            break
        time.sleep(0.001)
    (os.killpg if number == signal.SIGINT else os.kill)(pid, number)
    _, status = os.waitpid(pid, 0)
    until = time.monotonic() + GONE
    while left := group(pid):
        assert time.monotonic() < until, f"{number.name} has left the processes {left}"
        time.sleep(0.05)
    return os.waitstatus_to_exitcode(status) != 0


def files(pattern: str, project: Path) -> set[Any]:
    """Files of a pattern, each again when it is written again."""
    found = set()
    for path in (project / "data/smoke").glob(pattern):
        try:
            found.add((path, path.stat().st_mtime_ns))
        except FileNotFoundError:  # it has just been renamed
            found.add((path, 0))
    return found


def tracked(condition: str, project: Path) -> set[Any]:
    """Tracked runs of which a condition holds, in SQL."""
    child = "EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'implicit_bias.point')"
    query = f"SELECT run_uuid FROM runs r WHERE {condition.format(child=child)}"
    with closing(sqlite3.connect(f"file:{project / 'mlflow.db'}?mode=ro", uri=True)) as database:
        return set(database.execute(query))


def workers_of(project: Path) -> set[Any]:
    """Worker processes that compute for a project."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"LokyProcess" in (path / "cmdline").read_bytes() and (path / "cwd").readlink() == project:
                found.add(path.name)
        except OSError:
            continue
    return found


MOMENTS: dict[str, Signs] = {
    "the plan is in its file, no run is started": partial(files, "05_model_input/width_plan.json"),
    "the parent run is there, without its points": partial(tracked, "NOT {child}"),
    "worker processes are alive": workers_of,
    "a file of a point is being written": partial(files, "0*/width/.*.tmp"),
    "a trained point is in its file, not in the store": partial(files, "06_models/width/*.npz"),
    "a trained point is in the store": partial(tracked, "{child}"),
    "an evaluated point is in its file, not in the store": partial(files, "07_model_output/width/*.npz"),
    "a point is finished in the store": partial(tracked, "{child} AND status = 'FINISHED'"),
    "the first figure is drawn": partial(files, "08_reporting/width_figure.png"),
    "the report is written, the parent has not ended": partial(files, "08_reporting/report.html"),
}
"""Moments of a run, in their order."""


def warm(project: Path) -> None:
    """Import what a run imports, so that forked runs need not."""
    from kedro.framework.startup import bootstrap_project

    sys.modules["polars"] = None  # type: ignore[assignment]  # MLflow imports it; its threads do not survive a fork
    for name in ("figures", "figures.interactive", "pipeline_registry", "tracking.store"):
        import_module(f"implicit_bias.{name}")
    for name in ("mlflow.store.tracking.sqlalchemy_store", "kedro_datasets.partitions", "kedro_datasets.json"):
        import_module(name)
    bootstrap_project(project)


def damage(project: Path, rng: random.Random) -> str:
    """What a power loss may do: a file of a point loses its end or a bit, and one that was being written stays."""
    files = sorted(path for path in (project / "data").rglob("*-seed=*") if path.suffix in (".npz", ".png"))
    if not files:
        return "nothing to damage"
    path = rng.choice(files)
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    if rng.random() < 0.5:
        del content[at:]
    else:
        content[at] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    (path.parent / f".{uuid.UUID(int=at).hex}.tmp").write_bytes(content[:at])
    return f"damaged {path.relative_to(project)} at byte {at}"


def at_random(seed: int, kills: int, projects: list[Path]) -> None:
    """Leave the run of the first project alone; in each of the others kill runs, damage a file, and leave one alone."""
    rng = random.Random(seed)
    whole_cost = whole(projects[0], **POINTS)
    print(f"a whole run takes {whole_cost:.2f} s", flush=True)
    for project in projects[1:]:
        cost, left = whole_cost, kills
        while left:
            number, after = rng.choice(SIGNALS), rng.uniform(0, 1) * cost
            pid = start(project, **POINTS)
            was = killed(project, pid, number, lambda pid=pid, after=after: cpu(pid) >= after)
            print(f"{number.name} after {after:.2f} s: {'killed' if was else 'it had finished'}", flush=True)
            left -= was
            cost *= 1 if was else 0.7  # what is left to do takes less and less
        print(damage(project, rng), flush=True)
        print(f"finished in {whole(project, **POINTS):.2f} s", flush=True)


def at_moments(projects: list[Path]) -> None:
    """Leave the run of the first project alone; in the two others kill one run at a moment, and leave the last alone.

    In one of them runs are killed at each moment, by SIGKILL; in the other at every second one, by the signals that a
    process can hear.
    """
    whole(projects[0])
    moments = list(MOMENTS.items())
    for project, signals, its in zip(projects[1:], (SIGNALS[:1], SIGNALS[1:]), (moments, moments[1::2]), strict=True):
        for place, (moment, signs) in enumerate(its):
            number, was, tries = signals[place % len(signals)], False, 0
            while not was and tries < TRIES:  # the end of a run may be faster than we are
                before = signs(project)
                pid = start(project, workers=2 if signs is workers_of else 1)
                was = killed(project, pid, number, lambda signs=signs, seen=before, at=project: bool(signs(at) - seen))
                tries += 1
            print(f"{number.name} when {moment}: {'killed' if was else 'it had finished'}", flush=True)
        whole(project)


if __name__ == "__main__":
    how, *numbers = (argument for argument in sys.argv[1:] if not Path(argument).exists())
    projects = [Path(folder).resolve() for folder in sys.argv[1:] if Path(folder).exists()]
    warm(projects[0])
    if how == "random":
        at_random(int(numbers[0]), int(numbers[1]), projects)
    else:
        at_moments(projects)
