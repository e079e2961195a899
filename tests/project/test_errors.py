"""Every exception of the package has one root, and a kind of Python's that fits."""

import ast
import builtins
from pathlib import Path

import implicit_bias

ROOT = "ImplicitBiasError"


def test_every_exception_has_the_root_and_a_base_of_python() -> None:
    bases = {}
    for path in Path(implicit_bias.__file__).parent.rglob("*.py"):
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(each, ast.ClassDef):
                bases[each.name] = [base.id for base in each.bases if isinstance(base, ast.Name)]

    def ancestors(name: str) -> set[str]:
        return {name}.union(*map(ancestors, bases.get(name, ())))

    def is_exception(name: str) -> bool:
        kind = getattr(builtins, name, None)
        return isinstance(kind, type) and issubclass(kind, Exception)

    raised = {name: ancestors(name) for name in bases if name != ROOT and any(map(is_exception, ancestors(name)))}
    assert len(raised) > 10
    for name, above in raised.items():
        assert ROOT in above, name
        assert any(is_exception(each) and each != "Exception" for each in above), name
