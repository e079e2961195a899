"""The report: its facts read back from the parsed page, hostile text, and what a browser would load."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.config import OmegaConfigLoader
from kedro.io.core import DatasetError

from implicit_bias.figures.numerals import number, spread
from implicit_bias.pipelines.report import write_report
from implicit_bias.report.claims import claims_section
from implicit_bias.report.descent import descent_section
from implicit_bias.report.page import render
from implicit_bias.report.paper import on_the_way
from implicit_bias.report.paper_settings import FREE, SETTINGS, beside_paper
from implicit_bias.report.section import Origin, Picture, Provenance, Section, Tracked
from implicit_bias.report.studies import study_section
from implicit_bias.report.sweeps import sweep_section
from implicit_bias.report.tables import MOST_ROWS
from implicit_bias.sweeps.manifest import sweep_params, written
from implicit_bias.sweeps.parameters import DataSet, Sweep
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

    from implicit_bias.figures import png as drawn

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
    return sweep_section(Origin(**told), **(entries | changes))


def page(**sections: Section) -> Element:
    return Element(render(sections, sections))


def test_results_are_means_and_deviations_over_the_seeds() -> None:
    rows = page(width=section()).rows("law, before training")
    assert [row["width h"] for row in rows] == ["500", "9,500"]
    for row, h in zip(rows, (500, 9500), strict=True):
        of_width = points()[lambda table, h=h: table["width"] == h]
        mean, deviation = (float(word) for word in row["distance ‖UVᵀ − Θ̂‖"].split(" ± "))
        assert mean == pytest.approx(of_width["distance"].mean(), abs=deviation / 10)
        assert deviation == pytest.approx(of_width["distance"].std(), rel=0.05)
        assert float(row["law, before training"]) == pytest.approx(18 / h**0.5, rel=1e-3)
        assert row["runs"] == "3"


def test_a_run_at_the_papers_settings_stands_beside_the_papers_numbers() -> None:
    parsed = page(width=section())
    rows = {(row["quantity"], row["where"]): row for row in parsed.rows("paper")}
    distance = rows["distance ‖UVᵀ − Θ̂‖", "h = 500"]
    assert distance["paper"] == "≈ 0.79"
    ours = float(distance["ours, gradient flow"])
    assert distance["deviation"] == f"{100 * (ours / 0.79 - 1):+.0f} %".replace("-", "−")
    assert rows["iterations to stop", "h = 9,500"]["deviation"] == "+16 %"
    assert rows["iterations to stop", "h = 500"]["deviation"] == "0 %"
    assert ("iterations to stop", "h = 2,000") not in rows  # not a width of this run
    listed = " ".join(parsed.texts("li"))
    assert "iterations to stop, h = 9,500: 67,000, in the paper ≈ 57,600 (+16 %)" in listed
    assert "h = 500: 67,000" not in listed  # 0 % off


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": "2000"}, "widths is 2000, in the paper 500:10000:500"),
        ({"alpha": "0.4"}, "alpha is 0.4, in the paper 0.5"),
        ({"step_size": "0.01"}, "step_size is 0.01, in the paper 0.005"),
        ({"initialization": "orthogonal"}, "initialization is orthogonal, in the paper gaussian"),
        ({"stop.tolerance": "None"}, "stop.tolerance is none, in the paper 1e-08"),
        ({"flow_tolerance": "0.001"}, "flow_tolerance is 0.001, in the paper at most 1e-06"),
        ({"stop.max_iterations": "1000"}, "stop.max_iterations is 1000, in the paper at least 1e+06"),
        ({"data.n": "99", "data.noise_std": "0.05"}, "data.n is 99, in the paper 100; data.noise_std is 0.05, in the"),
        ({"data.spectrum": "whitened"}, "data.spectrum is whitened, in the paper gaussian"),
        ({"figure": "alpha"}, "Not compared with the paper, which has no such figure."),
    ],
)
def test_a_run_at_other_settings_is_not_compared_and_says_why(change: dict[str, str], said: str) -> None:
    parsed = page(width=section(params=PARAMS | change))
    assert "paper" not in parsed.texts("th")
    assert any(said in text and text.startswith("Not compared") for text in parsed.texts("li"))
    assert not any("The paper's Figure" in text for text in parsed.texts("figcaption"))


def test_data_of_ones_own_or_of_another_rank_are_not_compared() -> None:
    own = {name: value for name, value in PARAMS.items() if not name.startswith("data.")}
    assert beside_paper(own, DATASETS).deviations == ["Not compared with the paper's Figure 1: the data are others."]
    (said,) = beside_paper(PARAMS, [DATASETS[0] | {"r": 99}]).deviations
    assert said == "Not compared with the paper's Figure 1: the rank of X is 99, in the paper 100."


def test_settings_that_leave_the_numbers_as_they_are_deviate_by_name() -> None:
    parsed = page(width=section(params=PARAMS | {"solvers": "gradient_flow", "redraw_data": "True"}))
    assert "paper" in parsed.texts("th")
    listed = parsed.texts("li")
    assert "solvers is gradient_flow, in the paper gradient_descent." in listed
    assert "redraw_data is True, in the paper False." in listed
    assert any(text.startswith("The paper's Figure 1: distance and") for text in parsed.texts("figcaption"))


@pytest.mark.parametrize(("kind", "figure"), [("width", "Figure 1"), ("imbalance", "Figure 2")])
def test_every_parameter_is_compared_or_said_to_be_free(kind: str, figure: str) -> None:
    """A parameter that is added to the model has to be put into one of the two tables."""
    params = at_papers_settings(kind)
    assert beside_paper(params, DATASETS).figure == figure
    assert not beside_paper(params, DATASETS).deviations
    assert params.keys() == (SETTINGS[figure].keys() | FREE)
    assert not SETTINGS[figure].keys() & FREE
    for name in SETTINGS[figure]:
        assert beside_paper(params | {name: "7"}, DATASETS).deviations, name


def test_figure_2_compares_descent_where_there_is_both() -> None:
    rows = [
        {"point": f"{case}-{solver}", "case": case, "width": 500, "solver": solver, "imbalance_c": c, "loss": loss}
        | {"distance": 1.0, "rate": 1 + c, "sigma_u": 0.1 * c + 0.1, "sigma_v": 0.1}
        for case, c, loss in (("1", 6.1, 3.5e-3), ("2", 38.3, 7.9e-10), ("3", 20.7, 9.6e-5), ("balanced", 0, 0.022))
        for solver, loss in (("gradient_flow", 2 * loss), ("gradient_descent", loss))
    ]
    params = at_papers_settings("imbalance") | {"solvers": "gradient_flow gradient_descent"}
    losses = {"2-gradient_flow": 2.3e-9, "2-gradient_descent": 2.2e-9}
    told = {"params": params, "loss_at": lambda key, iteration: losses[key] if iteration == 13_900 else np.nan}
    parsed = page(imbalance=section(points=pd.DataFrame(rows), **told))
    rows_of = {(row["quantity"], row["where"]): row for row in parsed.rows("paper")}
    assert rows_of["imbalance c", "case 3"]["paper"] == "20.1"  # printed, not read off
    assert rows_of["imbalance c", "case 3"]["deviation"] == "+3 %"
    loss = rows_of["loss at iteration 15,000", "case 1"]
    assert (loss["ours, gradient flow"], loss["ours, gradient descent"]) == ("0.007", "0.0035")
    assert loss["deviation"] == "−3 %"
    loss = rows_of["loss at iteration 13,900", "case 2"]
    assert (loss["paper"], loss["ours, gradient flow"]) == ("≈ 7×10⁻⁹", "2.3×10⁻⁹")
    assert (loss["ours, gradient descent"], loss["deviation"]) == (
        "2.2×10⁻⁹",
        "draws spread from 2.1×10⁻⁹ to 1.4×10⁻⁸",
    )
    assert not any("13,900" in text for text in parsed.texts("li"))
    assert any("Fastest is σ_U/σ_V = 39.3 (rate 39.3, distance 1)" in text for text in parsed.texts("figcaption"))
    results = parsed.rows("runs")
    assert [row["case"] for row in results[::2]] == ["1", "2", "3", "balanced"]
    assert {row["solver"] for row in results} == {"gradient flow", "gradient descent"}


def test_failed_points_are_listed_with_their_reasons() -> None:
    failures = {"lost": "FloatingPointError: diverged"}
    parsed = page(width=section(planned=7, names={"lost": "name of lost"}, failures=failures))
    assert "name of lost" in parsed.texts("dt")
    assert "FloatingPointError: diverged" in parsed.texts("dd")
    assert any("6 of 7 points finished" in text for text in parsed.texts("span"))
    assert any("1 point is missing" in text for text in parsed.texts("li"))


def test_broken_bounds_and_exhausted_runs_are_said() -> None:
    table = points()
    table.loc[0, "bound_worst"] = 1.01
    table["certified_worst"], table["met/certified"] = 1.01, [1.0, 1.0] + [0.0] * (len(table) - 2)
    table.loc[1, "stop_reason"] = "iteration limit"
    table.loc[2, "stop_reason"], table.loc[3, "stop_reason"] = "slow", "saddle"
    listed = page(width=section(points=table)).texts("li")
    assert "1 point exceeds what is guaranteed: Theorem 1." in listed
    assert "2 points exceed what is certified: rate of the run." in listed, "where its hypotheses are met"
    assert "1 point reached the iteration limit before the tolerance." in listed
    assert any(text.startswith("1 point ended slow: ") for text in listed)
    assert any(text.startswith("1 point ended at a saddle") for text in listed)


def test_a_loss_beyond_what_draws_explain_deviates() -> None:
    rows = [
        {"point": str(seed), "case": "2", "width": 500, "solver": "gradient_descent", "imbalance_c": 39.6, "loss": 1e-9}
        | {"distance": 1.0, "seed": seed}
        for seed in range(3)
    ]
    params = at_papers_settings("imbalance")
    for losses, deviates in (([1e-9, 6e-9, 1e-7], False), ([1e-9, 2e-9, 6e-9], True)):
        told = {"params": params, "loss_at": lambda key, iteration, losses=losses: losses[int(key)], "images": {}}
        parsed = page(imbalance=section(points=pd.DataFrame(rows), **told))
        row = next(row for row in parsed.rows("paper") if "13,900" in row["quantity"])
        low, middle, high = (number(loss, 2) for loss in losses)
        assert row["ours, gradient descent"] == f"median {middle}, {low} to {high}"
        assert any("13,900" in text for text in parsed.texts("li")) == deviates


def test_a_loss_on_the_way_is_that_of_an_exponential() -> None:
    k = np.array([0.0, 10, 1000])
    assert on_the_way(k, np.exp(-0.01 * k), 123) == pytest.approx(np.exp(-1.23), rel=1e-12)
    assert np.isnan(on_the_way(k, k + 1, 1001))
    assert on_the_way(k, [1, 1, 0], 500) == 0


def test_nothing_deviates_where_nothing_does() -> None:
    table = points((500,))
    table["distance"] = 0.79
    assert "Nothing." in page(width=section(points=table)).texts("p")


def test_a_sweep_without_points_has_a_page() -> None:
    for empty in (points().iloc[:0], pd.DataFrame(columns=["point"])):  # of a run, and read back from the store
        parsed = page(width=section(points=empty, planned=1, failures={"lost": "killed"}, images={}))
        assert any("0 of 1 points finished" in text for text in parsed.texts("span"))


def test_long_results_are_thinned_from_end_to_end() -> None:
    widths = tuple(range(100, 100 + 3 * MOST_ROWS))
    rows = page(width=section(points=points(widths, seeds=1))).rows("runs")
    assert len(rows) == MOST_ROWS
    assert (rows[0]["width h"], rows[-1]["width h"]) == (number(widths[0]), number(widths[-1]))


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


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}"


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
    return claims_section(Origin(params, provenance(), {"figure": png()}), pd.DataFrame([row]), errors)


def test_claims_say_what_held() -> None:
    parsed = page(verification=claims())
    (row,) = parsed.rows("hypotheses met")
    assert (row["hypotheses met"], row["held"], row["violations"], row["worst"], row["note"]) == (
        "12",
        "12",
        "0",
        "1",
        "",
    )
    assert any("2,000 random problems" in text for text in parsed.texts("p"))
    assert "Violated: L(t) − L* ≤ … (Theorem 1)." in page(verification=claims(1)).texts("li")
    assert "Not checked: problem 3: LinAlgError" in page(verification=claims(errors=("problem 3: LinAlgError",))).texts(
        "li"
    )


def starts() -> pd.DataFrame:
    numbers = {"imbalance_c": [0.0, 8.0], "step_max": [2.0, 1.0], "step_end": [4.0, 0.5], "step_xu": [0.1, 0.2]}
    numbers |= {"rate_best": [0.5, 3.0], "iterations": [60, 12], "rate_flow": [1.0, 16.0], "gap_order": [0.9, 1.1]}
    return pd.DataFrame(
        {"point": ["balanced", "ratio=1"], "distance": [2.0, 3.0], "distance_max": [2.5, 1.0], **numbers}
    )


def test_descent_beside_the_flow_is_read_in_numbers_and_words() -> None:
    params = {"title": "Descent", "width": "500", "product": "0.01", "depth": "1e-16"}
    origin = Origin(params, provenance(), {"gaps": png(), "steps": png()})
    parsed = page(descent=descent_section(origin, 3, DATASETS, starts(), {"ratio=2": "ArithmeticError: lost"}))
    gaps, steps = parsed.texts("figcaption")
    assert "order in the step is 1 (median)" in gaps
    assert "0.5 to 2 times what the kernel" in steps
    assert "1 of 2 starts end nearer" in steps
    assert [row["start"] for row in parsed.rows("largest step that arrives")] == ["balanced", "ratio=1"]
    assert "1 start is missing." in parsed.texts("li")
    assert "ArithmeticError: lost" in parsed.texts("dd")


def test_studies_say_what_they_have_found() -> None:
    table = points((500, 9500), seeds=2).assign(alpha=0.5)
    near = np.where(table["width"] == 500, 0.1, 0.01)
    lazy = table.assign(lin_loss=near, lin_dist=near, inf_loss=np.nan, inf_dist=np.nan, kernel_move=2 * near)
    lazy = lazy.assign(rate=4.0, limit_rate=np.where(table["width"] == 500, 9.0, 4.1))
    origin = Origin(PARAMS, provenance(), {"gaps": png(), "kernel": png(), "early": png()})
    parsed = page(width_lazy=study_section("lazy", origin, len(table), lazy))
    gaps, kernel = parsed.texts("figcaption")
    assert "linearised flow is off by 0.01 (h = 9,500) to 0.1 (h = 500) of the initial loss" in gaps
    assert "infinite-width" not in gaps.partition("relative to its start.")[2], "where no point has one"
    assert "closed form of the final rate is within 2.5 %" in kernel
    assert any("all 4 points compared" in text for text in parsed.texts("span"))
    stopped = table.assign(ridge_gap=near, risk_best=[2.0, 2.0, 1.5, 1.5], risk_end=3.0, ridge_best=1.0)
    stopped.loc[0, ["ridge_gap", "risk_best"]] = np.nan
    parsed = page(width_early=study_section("early", origin, len(table), stopped))
    (caption,) = parsed.texts("figcaption")
    assert "At h = 9,500 a run, once started, leaves the ridge path by up to 0.01 times ‖Θ̂‖" in caption
    assert "1.5 times the test risk of the best ridge solution; at the end, 3 times" in caption
    assert any("3 of 4 points compared" in text for text in parsed.texts("span"))


def test_a_sweep_over_widths_says_how_far_it_is_from_the_law() -> None:
    table = points((500,), seeds=2).assign(law_rms=1.0, distance=[2**0.5, 6**0.5])
    assert "Over all 2 runs the root mean square of distance over law is 2.00 ± 0.50." in " ".join(
        page(width=section(points=table)).texts("figcaption")
    )
    assert "over law" not in " ".join(page(width=section(points=table.assign(law_rms=0.0))).texts("figcaption"))


def test_universality_is_a_root_mean_square_with_its_error() -> None:
    table = points((500,), seeds=2).assign(initialization="gaussian", law_rms=1.0, distance=[2**0.5, 6**0.5])
    params = PARAMS | {"figure": "universality"}
    (caption, _) = page(width=section(points=table, params=params)).texts("figcaption")
    assert "at h = 500: gaussian 2 ± 0.5." in caption  # squares 2 and 6: 4 ± 2


def test_the_page_holds_earlier_sections_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    records = {name: each.model_dump(mode="json") for name, each in {"a": section(), "b": claims()}.items()}
    old = {"c": {"title": "of another version"}}

    def damaged() -> None:
        raise DatasetError("d.json ends in the middle")

    loaders = {name: (lambda record=record: record) for name, record in (records | old).items()} | {"d": damaged}
    parsed = Element(write_report(loaders, records["b"]))
    assert parsed.texts("h2") == ["Claims of the paper, checked", "Width sweep"]  # this run's first
    states = [text for _, a, text in parsed.all("p") if a.get("class") == "state"]
    assert "an earlier run" not in states[0]
    assert "an earlier run, 2026-03-01" in states[1]
    assert "leaves out c: another version" in caplog.text
    assert "leaves out d: its section is damaged" in caplog.text


@given(st.floats(-1e12, 1e12), st.floats(1e-12, 1e12))
def test_a_spread_keeps_mean_and_deviation(mean: float, deviation: float) -> None:
    """To half a unit of the deviation's second digit, or of the fourth digit where there are powers of ten."""
    words = re.sub("×10(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])", "e", spread(mean, deviation))
    words = re.sub("10(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])", "1e", words).translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789", ","))
    numbers = list(map(float, words.split(" ± ")))
    if len(numbers) == 2:
        assert numbers[1] == pytest.approx(deviation, rel=0.051)
        assert numbers[0] == pytest.approx(mean, abs=0.051 * deviation, rel=1e-3)
    else:
        assert deviation <= 1e-6 * abs(mean)


def test_a_picture_knows_its_size() -> None:
    picture = Picture.of(png(640, 360), "t", "c", "a")
    assert (picture.width, picture.height) == (640, 360)
