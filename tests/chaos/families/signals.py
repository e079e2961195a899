"""Signals at random moments of a run: to the main process, to its group, or to one of its workers."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.lane import Lane
from tests.chaos.process import finish, run
from tests.support.kills import cpu, workers_of

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STATES = ("empty", "empty", "half", "finished")
PATIENT = 60.0
"""Seconds within which a run ends after a signal; three times Ctrl-C end it within 10."""


def draw(rng: random.Random) -> Fault:
    """A signal, or three, at a random part of the CPU time of a run that begins, goes on, or is repeated."""
    state, moment = rng.choice(STATES), rng.random()
    number = rng.choice(SIGNALS)
    if rng.random() < 0.25:
        gaps = sorted(rng.uniform(0, 0.5) for _ in range(2))
        return Fault("signals", f"three SIGINT {state} {moment:.2f}", state, partial(_thrice, moment, gaps))
    return Fault("signals", f"{number.name} {state} {moment:.2f}", state, partial(_once, number, moment))


def draw_new(rng: random.Random) -> Fault:
    """A signal while MLflow makes its tables."""
    number, seconds = rng.choice(SIGNALS), rng.uniform(0.05, 2.5)
    return Fault("signals at the first run", f"{number.name} {seconds:.2f} s", "new", partial(_after, number, seconds))


def draw_worker(rng: random.Random) -> Fault:
    """A signal to a worker process."""
    number, delay = rng.choice((signal.SIGKILL, signal.SIGTERM)), rng.uniform(0, 1.5)
    return Fault("signals to workers", f"{number.name} {delay:.2f} s", "empty", partial(_to_worker, number, delay))


def _wait(lane: Lane, pid: int, due: Callable[[], bool]) -> bool:
    """Wait until a signal is due; whether the run is still there."""
    while not due():
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        time.sleep(0.001)
    return True


def _end(lane: Lane, pid: int, limit: float) -> list[str]:
    result = finish(lane.project, pid, limit)
    return [result.complaint] if result.complaint else []


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if number == signal.SIGINT else os.kill)(pid, number)


def _once(number: int, moment: float, lane: Lane) -> list[str]:
    pid = lane.start()
    if _wait(lane, pid, lambda: cpu(pid) >= moment * lane.cost):
        _send(pid, number)
    return _end(lane, pid, PATIENT)


def _thrice(moment: float, gaps: list[float], lane: Lane) -> list[str]:
    pid = lane.start()
    if _wait(lane, pid, lambda: cpu(pid) >= moment * lane.cost):
        begun = time.monotonic()
        _send(pid, signal.SIGINT)
        for gap in gaps:
            time.sleep(max(0.0, begun + gap - time.monotonic()))
            _send(pid, signal.SIGINT)
        return _end(lane, pid, 10)
    return _end(lane, pid, PATIENT)


def _after(number: int, seconds: float, lane: Lane) -> list[str]:
    pid, due = lane.start(), time.monotonic() + seconds
    if _wait(lane, pid, lambda: time.monotonic() >= due):
        _send(pid, number)
    return _end(lane, pid, PATIENT)


def _to_worker(number: int, delay: float, lane: Lane) -> list[str]:
    pid = lane.start(act=partial(run, workers=2))
    if _wait(lane, pid, lambda: bool(workers_of(Path(lane.project)))):
        time.sleep(delay)
        for worker in sorted(workers_of(lane.project))[:1]:
            with suppress(ProcessLookupError):
                os.kill(int(worker), number)
    return _end(lane, pid, 90)
