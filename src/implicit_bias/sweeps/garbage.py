"""Python's search for objects that only refer to each other: rarer in this project's processes, not at their end."""

import atexit
import gc

THRESHOLDS = (20_000, 20, 50)
"""New objects per search among the youngest; searches per search among those that outlive one, and two.

With MLflow or SciPy imported there are hundreds of thousands of objects to look through, and next to none to be found.
"""
IMPORTING = (1_000_000, 20, 50)
"""The same while modules are imported, which make a million objects that stay."""


def search_hardly() -> None:
    """Next to never search, as long as modules are imported."""
    _search(IMPORTING)


def search_rarely() -> None:
    """Search rarely from now on, not among the objects that are there by now, and not when the process ends."""
    _search(THRESHOLDS)
    gc.freeze()
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # what is left then goes with the process


def _search(thresholds: tuple[int, int, int]) -> None:
    if gc.get_threshold()[0]:  # a person may have switched it off
        gc.set_threshold(*thresholds)
