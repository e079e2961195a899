"""Tables of the report as LaTeX, with the rules of the package booktabs."""

import re
import unicodedata

from implicit_bias.report.section import SectionTable

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
}
PUNCTUATION = {"–": "--", "—": "---", "…": r"\dots{}", "“": "``", "”": "''", "’": "'", "\N{NO-BREAK SPACE}": "~"}
SIGNS = {
    "−": "-",
    "±": r"\pm ",
    "×": r"\times ",
    "·": r"\cdot ",
    "∞": r"\infty ",
    "‖": r"\|",
    "≤": r"\le ",
    "≥": r"\ge ",
    "√": r"\surd ",
    "≈": r"\approx ",
    "→": r"\to ",
}
WRITTEN = SPECIAL | PUNCTUATION | {sign: f"${command}$" for sign, command in SIGNS.items()}
RAISED, LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀ", "₀₁₂₃₄₅₆₇₈₉"
HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"
LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho "
    "sigma tau upsilon phi chi psi omega"
)
CAPITALS = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
"""Letters that LaTeX has a command for; the others look like Latin ones."""
_PART = rf"[{RAISED}]+|[{LOWERED}]+|[^{HAT}]{HAT}|[α-ω]_[A-Za-z]+|."


def latex_table(table: SectionTable) -> str:
    """A table as a `tabular` that LaTeX with booktabs compiles, in ASCII but for letters that have no other form.

    Numbers are aligned to the right. The title and the note of the table are comments above it.
    """
    comments = [*table.title.splitlines(), *table.note.splitlines(), r"Needs \usepackage{booktabs}."]
    said = [f"% {line}" for line in comments]
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    head = _row([column.title for column in table.columns])
    body = [_row(row) for row in table.rows]
    rules = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*said, *rules, r"\end{tabular}", ""])


def latex(text: str) -> str:
    """A text for LaTeX: special characters escaped, signs and Greek letters as mathematics."""
    parts = re.findall(rf"‖[^‖$&%#~^\\{{}}<>|]+‖|{_PART}", unicodedata.normalize("NFC", text), re.DOTALL)
    return re.sub(r"(?<!\\)\$\$", "", "".join(map(_written, parts)))  # neighbouring formulas become one


def _row(cells: list[str]) -> str:
    row = " & ".join(latex(cell) for cell in cells) + r" \\"
    return "{}" + row if row[0] in "[*" else row  # no option of the line before


def _written(part: str) -> str:
    """A character, or several that belong together."""
    if len(part) > 1 and part[0] == "‖":
        inside = (_written(piece).strip("$ ") for piece in re.findall(_PART, part[1:-1], re.DOTALL))
        return rf"$\|{' '.join(filter(None, inside))}\|$"
    if part in WRITTEN:
        return WRITTEN[part]
    if part[0] in RAISED + LOWERED:
        digits = unicodedata.normalize("NFKC", part).replace("\N{MINUS SIGN}", "-").replace("T", r"\top ").strip()
        return f"${'^' if part[0] in RAISED else '_'}{{{digits}}}$"
    if part[1:2] == "_":
        index = part[2:] if len(part) == 3 else f"{{{part[2:]}}}"
        return f"${_greek(part[0]).strip('$ ')}_{index}$"
    if part.endswith(HAT):
        return rf"$\hat{{{_written(part[:-1]).strip('$ ')}}}$"
    return _greek(part) or part


def _greek(letter: str) -> str:
    """A Greek letter by its command; "" for other characters."""
    name = unicodedata.name(letter, "").split()
    if name[:1] != ["GREEK"] or "LETTER" not in name:
        return ""
    spelt = name[-1].lower().replace("lamd", "lambd")
    command = spelt.capitalize() if "CAPITAL" in name else spelt
    return rf"$\{command} $" if command in f"{LETTERS} {CAPITALS}".split() else ""
