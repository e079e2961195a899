"""The page of the report: hostile text, what a browser would load, colours, and sections of earlier runs."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from kedro.io.core import DatasetError

from implicit_bias.pipelines.report import write_report
from implicit_bias.report.page import render
from implicit_bias.report.section import Picture, Tracked
from tests.support.report import (
    DATASETS,
    LOADING,
    PARAMS,
    Element,
    claims,
    page,
    png,
    points,
    provenance,
    section,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}"


def test_a_sweep_without_points_has_a_page() -> None:
    for empty in (points().iloc[:0], pd.DataFrame(columns=["point"])):  # of a run, and read back from the store
        parsed = page(width=section(points=empty, planned=1, failures={"lost": "killed"}, images={}))
        assert any("0 of 1 points finished" in text for text in parsed.texts("span"))


def test_provenance_and_links() -> None:
    links = {"Comparison": "http://127.0.0.1:5000/#/experiments/1/runs?a=1&b=2"}
    tracked = Tracked(name="Width sweep #3", run_id="abc", links=links, ui="mlflow ui --port 5000")
    parsed = page(width=section(tracked=tracked))
    assert ("Comparison", links["Comparison"]) in [(text, a["href"]) for _, a, text in parsed.all("a")]
    assert "mlflow ui --port 5000" in parsed.texts("code")
    assert any(
        "2026-03-01 12:30 UTC, tracked as Width sweep #3, commit 0123456789" in text for text in parsed.texts("p")
    )
    assert "2.1" in parsed.texts("dd")


def hostile_page() -> str:
    table = points().assign(solver=HOSTILE)
    everything = section(
        points=table,
        params=PARAMS | {"title": HOSTILE, HOSTILE: HOSTILE, "solvers": HOSTILE},
        planned=len(table) + 1,
        names={"bad": HOSTILE},
        failures={"bad": HOSTILE},
        datasets=[DATASETS[0] | {"name": HOSTILE}],
        provenance=provenance(commit=HOSTILE, versions={HOSTILE: HOSTILE}),
        tracked=Tracked(name=HOSTILE, run_id=HOSTILE, links={HOSTILE: f"http://127.0.0.1/{HOSTILE}"}, ui=HOSTILE),
    )
    return render({HOSTILE: everything}, ())


def test_hostile_text_is_text() -> None:
    parsed = Element(hostile_page())
    assert not list(parsed.all("script"))
    assert all(attributes["src"].startswith("data:image/png;base64,") for _, attributes, _ in parsed.all("img"))
    assert not any(name.startswith("on") for _, attributes, _ in parsed.elements for name in attributes)
    assert parsed.texts("h2") == [HOSTILE]
    assert HOSTILE in parsed.texts("dd")
    assert HOSTILE in parsed.texts("th")


def test_a_browser_loads_nothing_and_runs_nothing() -> None:
    parsed = Element(hostile_page())
    for tag, attributes, _ in parsed.all(*LOADING):
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
    (style,) = parsed.texts("style")
    assert not re.search(r"url\(|@import", style)
    (policy,) = [a["content"] for _, a, _ in parsed.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


def test_the_page_can_be_read_by_everyone() -> None:
    parsed = page(width=section(), imbalance=section())
    assert next(parsed.all("html"))[1]["lang"] == "en"
    assert all(attributes["alt"] for _, attributes, _ in parsed.all("img"))
    assert all(attributes.get("scope") in ("col", "row") for _, attributes, _ in parsed.all("th"))
    row_headers = [attributes for _, attributes, _ in parsed.all("th") if attributes["scope"] == "row"]
    assert len([*parsed.all("tr")]) == len(row_headers) + len([*parsed.all("thead")])
    levels = [int(tag[1]) for tag, _, _ in parsed.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes, _ in parsed.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    anchors = {a["href"][1:] for _, a, _ in parsed.all("a") if a["href"].startswith("#")}
    assert {"content", "width", "imbalance"} <= anchors <= set(ids)
    assert {f"{name}-deviations" for name in ("width", "imbalance")} <= anchors
    assert {a["aria-labelledby"] for _, a, _ in parsed.elements if "aria-labelledby" in a} <= set(ids)
    assert f"{points((500,))['distance'].mean():.3g} at width 500" in next(parsed.all("img"))[1]["alt"]


def test_colours_have_contrast_in_both_schemes() -> None:
    """WCAG 2.1: 4.5 to 1 for text."""

    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        channels = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    (style,) = page(width=section()).texts("style")
    schemes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{([^}]*)\}", style)]
    assert len(schemes) == 3
    for scheme in schemes:
        for name in ("text", "soft", "link", "good", "bad"):
            for ground in ("ground", "raised"):
                light, dark = sorted((luminance(scheme[name]), luminance(scheme[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


def test_the_page_holds_earlier_sections_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    records = {name: each.model_dump(mode="json") for name, each in {"a": section(), "b": claims()}.items()}
    old = {"c": {"title": "of another version"}}

    def damaged() -> None:
        raise DatasetError("d.json ends in the middle")

    loaders = {name: (lambda record=record: record) for name, record in (records | old).items()} | {"d": damaged}
    parsed = Element(write_report(loaders, records["b"]))
    assert parsed.texts("h2") == ["Width sweep", "Claims of the paper, checked"]  # the paper's figures first
    states = [text for _, a, text in parsed.all("p") if a.get("class") == "state"]
    assert "an earlier run, 2026-03-01" in states[0]
    assert "an earlier run" not in states[1]
    assert "leaves out c: another version" in caplog.text
    assert "leaves out d: its section is damaged" in caplog.text


def test_a_picture_knows_its_size() -> None:
    picture = Picture.of(png(640, 360), "t", "c", "a")
    assert (picture.width, picture.height) == (640, 360)
