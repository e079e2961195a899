"""The end of a run: one page of what it found, beside what earlier runs in the same folder have found."""

import logging
import warnings
from collections.abc import Iterable
from typing import Any

from kedro.io.core import DatasetError
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError

from implicit_bias.pipelines.sections import PROCESS
from implicit_bias.report.page import render
from implicit_bias.report.section import Section, SectionJson
from implicit_bias.sweeps.handover import Loaders

logger = logging.getLogger(__name__)


def write_report(sections: Loaders, *current: SectionJson) -> str:
    """Write the page of all sections of the folder: reproductions of the paper, then other sections of this run.

    Args:
        sections: name -> loader of every section in the folder, by this run or by an earlier one.
        current: sections of this run; others that this process has written are of this run, too.
    """
    shown, new = {}, []
    for name, load in sorted(_newest(sections).items()):
        try:
            section = Section.model_validate(loaded := load())
        except DatasetError:
            logger.warning("The report leaves out %s: its section is damaged", name)
        except ValidationError:
            logger.warning("The report leaves out %s: another version has written its section", name)
        else:
            shown[name] = section
            if loaded in current or section.provenance.process == PROCESS:
                new.append(name)
    return render({name: shown[name] for name in dict.fromkeys([*new, *shown])}, new)


def _newest(sections: Loaders) -> Loaders:
    """The sections by name; of one that Kedro keeps in versions, NAME.json/VERSION/NAME, the newest version."""
    return {name.rpartition("/")[2]: sections[name] for name in sorted(sections)}


def create_pipeline(sections: Iterable[str] = (), name: str = "", **_: Any) -> Pipeline:
    """Sections -> the page.

    Args:
        sections: the datasets that hold the sections of the run.
        name: tells the page of this pipeline from those of others that one run may join it with; all are one file.
    """
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # it joins namespaces: dots in names are meant
        node = Node(
            write_report,
            inputs=["sections", *sections],
            outputs=f"{name}.report" if name else "report",
            name=f"write_{name}_report" if name else "write_report",
        )
    return Pipeline([node])
