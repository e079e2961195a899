"""Python's search for objects that only refer to each other: rarer in this project's processes, not at their end."""

import atexit
import gc

THRESHOLDS = (20_000, 20, 50)
"""New objects per search among the youngest; searches per search among those that outlive one, and two.

With MLflow or SciPy imported there are hundreds of thousands of objects to look through, and next to none to be found.
"""


def search_rarely() -> None:
    """Spare this process most of the time that it would spend on the search, of which half comes after all is done."""
    if gc.get_threshold()[0]:  # a person may have switched it off
        gc.set_threshold(*THRESHOLDS)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # what is left then goes with the process
