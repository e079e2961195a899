"""Names that no file can have on Windows."""

DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(10))})
"""Kept for devices, whatever the ending."""


def is_reserved(name: str) -> bool:
    """Whether a file, or a folder, cannot have the name on Windows."""
    return name.partition(".")[0].strip().lower() in DEVICES
