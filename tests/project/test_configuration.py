"""What the configuration of the project leaves out: an environment's folder, and the datasets of sweeps."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from implicit_bias.project.configuration import ProjectConfigLoader
from tests.support.project import REPOSITORY, make_project


def loaded(conf: Path, env: str | None) -> ProjectConfigLoader:
    """The configuration of an environment, as a run sees it."""
    return ProjectConfigLoader(
        str(conf), env=env, base_env="base", default_run_env="local", merge_strategy={"parameters": "soft"}
    )


def places(entry: Any) -> set[str]:
    """Every path in a catalog entry."""
    if not isinstance(entry, dict):
        return set()
    own = {str(entry[key]) for key in ("path", "filepath") if key in entry}
    return own.union(*map(places, entry.values()))


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    make_project(tmp_path)
    for env in ("local", "mine"):
        (tmp_path / "conf" / env).mkdir(exist_ok=True)
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("env", "folder"),
    [(None, "data"), ("base", "data"), ("local", "data"), ("mine", "data/mine"), ("wide", "data/wide")],
)
def test_an_environment_has_its_own_folder_without_saying_so(conf: Path, env: str | None, folder: str) -> None:
    catalog = loaded(conf, env)["catalog"]
    assert catalog["{sweep}_sweep.table"]["filepath"] == f"{folder}/08_reporting/{{sweep}}_points.csv"
    found = {each for each in set().union(*map(places, catalog.values())) if not each.startswith("data/reference/")}
    layers = {"01", "02", "05", "06", "07", "08"}
    assert found
    assert all(each.startswith(f"{folder}/") and each.removeprefix(f"{folder}/")[:2] in layers for each in found)


def test_files_in_conf_take_precedence(conf: Path) -> None:
    (conf / "mine/globals.yml").write_text("folder: /scratch/study\n")
    own = {"type": "pandas.ParquetDataset", "filepath": "points.parquet"}
    (conf / "mine/catalog.yml").write_text(yaml.safe_dump({"{sweep}_sweep.table": own}))
    catalog = loaded(conf, "mine")["catalog"]
    assert catalog["{sweep}_sweep.table"] == own
    assert catalog["claims.table"]["filepath"] == "/scratch/study/08_reporting/claims.csv"
    assert catalog["{sweep}_sweep.plan"]["filepath"].startswith("/scratch/study/05")


def test_no_dataset_is_written_down_twice() -> None:
    """Neither by name in two files, nor as an entry of conf/ that equals one of a sweep."""
    sweeps = loaded(REPOSITORY / "conf", "base")["catalog"]
    files = [*(REPOSITORY / "conf").glob("*/catalog*.yml"), *(REPOSITORY / "conf").glob("*/globals.yml")]
    names = [name for path in files for name in yaml.safe_load(path.read_text("utf-8")) if not name.startswith("_")]
    assert len(names) == len(set(names))
    ours = {name for name in sweeps if name.startswith(("{sweep}", "data", "problems", "sections"))}
    assert ours
    assert not ours & set(names)


def test_problems_from_tables_share_a_page_and_nothing_else(conf: Path) -> None:
    catalog = loaded(conf, "spectra")["catalog"]
    namespaces = ("glucose", "window", "analytes")
    assert {catalog[f"{name}.report"]["filepath"] for name in namespaces} == {"data/spectra/08_reporting/report.html"}
    shared = {name for name in catalog if name.endswith((".report", ".sections"))}
    kept = {name: places(entry) for name, entry in catalog.items() if name not in shared}
    of = {space: set().union(*(kept[name] for name in kept if name.startswith(f"{space}."))) for space in namespaces}
    assert all(of.values())
    assert not any(of[one] & of[other] for one in namespaces for other in namespaces if one != other)
