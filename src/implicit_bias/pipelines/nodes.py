"""Nodes that have the names of their functions."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node


def node(function: Callable[..., Any], inputs: str | list[str], outputs: str | list[str] | None) -> Node:
    """The node of a function; the inputs are its arguments in their order."""
    return Node(function, inputs=inputs, outputs=outputs, name=function.__name__)
