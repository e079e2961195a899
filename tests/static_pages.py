"""Makes kedro-viz's static pages fit for any web server: they ask no other machine and hold no path of this one.

    python tests/static_pages.py build

Paths of the project and of this package become relative.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import implicit_bias

FONTS = "fonts.g"
"""In the lines that ask Google for a font."""


def clean(build: Path, project: Path) -> None:
    """Clean the pages in a folder, made of a project."""
    page = build / "index.html"
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    page.write_text("".join(line for line in lines if FONTS not in line), encoding="utf-8")
    package = Path(implicit_bias.__file__).parents[1]
    roots = {str(root) for each in (project, package) for root in (each.absolute(), each.resolve())}
    for path in build.joinpath("api").rglob("*"):
        if path.is_file():
            path.write_text(relative(path.read_text(encoding="utf-8"), roots), encoding="utf-8")


def relative(text: str, roots: Iterable[str]) -> str:
    """A text of JSON without these beginnings of paths."""
    for root in sorted(roots, key=len, reverse=True):
        for separator in ("/", "\\"):
            text = text.replace(f'"{json.dumps(root + separator)[1:-1]}', '"')
    return text


if __name__ == "__main__":
    clean(Path(sys.argv[1]), Path.cwd())
