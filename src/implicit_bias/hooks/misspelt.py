"""Names of parameters that nothing reads, and those that were meant."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedro.pipeline import Node

PARAMETERS = "params:"
READ_BY_HOOKS = ("tracking",)
CLOSE = 0.75
"""How like what is meant a name is, from 0 to 1."""


def read_by(of: "Callable[[Node], bool]" = lambda _: True) -> set[str]:
    """The parameters that nodes of the registered pipelines read."""
    from kedro.framework.project import pipelines

    nodes = {node for pipeline in dict(pipelines).values() for node in pipeline.nodes if of(node)}
    return parameters_among(name for node in nodes for name in node.inputs)


def parameters_among(names: Iterable[str]) -> set[str]:
    """The names of parameters among those of datasets."""
    return {name.removeprefix(PARAMETERS) for name in names if name.startswith(PARAMETERS)}


def blocks(names: Iterable[str]) -> set[str]:
    """Names with dots and all that is around them: `a.b.c`, `a.b` and `a`."""
    return {name.rsplit(".", depth)[0] for name in names for depth in range(name.count(".") + 1)}


def unread(catalog: Iterable[str], read: Iterable[str]) -> list[str]:
    """Parameters that are not read, nor anything in them or around them; of several in each other the outermost.

    Args:
        catalog: names of datasets, parameters among them.
        read: names of parameters that are read.
    """
    there = [*read, *READ_BY_HOOKS]
    around = blocks(there)
    given = blocks(parameters_among(catalog))
    dead = {
        name for name in given - around if name[0] != "_" and not any(name.startswith(f"{each}.") for each in there)
    }
    return sorted(name for name in dead if not any(name.startswith(f"{other}.") for other in dead))


def meant_by(name: str, catalog: Iterable[str], read: Iterable[str]) -> str:
    """The parameter that a misspelt one stands for: of a similar name, of its name elsewhere, or with what it holds.

    Args:
        name: it is not read.
        catalog: names of datasets, parameters among them.
        read: names of parameters that may be meant.

    Returns:
        its name, or several; "" if there is none like it.
    """
    outer, _, last = name.rpartition(".")
    known, given = blocks(read), blocks(parameters_among(catalog))
    beside = {each.rpartition(".")[2] for each in known if each.rpartition(".")[0] == outer}
    if similar := get_close_matches(last, sorted(beside), n=1, cutoff=CLOSE):
        return f"{outer}.{similar[0]}".lstrip(".")
    held = {each.removeprefix(f"{name}.").partition(".")[0] for each in given if each.startswith(f"{name}.")}
    ends = {each.rpartition(".")[2] for each in known}
    for ending in ([last], held, get_close_matches(last, sorted(ends), n=1, cutoff=CLOSE)):
        if found := sorted(each for each in known if each.rpartition(".")[2] in ending):
            return " or ".join(found)
    return " or ".join(sorted(each for each in given if each.rpartition(".")[2] == last and each.count(".") > 1))
