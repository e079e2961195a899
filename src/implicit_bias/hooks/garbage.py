"""Python's search for objects that only refer to each other: rarer in runs of this project, and not at their end."""

import atexit
import gc

from kedro.framework.hooks import hook_impl

THRESHOLDS = (20_000, 20, 50)
"""New objects per search among the youngest; searches per search among those that outlive one, and two.

With MLflow and Matplotlib imported, there are a million objects to look through, and the search never finds much.
"""


class GarbageHooks:
    """Spares a run most of the time that it would spend on the search, of which a third comes after all is done."""

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        if gc.get_threshold()[0]:  # a person may have switched it off
            gc.set_threshold(*THRESHOLDS)
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)  # what is left then goes with the process
