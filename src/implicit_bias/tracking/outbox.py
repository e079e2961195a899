"""What the tracking store has missed of a run, as a note next to the plan of the sweep."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outbox:
    """What a run has saved of a sweep, kept in a file once the store is lost: a line for all of it, then one a save.

    A run that is killed leaves a note of all that it has saved but the last.

    Attributes:
        path: the file.
        parent: the run in the store that the sweep has started; None if the store was never reached.
        saved: dataset -> the points saved, in their order; none for a dataset that is not of points.
        kept: whether what is saved is noted in the file, too.
    """

    path: Path
    parent: str | None = None
    saved: dict[str, list[str]] = field(default_factory=dict)
    kept: bool = False

    @classmethod
    def beside(cls, plan: Path) -> "Outbox":
        """The outbox of the sweep whose plan is at a path, as the last run has left it."""
        outbox = cls(plan.with_suffix(".unsent.jsonl"))
        if outbox.path.is_file():
            written = outbox.path.read_text(encoding="utf-8")
            first, *later = written.split("\n")[:-1]  # a line that was being written has no end
            note = json.loads(first)
            outbox.parent, outbox.saved = note["parent"], note["saved"]
            for line in later:
                for name, keys in json.loads(line).items():
                    outbox.add(name, keys)
        return outbox

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
        from implicit_bias.sweeps.datasets import replacing

        with replacing(self.path) as file:
            file.write(json.dumps({"parent": self.parent, "saved": self.saved}).encode() + b"\n")
        self.kept = True

    def clear(self) -> None:
        """Forget everything: the store has it."""
        self.parent, self.saved, self.kept = None, {}, False
        self.path.unlink(missing_ok=True)
