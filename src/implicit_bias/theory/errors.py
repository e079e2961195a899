"""The root of what this package raises by itself."""


class ImplicitBiasError(Exception):
    """Something that this package says is wrong; its kinds are also of a fitting kind of Python (ValueError)."""
