"""One name for one thing: no public class or function of the package is defined in two modules."""

import ast
from collections import defaultdict

from tests.support.project import REPOSITORY

SOURCE = REPOSITORY / "src/implicit_bias"

APART = ("theory/networks/", "theory/claims/", "pipelines/kinds/")
"""Folders with the same for each kind of network, and claims, which are checked by functions of the same name."""

PROTOCOLS = {"create_pipeline", "command"}
"""What Kedro, or the command line, asks of every module of a kind."""


def test_no_public_name_means_two_things() -> None:
    defined = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(APART):
            for each in ast.parse(path.read_text("utf-8")).body:
                if isinstance(each, ast.FunctionDef | ast.ClassDef) and not each.name.startswith("_"):
                    defined[each.name].append(name)
    assert len(defined) > 500
    assert {name: modules for name, modules in defined.items() if len(modules) > 1 and name not in PROTOCOLS} == {}
