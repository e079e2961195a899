"""A formula of the theory, broken in one place."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
THEORY = Path("src/implicit_bias/theory")


@dataclass(frozen=True)
class Mutant:
    """One place in the theory, broken.

    Attributes:
        module: the file, below the theory.
        tests: files, below tests/theory, whose tests must notice; the first are run first.
        old: text that occurs once in the file.
        new: what takes its place.
    """

    module: str
    tests: tuple[str, ...]
    old: str
    new: str

    @property
    def applies(self) -> bool:
        """Whether the text still is where it was, once."""
        return (ROOT / THEORY / self.module).read_text("utf-8").count(self.old) == 1


def mutants(module: str, tests: str, *changes: tuple[str, str]) -> list[Mutant]:
    return [Mutant(module, tuple(tests.split()), old, new) for old, new in changes]
