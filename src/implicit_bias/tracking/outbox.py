"""What the tracking store has missed of a run, as a note next to the plan of the sweep."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from implicit_bias.sweeps.datasets import replacing


@dataclass
class Outbox:
    """What a run has saved of a sweep, kept in a file once the store is lost: a line for all of it, then one a save.

    A run that is killed leaves a note of all that it has saved but the last. Of a damaged note all is kept that can be
    read.

    Attributes:
        path: the file.
        parent: the run in the store that the sweep has started; None if the store was never reached.
        saved: dataset -> the points saved, in their order; none for a dataset that is not of points.
        kept: whether what is saved is noted in the file, too.
        plan: the fingerprint of the plan that the note is about; "" if it does not say.
        damaged: whether a part of the file could not be read.
    """

    path: Path
    parent: str | None = None
    saved: dict[str, list[str]] = field(default_factory=dict)
    kept: bool = False
    plan: str = ""
    damaged: bool = False

    @classmethod
    def beside(cls, plan: Path) -> "Outbox":
        """The outbox of the sweep whose plan is at a path, as the last run has left it."""
        outbox = cls(plan.with_suffix(".unsent.jsonl"))
        if outbox.path.is_file():
            written = outbox.path.read_text(encoding="utf-8", errors="replace")
            *lines, _ = written.split("\n")
            outbox.damaged = not lines
            for number, line in enumerate(lines):  # the last one was being written if it has no end
                outbox._read(_object(line), first=number == 0)
        return outbox

    def _read(self, said: dict[str, Any], first: bool) -> None:
        saved: dict[str, Any] = said.get("saved") if first else said  # type: ignore[assignment]
        if not _names_points(saved) or not isinstance(said.get("parent") if first else None, str | None):
            self.damaged = True
            return
        if first:
            self.parent, self.plan = said.get("parent"), str(said.get("plan", ""))
            self.damaged = self.damaged or bool(said.get("damaged"))
        for name, keys in saved.items():
            self.add(name, keys)

    def add(self, name: str, keys: Iterable[str]) -> None:
        """Remember that a dataset, or points of it, have been saved."""
        new = list(keys)
        self.saved.setdefault(name, []).extend(new)
        if self.kept:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({name: new}) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def write(self) -> None:
        """Keep what is remembered, and from now on what is added."""
        with replacing(self.path) as file:
            said = {"parent": self.parent, "plan": self.plan, "saved": self.saved}
            file.write(json.dumps(said | ({"damaged": True} if self.damaged else {})).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())  # a new file is not waited for otherwise
        self.kept = True

    def clear(self) -> None:
        """Forget everything: the store has it."""
        self.forget()
        self.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remember nothing, and leave the file until it is written again, or cleared."""
        self.parent, self.saved, self.kept, self.damaged = None, {}, False, False


def _object(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _names_points(saved: object) -> bool:
    return (
        isinstance(saved, dict)
        and bool(saved)
        and all(isinstance(keys, list) and all(isinstance(key, str) for key in keys) for keys in saved.values())
    )
