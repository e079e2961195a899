"""The end of a run: one page of what it found, beside what earlier runs in the same folder have found."""

import logging
import warnings
from collections.abc import Iterable
from typing import Any

from kedro.io.core import DatasetError
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError

from implicit_bias.points import Loaders
from implicit_bias.report.page import render
from implicit_bias.report.section import Section

logger = logging.getLogger(__name__)


def write_report(sections: Loaders, *current: dict[str, Any]) -> str:
    """Write the page of all sections of the folder, those of this run first.

    Args:
        sections: name -> loader of every section in the folder, by this run or by an earlier one.
        current: the sections of this run.
    """
    loaded = {}
    for name, load in sorted(sections.items()):
        try:
            loaded[name] = load()
        except DatasetError:
            logger.warning("The report leaves out %s: its section is damaged", name)
    new = [name for section in current for name in loaded if loaded[name] == section]
    shown = {}
    for name in dict.fromkeys([*new, *loaded]):
        try:
            shown[name] = Section.model_validate(loaded[name])
        except ValidationError:
            logger.warning("The report leaves out %s: another version has written its section", name)
    return render(shown, new)


def create_pipeline(sections: Iterable[str] = (), **_: Any) -> Pipeline:
    """Sections -> the page.

    Args:
        sections: the datasets that hold the sections of the run.
    """
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # it joins namespaces: dots in names are meant
        node = Node(write_report, inputs=["sections", *sections], outputs="report", name="write_report")
    return Pipeline([node])
