"""`versioned: true` on the entries that init writes: every run keeps its files, and reads the newest."""

import re
from pathlib import Path

import pytest
import yaml

from implicit_bias.pipelines.report import _newest
from tests.support.their_project import kedro_new, make_tiny, tables

COLLECTIONS = ("PartitionedDataset", "StoredDataset", "MemoryDataset")
"""Datasets that Kedro does not keep in versions."""


def versioned(catalog: Path) -> set[str]:
    """Keep every entry of a file in versions; returns their names."""
    text = catalog.read_text(encoding="utf-8")
    entries = {name: entry["type"] for name, entry in yaml.safe_load(text).items() if not name.startswith("_")}
    chosen = {name for name, kind in entries.items() if not kind.endswith(COLLECTIONS)}
    for name in chosen:
        text, count = re.subn(
            rf'(?m)^(?:"{re.escape(name)}"|{re.escape(name)}):.*\n', r"\g<0>  versioned: true\n", text
        )
        assert count == 1
    catalog.write_text(text, encoding="utf-8")
    return chosen


def test_a_report_takes_the_newest_version_of_each_section() -> None:
    old, new = "a.width.json/2026-01-01T00.00.00.000Z/a.width", "a.width.json/2026-01-02T00.00.00.000Z/a.width"
    loaders = {name: (lambda name=name: name) for name in (new, "b.width", old)}
    assert {name: load() for name, load in _newest(loaders).items()} == {"a.width": new, "b.width": "b.width"}


@pytest.mark.slow
def test_a_versioned_sweep_is_run_again(tmp_path: Path) -> None:
    project = kedro_new(tmp_path)
    for name, table in zip("XY", tables(), strict=True):
        table.to_csv(project.path / f"{name}.csv", index=False)
    (project.path / "conf/base/catalog.yml").write_text(
        "".join(f"{name}: {{type: pandas.CSVDataset, filepath: {name}.csv}}\n" for name in "XY")
    )
    project.kedro("implicit-bias", "init")
    base = project.path / "conf/base"
    make_tiny(base / "parameters_implicit_bias.yml")
    assert len(versioned(base / "catalog_implicit_bias.yml")) == 14
    results = project.path / "data/implicit_bias"
    for count in (1, 2):
        project.kedro("run", "--pipelines=implicit_bias")
        for name in ("05_model_input/width_plan.json", *(f"08_reporting/{name}" for name in SAVED)):
            assert len(list((results / name).iterdir())) == count, name
    newest = max((results / "08_reporting/report.html").iterdir())
    page = (newest / "report.html").read_text(encoding="utf-8")
    assert re.findall("<h2[^>]*>(.*?)</h2>", page) == ["Implicit bias, width"]
    assert "nothing to send" in project.kedro("implicit-bias", "sync").lower()


SAVED = ("report.html", "width_figure.png", "width_figure.pdf", "width_points.csv", "width_summary.json",
         "width_interactive.json", "width_questions.png", "sections/implicit_bias.width.json")  # fmt: skip
