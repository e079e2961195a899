"""A section of the report of made-up points, and the parsed page that shows it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
from kedro.config import OmegaConfigLoader

from implicit_bias.report.claims import claims_section
from implicit_bias.report.facts import Facts
from implicit_bias.report.page import render
from implicit_bias.report.section import Origin, Provenance, Section
from implicit_bias.report.sweeps import sweep_section
from implicit_bias.sweeps.data import DataSet
from implicit_bias.sweeps.manifest import sweep_params, written
from implicit_bias.sweeps.parameters import Sweep
from tests.support.project import REPOSITORY

VOID = {"meta", "link", "img", "br", "hr"}
LOADING = {"img", "script", "iframe", "object", "embed", "audio", "video", "source", "link", "form"}


class Element(HTMLParser):
    """A parsed page: (tag, attributes, text) of every element in order of its start; refuses unbalanced tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[int] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.elements[index][2].append(data)

    def all(self, *tags: str) -> Iterator[tuple[str, dict[str, str], str]]:
        """Elements of the tags, with their text, its white space made one."""
        for tag, attributes, text in self.elements:
            if tag in tags:
                yield tag, attributes, " ".join("".join(text).split())

    def texts(self, tag: str) -> list[str]:
        return [text for _, _, text in self.all(tag)]

    def rows(self, column: str) -> list[dict[str, str]]:
        """The rows of the first table that has a column, as column -> cell."""
        tables: list[list[list[str]]] = []
        for tag, _, text in self.all("table", "tr", "th", "td"):
            if tag == "table":
                tables.append([])
            elif tag == "tr":
                tables[-1].append([])
            else:
                tables[-1][-1].append(text)
        head, *rows = next(table for table in tables if column in table[0])
        return [dict(zip(head, row, strict=True)) for row in rows]


def png(width: int = 800, height: int = 600) -> bytes:
    from matplotlib.figure import Figure

    from tests.support.pictures import png as drawn

    return drawn(Figure(figsize=(width / 100, height / 100)))


def provenance(**changes: Any) -> Provenance:
    time = datetime(2026, 3, 1, 12, 30, 59, tzinfo=UTC)
    return Provenance(**({"finished": time, "versions": {"numpy": "2.1"}, "commit": "0123456789abcdef"} | changes))


def at_papers_settings(figure: str) -> dict[str, str]:
    """Parameters of the main configuration, with the paper's solver."""
    conf = OmegaConfigLoader(str(REPOSITORY / "conf"), base_env="base", default_run_env="base")["parameters"]
    sweep = Sweep(**conf[f"{figure}_sweep"] | {"solvers": ["gradient_descent"]})
    data = DataSet(**conf["data"][sweep.problem])
    params = sweep_params(sweep) | written({"data": data.model_dump()})
    return {name: str(value) for name, value in params.items()}


PARAMS = at_papers_settings("width")
DATASETS = [{"name": "gaussian-draw=0", "n": 100, "D": 400, "m": 1, "r": 100, "cond": 9.0}]


def points(widths: tuple[int, ...] = (500, 9500), seeds: int = 3) -> pd.DataFrame:
    rows = [
        {
            "point": f"width={h}-seed={seed}",
            "width": h,
            "seed": seed,
            "alpha": 0.5,
            "solver": "gradient_flow",
            "tolerance": 1e-8,
            "stop_reason": "tolerance",
            "distance": 18 / h**0.5 * (1 + 0.01 * seed),
            "law_rms": 18 / h**0.5,
            "iterations": 67_000.0,
            "loss": 1e-8,
            "bound_worst": 0.9,
        }
        for h in widths
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def section(**changes: Any) -> Section:
    table = changes.pop("points", points())
    told = {"params": PARAMS, "provenance": provenance(), "images": {"figure": png(), "companion": png()}}
    told |= {name: changes.pop(name) for name in (*told, "tracked") if name in changes}
    entries: dict[str, Any] = {
        "planned": len(table),
        "names": {key: f"name of {key}" for key in table["point"]},
        "datasets": DATASETS,
        "points": table,
        "failures": {},
        "loss_at": lambda key, iteration: 1.0,
    }
    return sweep_section(Facts(Origin(**told), **(entries | changes)))


def page(**sections: Section) -> Element:
    return Element(render(sections, sections))


def claims(violations: int = 0, errors: tuple[str, ...] = ()) -> Section:
    row = {
        "claim": "thm1",
        "statement": "L(t) − L* ≤ …",
        "source": "Theorem 1",
        "kind": "bound",
        "trials": 16,
        "met": 12,
    }
    row |= {
        "held": 12 - violations,
        "violations": violations,
        "tight": 0.996,
        "typical": 0.5,
        "limit": 1.0,
        "note": np.nan,
    }
    params = {"problems": "2000", "seeds": "30", "draws": "25"}
    failures = {str(number): error for number, error in enumerate(errors)}
    origin = Origin(params, provenance(), {"figure": png()})
    return claims_section(Facts(origin, pd.DataFrame([row]), failures=failures))
