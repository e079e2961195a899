"""Lines that a project of somebody else needs in files of its own: the dependency, and what git is to leave out."""

import re
from importlib.metadata import version
from pathlib import Path

PACKAGE = "kedro-implicit-bias"
IGNORED = ("/mlflow.db*", "/mlruns/", "/compare.png", "/report.html")
"""What runs and commands leave in the folder of a project, beside data/."""


def requirement() -> str:
    """The dependency, on versions that work as this one does."""
    major, minor = version(PACKAGE).split(".")[:2]
    return f"{PACKAGE}~={major}.{minor}"


def additions(project: Path) -> dict[Path, str]:
    """File -> what it will be with the lines it lacks, for those that lack some."""
    wanted = _with_dependency(project), _with_ignored(project)
    return {path: content for path, content in wanted if content != text_of(path)}


def text_of(path: Path) -> str:
    """What a file holds, "" if it is not there."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _with_dependency(project: Path) -> tuple[Path, str]:
    """requirements.txt, or pyproject.toml where it lists dependencies itself; as it is if the package is there."""
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    listed = re.search(r"(?m)^\[project\]\n(?:(?!\[).*\n)*?dependencies\s*=\s*\[", text)
    if listed is None:
        path = project / "requirements.txt"
        text = text_of(path)
    if re.search(rf"(?i)(^|[\"'\s]){PACKAGE.replace('-', '[-_.]')}\b", text, re.MULTILINE):
        return path, text
    if listed is None:
        return path, _ended(text) + f"{requirement()}\n"
    return path, f'{text[: listed.end()]}\n    "{requirement()}",{text[listed.end() :]}'


def _with_ignored(project: Path) -> tuple[Path, str]:
    path = project / ".gitignore"
    text = text_of(path)
    there = {line.strip().lstrip("/").rstrip("*/") for line in text.splitlines()}
    new = [line for line in IGNORED if line.lstrip("/").rstrip("*/") not in there]
    return path, _ended(text) + "".join(f"{line}\n" for line in new) if new else text


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
