"""What a name in the parameters stands for: a row of a registry, or an object of a module by its import path."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import TypeVar

Row = TypeVar("Row")


def named(kind: str, name: str, registry: Mapping[str, Row], row: type[Row]) -> Row:
    """The row of a registry of this name, or the object at the import path `package.module:object`.

    An import path is resolved wherever it is asked for, so that worker processes need no registration of their own.

    Args:
        kind: what the row is, as the error says it.
        name: a key of the registry, or an import path.
        registry: name -> row.
        row: the type that an imported object must have.

    Raises:
        ValueError: there is no such row, the module cannot be imported, it has no such object, or of another type.
    """
    if name in registry:
        return registry[name]
    module, separator, attribute = name.partition(":")
    if not separator:
        close = get_close_matches(name, registry, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        known = ", ".join(registry)
        raise ValueError(f"{kind} must be one of {known}, or a path package.module:object, got {name!r}{meant}")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{kind} {name!r} cannot be imported: {error}") from None
    if not isinstance(found, row):
        raise ValueError(f"{kind} {name!r} must be a {row.__module__}.{row.__name__}, got {type(found).__name__}")
    return found


def modules(names: Iterable[str]) -> list[str]:
    """Modules outside this package that names come from by their import paths."""
    return sorted({name.partition(":")[0] for name in names if ":" in name})


def written_in(functions: Iterable[Callable[..., object]]) -> list[str]:
    """Modules that have the code of functions, or of the classes of callable objects; compiled ones have none."""
    found = set()
    for function in functions:
        while isinstance(function, partial):
            function = function.func
        if hasattr(function, "__code__"):
            found.add(function.__module__)
        elif hasattr(type(function).__call__, "__code__"):
            found.add(type(function).__module__)
    return sorted(found)
