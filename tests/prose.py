"""Plain English in the pages that `[tool.prose]` of pyproject.toml lists: `make lint`.

Flags the words and phrases of its list, long sentences, doubled words, and `\\|` in tables, which the site shows with
its backslash. Code, comments, links' targets and text in italics (titles) are not read.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

SKIPPED = re.compile(
    r"^---\n.*?^---$"  # front matter
    r"|^ *```.*?^ *```$"  # code blocks
    r"|^(?: {4}|\t)\S[^\n]*"  # indented code and the mathematics in it
    r"|<!--.*?-->"
    r"|`[^`\n]+`"
    r"|\$\$.*?\$\$|\$[^$\n]+\$"
    r"|\]\([^)]*\)|\[@[^\]]*\]|https?://\S+"
    r"|(?<![*\w])\*[^*\n][^*]*\*(?!\*)",  # italics
    re.MULTILINE | re.DOTALL,
)
FORMULA = re.compile(r"\|\||\^T\b|\^\(|\bSigma_\w\b")
"""Mathematics as code, which the site does not typeset."""
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.|#+|\||>)", re.MULTILINE)


class Finding(NamedTuple):
    """Something to rewrite: the line it is on, what it is, what to write."""

    line: int
    found: str
    advice: str


def readable(text: str) -> str:
    """The prose of a page: what is not prose is replaced by a letter, line by line."""
    return SKIPPED.sub(lambda part: "x" + "\n" * part[0].count("\n"), text)


def sentences(prose: str) -> Iterator[tuple[int, str]]:
    """Position and text of each sentence of the paragraphs and items; rows of tables are left out."""
    ends = (match.end() for match in re.finditer(r"\n\s*\n", prose))
    starts = sorted({0, *ends, *(item.start() for item in ITEM.finditer(prose))})
    for start, end in zip(starts, [*starts[1:], len(prose)], strict=True):
        block = prose[start:end]
        if not block.lstrip().startswith(("|", "#")):
            for match in re.finditer(r".+?(?:[.!?:;](?=\s)|$)", block.rstrip(), re.DOTALL):
                yield start + match.start(), match[0]


def findings(text: str, phrases: dict[str, str], longest: int) -> list[Finding]:
    """What a page has of the phrases (patterns with their advice) and of sentences with more words than the longest."""
    prose = readable(text)

    def at(position: int) -> int:
        return prose.count("\n", 0, position) + 1

    found = [
        Finding(at(match.start()), " ".join(match[0].split()), advice)
        for pattern, advice in phrases.items()
        for match in re.finditer(pattern.replace(" ", r"\s+"), prose, re.IGNORECASE)
    ]
    found += [Finding(at(match.start()), match[0], "once") for match in re.finditer(r"\b([a-z]{2,})\s+\1\b", prose)]
    found += [
        Finding(at(position), " ".join(sentence.split()[:8]) + " ...", f"at most {longest} words in a sentence")
        for position, sentence in sentences(prose)
        if len(re.findall(r"[^\W\d_][\w'-]*", sentence)) > longest
    ]
    found += [
        Finding(number, r"\| in a table", r"‖, or \lVert in mathematics")
        for number, line in enumerate(text.splitlines(), 1)
        if line.startswith("|") and r"\|" in line
    ]
    code = re.sub(r"^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    found += [
        Finding(code.count("\n", 0, match.start()) + 1, match[0], "$ around mathematics")
        for match in re.finditer(r"`([^`\n]+)`", code)
        if FORMULA.search(match[1])
    ]
    return sorted(found)


def main() -> int:
    """Print what is found; 1 if anything is."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["prose"]
    pages = sorted({page for pattern in settings["files"] for page in ROOT.glob(pattern)})
    count = 0
    for page in pages:
        for line, found, advice in findings(page.read_text("utf-8"), settings["phrases"], settings["longest-sentence"]):
            print(f"{page.relative_to(ROOT)}:{line}: {found!r}: {advice}")
            count += 1
    print(f"{len(pages)} pages, {count} findings")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
