"""Signals that end a run: once to close what is open, again to leave."""

import logging
import os
import signal
import threading
from collections.abc import Callable

ENDING = tuple(number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None)
"""A request to end, and a terminal that was closed."""
PATIENCE = 3
"""The Ctrl-C that does not wait for anything."""

logger = logging.getLogger(__name__)


class Signals:
    """Lets SIGTERM and SIGHUP end the main thread as Ctrl-C does, and the third Ctrl-C end the process at once.

    A second Ctrl-C is heard and not obeyed: it would break the closing of runs, or the wait for workers, in the middle.
    Whoever handles a signal already, or ignores it as `nohup` does, keeps it.

    Args:
        concerns: whether this process has a run to close; a forked worker has none.
    """

    def __init__(self, concerns: Callable[[], bool]) -> None:
        self._concerns = concerns
        self._interrupts = 0

    def listen(self) -> None:
        """Take the signals that nobody handles, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._interrupts = 0
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._end)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def release(self) -> None:
        """Give the signals back."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in ENDING:
            if signal.getsignal(number) == self._end:
                signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) == self._interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _end(self, number: int, frame: object) -> None:
        """Leave as from Ctrl-C, so that what is open is closed; a second signal ends the process at once."""
        signal.signal(number, signal.SIG_DFL)
        if not self._concerns():
            os.kill(os.getpid(), number)
        raise SystemExit(128 + number)

    def _interrupt(self, number: int, frame: object) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            raise KeyboardInterrupt
        if self._interrupts >= PATIENCE:  # exit handlers would wait for workers that ignore it
            os._exit(128 + number)
        logger.warning("What is open is being closed; a third Ctrl-C leaves at once")
