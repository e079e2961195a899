"""Do the tests notice a wrong formula? Each mutant breaks a sign, a pairing or a factor of the theory in one place.

    python -m tests.mutation [--only bounds.py] [--write docs/mutation.md]

runs, for each mutant, the quick tests of the module it is in on a temporary copy, until one fails. Every mutant must be
killed, by a test that fails.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutants import activation, deep, two_layer
from tests.mutants.mutant import ROOT, THEORY, Mutant

SECONDS = 900
"""A mutant whose tests run longer than this hangs, which kills it, too."""


MUTANTS = [*two_layer.MUTANTS, *deep.MUTANTS, *activation.MUTANTS]


@contextmanager
def copy() -> Iterator[Path]:
    """A temporary copy of sources and tests."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "tests"):
            shutil.copytree(
                ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield Path(folder)


def run(folder: Path, tests: tuple[str, ...]) -> str:
    """Name of the first test that fails in the copy; "" if all pass.

    Raises:
        RuntimeError: the tests could not be run.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = [f"tests/theory/{name}" for name in tests]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        result = subprocess.run(
            [*command, *files], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return "none in time"
    if result.returncode == 0:
        return ""
    failed = re.search(r"^FAILED tests/theory/([^\s\[]+)", result.stdout, re.MULTILINE)
    if result.returncode != 1 or failed is None:
        raise RuntimeError(f"the tests could not be run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return failed[1]


def killer(folder: Path, mutant: Mutant) -> str:
    """Name of the test that kills a mutant in the copy, "" if it survives."""
    file = folder / THEORY / mutant.module
    whole = file.read_text("utf-8")
    file.write_text(whole.replace(mutant.old, mutant.new), "utf-8")
    try:
        return run(folder, mutant.tests)
    finally:
        file.write_text(whole, "utf-8")


HEAD = """# Mutations

Written by `make mutate`; do not edit. Each row breaks a sign, a pairing or a factor of the theory in one place, and
runs the quick tests of its module on a copy until one fails. **{killed} of {count} mutants killed.** The list has
{listed}.

| module | code | broken | killed by |
|---|---|---|---|
"""


def page(outcome: list[tuple[Mutant, str]]) -> str:
    """The outcome as a page in Markdown."""

    def cell(text: str) -> str:
        return f"`{' '.join(text.split())}`".replace("|", "\\|")

    rows = [
        f"| {mutant.module} | {cell(mutant.old)} | {cell(mutant.new)} | {cell(test) if test else '**survives**'} |"
        for mutant, test in outcome
    ]
    return (
        HEAD.format(killed=sum(bool(test) for _, test in outcome), count=len(outcome), listed=len(MUTANTS))
        + "\n".join(rows)
        + "\n"
    )


def main() -> int:
    """Run the mutants; 1 if one survives or is no longer there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants of this module, such as bounds.py")
    parser.add_argument("--write", type=Path, help="where to write the page")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.module]
    lost = [mutant for mutant in chosen if not mutant.applies]
    for mutant in lost:
        print(f"no longer there: {mutant.module}: {mutant.old}", flush=True)
    outcome = []
    with copy() as folder:
        for mutant in chosen:
            if mutant.applies:
                test = killer(folder, mutant)
                outcome.append((mutant, test))
                print(f"{mutant.module}: {mutant.new}: {test or 'SURVIVES'}", flush=True)
    if options.write:
        options.write.write_text(page(outcome), "utf-8")
    return int(bool(lost) or not all(test for _, test in outcome))


if __name__ == "__main__":
    sys.exit(main())
