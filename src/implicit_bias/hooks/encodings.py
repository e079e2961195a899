"""Consoles that cannot write every letter."""

import sys


def speak_any_encoding() -> None:
    """Let the console show what it cannot write as a question mark: by default Python ends with an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and getattr(stream, "errors", "") == "strict":
            reconfigure(errors="replace")
