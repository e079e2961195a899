"""The sections of the report, each kind in one row: how it is written, and what is said of its pictures.

The tag `implicit_bias.report` of a tracked run names the kinds of its sections; the first one is about the run itself.
"""

from implicit_bias.report.claims import CLAIMS_SECTION
from implicit_bias.report.descent import DESCENT_SECTION
from implicit_bias.report.facts import Facts, SectionKind
from implicit_bias.report.section import Section
from implicit_bias.report.studies import EARLY_SECTION, LAZY_SECTION
from implicit_bias.report.sweeps import SWEEP_SECTION
from implicit_bias.theory.named import named

SECTIONS: dict[str, SectionKind] = {
    "sweep": SWEEP_SECTION,
    "lazy": LAZY_SECTION,
    "early": EARLY_SECTION,
    "descent": DESCENT_SECTION,
    "claims": CLAIMS_SECTION,
}
"""Name -> kind of section."""


def section_kind(name: str) -> SectionKind:
    """The kind of section of a name, or of an import path `package.module:object`.

    Raises:
        ValueError: there is none.
    """
    return named("section", name, SECTIONS, SectionKind)


def write_section(name: str, facts: Facts) -> Section:
    """The section of a kind; see `section_kind` for its name."""
    return section_kind(name).write(facts).model_copy(update={"kind": name})
