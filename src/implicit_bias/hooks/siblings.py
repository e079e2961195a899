"""A run among the pipelines of its project: a stage that is run by itself still belongs to its sweep."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.pipeline import Node, Pipeline

PACKAGE = "implicit_bias"


def ours(pipeline: "Pipeline") -> "Pipeline":
    """The nodes of a pipeline whose functions are of this package."""
    from kedro.pipeline import Pipeline

    return Pipeline([node for node in pipeline.nodes if is_ours(node)])


def siblings(pipeline: "Pipeline") -> "dict[str, Pipeline]":
    """Our part of every registered pipeline that shares a node of this package with this one, by name.

    Of a project whose pipelines have none, nothing is looked at but their functions.
    """
    from kedro.framework.project import pipelines

    names = {node.name for node in pipeline.nodes if is_ours(node)}
    if not names:
        return {}
    registered: Mapping[str, Pipeline] = dict(pipelines)
    return {name: ours(each) for name, each in registered.items() if names & {node.name for node in each.nodes}}


def is_ours(node: "Node") -> bool:
    """Whether a node does something of this package."""
    function: Callable[..., Any] = node.func
    return str(getattr(function, "__module__", "")).partition(".")[0] == PACKAGE
