"""A folder in which trials follow each other: the project is put back to a known state before each."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.process import QUICK, Result, finish, run, start, sync, whole
from tests.chaos.store import Contents, contents, statuses
from tests.support.project import make_project

NOBODY = "http://127.0.0.1:9"


@dataclass
class Lane:
    """One project at one path, since a run is continued at its path alone.

    Attributes:
        root: the folder of the lane; the project, and what a trial needs beside it, are in it.
        whole: whether the command is that of the whole pipeline.
        states: name of a state -> a copy of the project in it.
        reference: what an undisturbed run has left.
        cost: CPU seconds of an undisturbed run.
        env: environment variables of the runs of this trial.
        tracked: the folder with the store, if it is not in the project.
    """

    root: Path
    whole: bool = True
    states: dict[str, Path] = field(default_factory=dict)
    reference: Contents | None = None
    cost: float = 0.0
    env: dict[str, str] = field(default_factory=dict)
    tracked: Path | None = None
    ends: list[Callable[[], None]] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.root / "project"

    def build(self) -> None:
        """Make the states: `new`, `empty` (a store without runs), `half`, `finished`, `unsent`."""
        self.root.mkdir(exist_ok=True)
        make_project(self.project)
        self._keep("new")
        before = time.process_time(), os.times().children_user + os.times().children_system
        self._must(self.run())
        self.cost = os.times().children_user + os.times().children_system - before[1]
        self._keep("finished")
        self.reference = contents(self.project)
        self.reset("new")
        self._must(whole(self.project, _make_store))
        self._keep("empty")
        pid = self.start()
        while "FINISHED" not in statuses(self.project):
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        finish(self.project, pid)
        self._keep("half")
        self.reset("empty")
        self._must(self.run(act=partial(run, optional=True), env={"MLFLOW_TRACKING_URI": NOBODY} | QUICK))
        self._keep("unsent")

    def _must(self, result: Result) -> None:
        assert result.well, result.said

    def _keep(self, name: str) -> None:
        self.states[name] = self.root / "states" / name
        shutil.copytree(self.project, self.states[name], symlinks=True)

    def reset(self, state: str) -> None:
        """Put the project back to a state, and end what a trial has started."""
        while self.ends:
            self.ends.pop()()
        self.env, self.tracked = {}, None
        for path in self.root.iterdir():
            if path.name != "states":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.states[state], self.project, symlinks=True)

    def start(self, **how: Any) -> int:
        """Start the command of the trial."""
        return start(self.project, **self._with_env(how))

    def run(self, **how: Any) -> Result:
        """Give the command of the trial, and wait for its end."""
        return whole(self.project, **self._with_env(how))

    def sync(self) -> Result:
        """Send what the store has missed."""
        return self.run(act=sync)

    def _with_env(self, how: Mapping[str, Any]) -> dict[str, Any]:
        act = how.get("act", run)
        act = act if act is sync else partial(act, whole=self.whole)
        return {**how, "act": act, "env": self.env | how.get("env", {})}

    def foreign(self) -> list[str]:
        """What is in the folder of the lane and belongs to no project."""
        known = {"states", "project", "said.log", "server", "away"}
        return sorted(path.name for path in self.root.iterdir() if path.name not in known)


def _make_store(project: Path) -> None:
    from implicit_bias.tracking.store import Store

    Store("sqlite:///mlflow.db", project)
