"""The root of this package's own exceptions."""


class ImplicitBiasError(Exception):
    """The root of what this package raises by itself; its kinds are also of a fitting kind of Python (ValueError)."""
