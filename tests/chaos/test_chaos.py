"""Two dozen faults of all families: none is lost, doubled, stuck or wrong. `make chaos` has hundreds."""

import os
import subprocess
import sys

import pytest

from tests.chaos.__main__ import FAMILIES, drawn
from tests.support.project import REPOSITORY


@pytest.mark.slow
def test_two_dozen_faults() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--faults", "24", "--seed", "17"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1500)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "24 faults in" in result.stdout


def test_every_family_is_drawn_and_a_seed_gives_the_same_faults() -> None:
    first, again = drawn(24, 17, ""), drawn(24, 17, "")
    assert [fault.name for fault in first] == [fault.name for fault in again]
    assert {fault.family.partition(":")[0] for fault in drawn(200, 0, "")} == {
        "signals", "signals at the first run", "signals to workers", "disk", "read-only", "proxies", "files", "hands"
    }  # fmt: skip
    assert len(first) == 24 > len(FAMILIES)
