"""The search for unused cycles: rarer in a run, none at its end, and as a person has set it where it is off."""

import gc
import subprocess
import sys

import pytest

from implicit_bias.sweeps.garbage import IMPORTING, THRESHOLDS, search_hardly, search_rarely

SCRIPT = """
import gc, sys
from implicit_bias.sweeps.garbage import search_rarely

class Node:
    def __del__(self):
        print("looked for")

if sys.argv[1] == "hooked":
    search_rarely()
node = Node()
node.itself = node
del node
print("all is done")
"""


@pytest.mark.parametrize(("argument", "said"), [("plain", "all is done\nlooked for\n"), ("hooked", "all is done\n")])
def test_nothing_is_looked_for_when_a_run_has_ended(argument: str, said: str) -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT, argument], capture_output=True, text=True, check=True)
    assert ended.stdout == said


def test_a_search_that_is_off_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atexit.register", lambda _: None)
    before = gc.get_threshold()
    try:
        for search, thresholds in ((search_hardly, IMPORTING), (search_rarely, THRESHOLDS)):
            gc.set_threshold(0)
            search()
            assert gc.get_threshold()[0] == 0
            gc.set_threshold(700, 10, 10)
            search()
            assert gc.get_threshold() == thresholds
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_what_is_there_when_a_run_begins_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atexit.register", lambda _: None)
    before = gc.get_threshold()
    try:
        search_rarely()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
