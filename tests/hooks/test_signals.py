"""Signals: one closes what is open, three of Ctrl-C leave at once, and nobody's handler is taken away."""

import os
import signal
import subprocess
import sys
import time

import pytest

from implicit_bias.hooks.signals import ENDING, Signals

SCRIPT = """
import atexit, sys, time
from implicit_bias.hooks.signals import Signals

def close():
    print("closing", flush=True)
    for _ in range(100):
        time.sleep(0.1)

atexit.register(close)
Signals(lambda: True).listen()
print("ready", flush=True)
time.sleep(60)
"""


def heard() -> None:
    """Hear signals as a process that a terminal has started, though this one may ignore some, as under nohup."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def start() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heard,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_third_interrupt_does_not_wait() -> None:
    process = start()
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # the closing goes on
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 128 + signal.SIGINT


@pytest.mark.parametrize("number", ENDING)
def test_a_closed_terminal_ends_as_a_request_does(number: signal.Signals) -> None:
    process = start()
    assert process.stdout is not None
    process.send_signal(number)
    assert process.stdout.readline() == "closing\n"
    process.send_signal(number)
    process.communicate(timeout=5)
    assert process.returncode == -number


def test_handlers_of_others_stay() -> None:
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGINT)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        signals = Signals(lambda: os.getpid() > 0)
        signals.listen()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signals.release()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is before[signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) is before[signal.SIGINT]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
