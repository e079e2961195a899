"""Sweeps of networks of one's own: what is said of their points, what is drawn, what is refused."""

import pandas as pd
import pytest

from implicit_bias.figures.registry import FIGURES
from implicit_bias.pipelines.initialization import plan_points
from implicit_bias.sweeps.figure import Results
from tests.project.test_extending import PROBLEM, sweep


def test_a_point_of_a_network_is_told_in_its_own_words():
    plan = sweep(network="tests.theory.networks.test_general:PLAIN", figure="distance")
    planned = plan_points({"p-draw=0": dict}, {"p-draw=0": lambda: vars(PROBLEM)}, plan)
    (point,) = planned["points"].values()
    assert point["params"]["network"] == "tests.theory.networks.test_general:PLAIN"
    assert "plain regression" in point["description"]
    assert not [word for word in ("UVᵀ", "gaussian start", "law") if word in point["description"]]
    narrow = sweep(network="tests.theory.networks.test_general:PLAIN", figure="distance", widths=1)
    assert not narrow.kind.doubts_of_data("p", PROBLEM, {}, narrow)


def test_the_law_given_the_run_is_drawn_where_there_is_one():
    columns = {"width": [30, 60], "distance": [0.2, 0.1], "distance_init": [1.0, 1.0], "iterations": [10.0, 9.0]}
    for law in ({}, {"law_rms_run": [0.19, 0.11]}):
        figure = FIGURES["distance"].draw(Results(sweep(), pd.DataFrame(columns | law), [PROBLEM], None))
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert ("law, given the run" in labels) == bool(law)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "tests.theory.networks.test_general:PLAIN"}, "leave out network, or set it to two_layer"),
        (
            {"network": "tests.theory.networks.test_general:PLAIN", "figure": "activations"},
            "leave out network, and give activations",
        ),
        ({"figure": "distance"}, "set network to one of them"),
        (
            {"network": "tests.theory.networks.test_general:PLAIN", "figure": "distance", "alpha": [0.3, 0.5]},
            r"shows one alpha, got \[0.3, 0.5\] \[",
        ),
    ],
)
def test_a_refusal_says_what_to_change(changes, message):
    with pytest.raises(ValueError, match=message):
        sweep(**changes)
