"""Notebooks: a run that is interrupted there ends with its cell, although its process lives on and no hook is told."""

import sys
import threading
from collections.abc import Callable
from typing import Any


def after_this_cell(act: Callable[[], None]) -> None:
    """Call a function once, when the cell that is being run in IPython has ended, however it has; elsewhere never."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or threading.current_thread() is not threading.main_thread():  # a thread may outlive its cell
        return

    def once(*_: Any) -> None:
        shell.events.unregister("post_run_cell", once)
        act()

    shell.events.register("post_run_cell", once)
