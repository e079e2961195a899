"""How the source is built, in numbers: `python -m tests.house [REVISION ...]`, of the working tree by default.

Rooms are the folders and loose modules below `implicit_bias`; the arrows between them are imports, those for type
checkers left out. Lines are those of .py files. `LATER` are the files of features that came after the tree was redrawn;
of a file that has both, all lines count among the first ones.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGE = "src/implicit_bias/"

LATER = re.compile(
    r"(theory/networks|pipelines/kinds|sweeps/kinds)/(deep|activation|general)[/.]"
    r"|theory/networks/(vector_flow|vectors|kind|registry)\.py"
    r"|theory/(claims/depth|solvers/(momentum|narrow|orbit))\.py"
    r"|figures/(rows/)?(depth|scales|activations|general)\.py"
)
"""Deep networks, activations and networks of any kind, momentum, and the collocation of narrow networks."""

APART = ("theory/networks/", "theory/claims/", "pipelines/kinds/")
"""Folders with the same for each kind of network, and claims, which are checked by functions of the same name."""
PROTOCOLS = {"create_pipeline", "command"}
"""What Kedro, or the command line, asks of every module of a kind."""
UNTYPED = re.compile(r"\b(?:dict|Mapping)\[str, Any\]|: dict\b(?!\[)|-> (?:dict|Any)\b(?!\[)")

Tree = Mapping[str, str]
"""Path below the package -> text of a .py file."""


def working_tree() -> Tree:
    """The source as it is."""
    folder = ROOT / PACKAGE
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))}


def revision(name: str) -> Tree:
    """The source as it was."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout

    paths = git("ls-tree", "-r", "--name-only", name, PACKAGE).splitlines()
    return {path.removeprefix(PACKAGE): git("show", f"{name}:{path}") for path in paths if path.endswith(".py")}


def room(path: str) -> str:
    """The folder below the package, or the module at its root, that a path belongs to."""
    return path.partition("/")[0].removesuffix(".py")


def rooms(tree: Tree) -> set[str]:
    """All rooms; the package's own module is none."""
    return {room(path) for path in tree} - {"__init__"}


def arrows(tree: Tree) -> set[tuple[str, str]]:
    """Pairs of rooms of which the first imports from the second."""
    known = rooms(tree)
    found = {(room(path), target) for path, text in tree.items() for target in _imported(ast.parse(text))}
    return {(here, there) for here, there in found if here in known and there in known and here != there}


def _imported(node: ast.AST) -> Iterator[str]:
    """The rooms that a module imports from, wherever in it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and (module := child.module or "").startswith("implicit_bias"):
            inside = module.split(".")[1:2]
            yield from inside or [alias.name for alias in child.names]
        yield from _imported(child)


def homonyms(tree: Tree) -> dict[str, list[str]]:
    """Public classes and functions that two modules define -> the modules."""
    defined = defaultdict(list)
    for path, text in tree.items():
        if not path.startswith(APART):
            for each in ast.parse(text).body:
                if isinstance(each, ast.FunctionDef | ast.ClassDef) and not each.name.startswith("_"):
                    defined[each.name].append(path)
    return {name: paths for name, paths in defined.items() if len(paths) > 1 and name not in PROTOCOLS}


def untyped(tree: Tree) -> list[str]:
    """Functions of the stages that take or give a dictionary of anything: their place."""
    found = []
    for path, text in tree.items():
        if path.startswith("pipelines/"):
            for each in ast.walk(ast.parse(text)):
                if isinstance(each, ast.FunctionDef) and UNTYPED.search(_signature(each)):
                    found.append(f"{path}: {each.name}")
    return found


def _signature(function: ast.FunctionDef) -> str:
    """The annotations of a function of a stage; what Kedro asks of `create_pipeline`, and figures, are its own."""
    arguments = [each for each in (*function.args.args, *function.args.kwonlyargs) if each.annotation]
    said = [f"{each.arg}: {ast.unparse(each.annotation)}" for each in arguments if each.annotation]
    given = ast.unparse(function.returns) if function.returns else ""
    return ", ".join(said) + (f" -> {given}" if given != "Any" else "")


def lines(tree: Tree) -> dict[str, int]:
    """Path -> number of lines."""
    return {path: text.count("\n") for path, text in tree.items()}


def described(tree: Tree) -> dict[str, str]:
    """What is counted -> the number, as it is printed."""
    counted = lines(tree)
    earlier = {path: count for path, count in counted.items() if not LATER.search(path)}
    largest = max(counted, key=lambda path: counted[path])
    return {
        "folders and loose modules at the root": str(len(rooms(tree))),
        "arrows between them": str(len(arrows(tree))),
        "lines": f"{sum(counted.values()):,}",
        "of them for the features of before": f"{sum(earlier.values()):,}",
        "median file, lines": f"{median(counted.values()):g}",
        "largest file, lines": f"{counted[largest]}",
        "public names with two meanings": str(len(homonyms(tree))),
        "functions of stages with untyped records": str(len(untyped(tree))),
    }


if __name__ == "__main__":
    columns = [described(revision(name)) for name in sys.argv[1:]] + [described(working_tree())]
    for row in columns[-1]:
        print(f"{row:45}" + "".join(f"{column[row]:>10}" for column in columns))
