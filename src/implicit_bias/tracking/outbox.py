"""What the tracking store has missed of a run, as a note beside the plan of the sweep."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outbox:
    """What a run has saved of a sweep, kept in a file once the store is lost.

    Attributes:
        path: the file.
        parent: the run in the store that the sweep has started; None if the store was never reached.
        saved: dataset -> the points saved, in their order; none for a dataset that is not of points.
    """

    path: Path
    parent: str | None = None
    saved: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def beside(cls, plan: Path) -> "Outbox":
        """The outbox of the sweep whose plan is at a path, as the last run has left it."""
        outbox = cls(plan.with_suffix(".unsent.json"))
        if outbox.path.is_file():
            note = json.loads(outbox.path.read_text())
            outbox.parent, outbox.saved = note["parent"], note["saved"]
        return outbox

    def add(self, name: str, keys: Iterable[str]) -> None:
        """Remember that a dataset, or points of it, have been saved."""
        known = self.saved.setdefault(name, [])
        known += keys

    def write(self) -> None:
        """Keep what is remembered."""
        from implicit_bias.datasets import replacing

        with replacing(self.path) as file:
            file.write(json.dumps({"parent": self.parent, "saved": self.saved}).encode())

    def clear(self) -> None:
        """Forget everything: the store has it."""
        self.parent, self.saved = None, {}
        self.path.unlink(missing_ok=True)
