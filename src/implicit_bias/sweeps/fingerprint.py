"""Fingerprints: digests of everything that determines the record of a point, so that a stale one is never reused."""

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

NUMERICS = ("implicit_bias.theory", "implicit_bias.figures", "implicit_bias.pipelines")
"""Packages whose code determines records; a stage imports those before it, whose code determines its own, too."""

LIBRARIES = ("numpy", "scipy")
"""Libraries whose version does: their streams of random numbers, and the last bits of their linear algebra."""


def digest(content: Any) -> str:
    """A digest of anything JSON holds, of arrays, and of mappings of both."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=_of_array).encode()).hexdigest()[:32]


@cache
def numerics(*modules: str) -> str:
    """The version of the numerics behind modules of this package.

    A digest of their code, of the code in NUMERICS that they reach by imports, and of the versions of LIBRARIES.
    Comments, docstrings and layout do not count.
    """
    code = {name: _code(name)[0] for name in reached(*modules)}
    return digest([code, [version(name) for name in LIBRARIES]])


def reached(*modules: str) -> tuple[str, ...]:
    """These modules, and those in NUMERICS that they reach by imports."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += (other for other in _code(name)[1] if other.startswith(NUMERICS))
    return tuple(sorted(found))


def sources(modules: Iterable[str]) -> str:
    """A digest of the files of modules, each as this process has first seen it.

    A process first looks at a module when it has just imported it, so that the digest is that of the code it runs,
    whatever becomes of the files later.
    """
    return digest([_source_digest(name) for name in modules])


def look_at_sources() -> None:
    """Look at the modules in NUMERICS that this process has just imported, so that `sources` knows their code."""
    sources([name for name in list(sys.modules) if name.startswith(NUMERICS)])


def _of_array(value: Any) -> Any:
    """What stands for a value that JSON does not hold."""
    if isinstance(value, Mapping):
        return dict(value)
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"{type(value).__name__} has no digest")
    return [array.dtype.str, array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]


@cache
def _source_digest(module: str) -> str:
    return hashlib.sha256(_source(module)).hexdigest()


@cache
def _source(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the source of {module} is needed to tell the version of the numerics")
    return Path(spec.origin).read_bytes()


@cache
def _code(module: str) -> tuple[str, frozenset[str]]:
    """Digest of a module's code, and the modules of this package that it imports."""
    tree, imports = ast.parse(_source(module)), set[str]()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(NUMERICS):
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            imports.update(name if _is_module(name) else node.module for name in inner)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(imports)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A module or a statement, and all statements in it: a tenth of the nodes of its tree."""
    yield node
    for part in ("body", "orelse", "handlers", "finalbody", "cases"):
        for each in getattr(node, part, ()):
            yield from _statements(each)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what it is in is no package
        return False
