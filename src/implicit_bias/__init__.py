"""Implicit bias of overparametrised single-hidden-layer linear networks trained under gradient flow."""

from typing import TYPE_CHECKING, Any

from implicit_bias.errors import ImplicitBiasError

if TYPE_CHECKING:
    from implicit_bias.pipelines.own_data import create_pipeline

__version__ = "0.1.0"
__all__ = ["ImplicitBiasError", "__version__", "create_pipeline"]


def __getattr__(name: str) -> Any:
    """`create_pipeline`, imported when it is asked for: the library needs no Kedro."""
    if name != "create_pipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from implicit_bias.pipelines.own_data import create_pipeline

    return create_pipeline
