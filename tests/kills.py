"""Runs of a project that are killed on the way: `python -m tests.kills SEED KILLS PROJECT ...`.

Every run is a process of its own, in a process group of its own, forked from this one, which has imported everything:
thirty runs cost what a few commands cost. A run is killed when it has used a random part of the CPU time of a whole
one, so that the moments do not depend on how busy the machine is. The run of the first project is left alone.
"""

import os
import random
import signal
import sys
import time
import uuid
from importlib import import_module
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TICK = os.sysconf("SC_CLK_TCK")


def run(project: Path) -> None:
    """What a killed process is: an ordinary run, in the current process."""
    from kedro.framework.session import KedroSession

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(project)
    parameters = {"width_sweep": {"widths": "20 30 40", "workers": 1}}
    with KedroSession.create(project, env="smoke", runtime_params=parameters) as session:
        session.run(pipeline_names=["width_sweep"], to_nodes=["width_sweep.evaluate_points"])


def start(project: Path) -> int:
    """Fork a run, and return its pid; in the child, never return."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        log = os.open(project / "runs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        run(project)
        sys.exit()
    return pid


def cpu(pid: int) -> float:
    """CPU seconds of a process that has not been waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def whole(project: Path) -> float:
    """CPU seconds of a run that is left alone."""
    _, status, usage = os.wait4(start(project), 0)
    assert os.waitstatus_to_exitcode(status) == 0, (project / "runs.log").read_text()
    return usage.ru_utime + usage.ru_stime


def killed(project: Path, number: int, after: float) -> bool:
    """Send a signal to the group of a run after so many CPU seconds; whether it was still there."""
    pid = start(project)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, (project / "runs.log").read_text()
            return False
        if cpu(pid) >= after:
            break
        time.sleep(0.002)
    os.killpg(pid, number)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) != 0


def warm(project: Path) -> None:
    """Import what a run imports, so that forked runs need not."""
    from kedro.framework.startup import bootstrap_project

    sys.modules["polars"] = None  # type: ignore[assignment]  # MLflow imports it; its threads do not survive a fork
    for name in ("figures", "pipeline_registry", "tracking.store"):
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


def main(seed: int, kills: int, projects: list[Path]) -> None:
    """Leave the run of the first project alone; in each of the others kill runs, damage a file, and leave one alone."""
    warm(projects[0])
    rng = random.Random(seed)
    whole_cost = whole(projects[0])
    print(f"a whole run takes {whole_cost:.2f} s", flush=True)
    for project in projects[1:]:
        cost, left = whole_cost, kills
        while left:
            number, after = rng.choice(SIGNALS), rng.uniform(0, 1) * cost
            was = killed(project, number, after)
            print(f"{number.name} after {after:.2f} s: {'killed' if was else 'it had finished'}", flush=True)
            left -= was
            cost *= 1 if was else 0.7  # what is left to do takes less and less
        print(damage(project, rng), flush=True)
        print(f"finished in {whole(project):.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [Path(folder).resolve() for folder in sys.argv[3:]])
