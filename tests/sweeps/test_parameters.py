import numpy as np
import pytest
from pydantic import ValidationError

from implicit_bias.sweeps.data import DataSet, DataSets, Reparametrization
from implicit_bias.sweeps.parameters import Cases, Stopping, Sweep

MINIMAL = {
    "title": "t",
    "figure": "width",
    "problem": "p",
    "widths": [10],
    "seeds": [0],
    "alpha": 0.5,
    "step_size": 0.1,
}


def sweep(**changes):
    values = {**MINIMAL, **changes}
    if "cases" in changes:
        values["figure"] = "imbalance"
    return Sweep.model_validate({name: value for name, value in values.items() if value is not None})


def test_a_minimal_sweep_is_one_point():
    (point,) = sweep().points()
    assert (point.width, point.seed, point.alpha, point.case) == (10, 0, 0.5, None)
    assert (point.solver, point.problem) == ("gradient_flow", "p-draw=0")
    assert point.sigma_u == point.sigma_v == pytest.approx(10**-0.5)


# Lists and ranges


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("500:2000:500", [500, 1000, 1500, 2000]),
        ("500:2100:500", [500, 1000, 1500, 2000]),
        ("1:4", [1, 2, 3, 4]),
        ("7", [7]),
        ("1 5 100", [1, 5, 100]),
        ("1:3 10:30:10", [1, 2, 3, 10, 20, 30]),
        (7, [7]),
        ([3, 1, 2], [3, 1, 2]),
        ([2**53], [2**53]),
    ],
)
def test_widths_are_lists_numbers_or_ranges(given, expected):
    assert sweep(widths=given).widths == expected
    assert [point.width for point in sweep(widths=given).points()] == expected


def test_alphas_are_lists_or_words():
    assert sweep(figure="alpha", alpha="0.3 0.5").alpha == [0.3, 0.5]
    assert sweep(alpha=[0.3]).alpha == [0.3]


def test_solvers_are_lists_or_words():
    both = ["gradient_flow", "gradient_descent"]
    assert sweep(solvers=" ".join(both)).solvers == sweep(solvers=both).solvers == both
    assert sweep(solvers="flow_explicit").solvers == ["flow_explicit"]


@pytest.mark.parametrize("given", ["1:2:3:4", "a:b", "1:", ":5", "1:5:0", "1:5:00", "1.5:3", "-1:3", "1:9:-2"])
def test_what_is_no_range_is_refused(given):
    with pytest.raises(ValidationError, match="a range is written start:end or start:end:step in whole numbers, got"):
        sweep(widths=given)


# Refusals


@pytest.mark.parametrize(("network", "figure"), [("two_layer", "width"), ("deep", "depth")])
def test_linear_networks_have_no_activations(network, figure):
    with pytest.raises(ValidationError, match=f"activations: network {network} has none, leave them out, got .'relu'"):
        sweep(network=network, figure=figure, activations="relu tanh")


@pytest.mark.parametrize(
    ("name", "value"), [("inner_gain", [2.0]), ("inner_gain", [1.0, 2.0]), ("inner_layers", "orthogonal")]
)
@pytest.mark.parametrize(
    "kind", [{}, {"figure": "activations", "activations": "relu"}, {"figure": "depth", "depths": [1]}]
)
def test_networks_without_inner_layers_have_no_parameters_of_them(name, value, kind):
    with pytest.raises(ValidationError, match=f"{name} is of the layers between .* depth 3 or more"):
        sweep(**kind, **{name: value})


def test_one_alpha_a_width_figure_and_no_orthogonal_balanced_start():
    with pytest.raises(ValidationError, match="figure width shows one alpha"):
        sweep(alpha=[0.3, 0.5])
    with pytest.raises(ValidationError, match="a balanced initialisation is not orthogonal"):
        sweep(alpha=None, cases={"pairs": [[1, 1]]}, initialization="orthogonal_layers")


def test_several_initializations_are_points_of_the_figure_that_compares_them():
    assert sweep(initialization="uniform").initialization == ["uniform"]
    with pytest.raises(ValidationError, match="figure width shows one initialization"):
        sweep(initialization="gaussian uniform")
    points = sweep(figure="universality", initialization="gaussian uniform", alpha=0.5).points()
    assert {point.initialization for point in points} == {"gaussian", "uniform"}
    assert len({point.key for point in points}) == len(points)
    alone = sweep(alpha=0.5).points()
    assert {point.key for point in alone} < {point.key for point in points}


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Sweep, {**MINIMAL, "width": 5}),
        (Sweep, {**MINIMAL, "stop": {"tolerence": 1}}),
        (DataSet, {"N": 5}),
        (DataSets, {"a": {"samples": 3}}),
        (Reparametrization, {"rtol": 0.1}),
        (Stopping, {"max_iter": 3}),
        (Cases, {"pairs": [[1, 1]], "sigma": 2}),
    ],
)
def test_unknown_keys_are_refused(model, values):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate(values)


BAD = [
    ("widths", 0, "greater than or equal to 1"),
    ("widths", -5, "greater than or equal to 1"),
    ("widths", 2.5, "integer"),
    ("widths", 2**53 + 1, "less than or equal to 9007199254740992"),
    ("widths", [], "at least 1 item"),
    ("widths", "5:1", "at least 1 item"),
    ("widths", "many", "integer"),
    ("widths", [5, 5], r"widths must differ from each other, got \[5, 5\]"),
    ("seeds", -1, "greater than or equal to 0"),
    ("seeds", 2**63, "less than 9223372036854775808"),
    ("seeds", [], "at least 1 item"),
    ("seeds", "1 1", "seeds must differ from each other"),
    ("alpha", [0.5, 0.5], "alpha must differ from each other"),
    ("alpha", float("nan"), "finite number"),
    ("alpha", "half", "number"),
    ("solvers", [], "at least 1 item"),
    (
        "solvers",
        ["adam"],
        "one of gradient_flow, gradient_descent, flow_explicit, flow_exponential, momentum, nesterov, or",
    ),
    ("solvers", ["gradient_flow"] * 2, "solvers must differ from each other"),
    ("figure", "pie", "must be one of width, .*, distance, or a path"),
    (
        "initialization",
        "zero",
        "one of gaussian, uniform, rademacher, sparse, orthogonal, invariant_set, orthogonal_layers, or",
    ),
    ("density", 0, "greater than 0"),
    ("sampler", "sobol", "'auto', 'dense' or 'bartlett'"),
    ("step_size", 0, "greater than 0"),
    ("step_size", -1, "greater than 0"),
    ("step_size", float("inf"), "finite number"),
    ("step_size", float("nan"), "greater than 0|finite number"),
    ("step_size", None, "Field required"),
    ("title", None, "Field required"),
    ("flow_tolerance", 0, "greater than or equal to (1e-13|0.0000000000001)"),
    ("flow_tolerance", 1, "less than 1"),
    ("curve_points", 2, "greater than or equal to 3"),
    ("curve_points", 1001, "less than or equal to 1000"),
    ("delta", 0, "greater than 0"),
    ("delta", 1, "less than 1"),
    ("seed", -1, "greater than or equal to 0"),
    ("workers", 0, "workers must be -1 or at least 1, got 0"),
    ("workers", -2, "workers must be -1 or at least 1, got -2"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD)
def test_bad_values_are_refused_with_their_name_and_what_is_allowed(name, value, message):
    with pytest.raises(ValidationError, match=message) as error:
        sweep(**{name: value})
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n", 0, "greater than or equal to 1"),
        ("D", -1, "greater than or equal to 1"),
        ("m", 1.5, "integer"),
        ("rank", 6, r"rank must be at most min\(n, D\) = 5, got 6"),
        ("rank", 0, "greater than or equal to 1"),
        ("spectrum", "flat", "'gaussian', 'whitened' or 'geometric'"),
        ("cond", 0.5, "greater than or equal to 1"),
        ("cond", float("inf"), "finite number"),
        ("theta_std", -1, "greater than or equal to 0"),
        ("noise_std", float("nan"), "greater than or equal to 0|finite number"),
        ("draws", 0, "greater than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
    ],
)
def test_bad_data_sets_are_refused(name, value, message):
    with pytest.raises(ValidationError, match=message) as error:
        DataSet.model_validate({"n": 5, "D": 8, name: value})
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["", "2a", "a-b", "a/b", "a b", "../a"])
def test_bad_names_of_data_sets_are_refused(name):
    with pytest.raises(ValidationError, match="should match pattern"):
        DataSets.model_validate({name: {}})


@pytest.mark.parametrize(
    ("name", "value"), [("tolerance", 0), ("tolerance", -1), ("max_iterations", 0), ("stationary", 0)]
)
def test_bad_stopping_rules_are_refused(name, value):
    with pytest.raises(ValidationError, match="greater than") as error:
        Stopping.model_validate({name: value})
    assert name in str(error.value)


@pytest.mark.parametrize("rtol", [-0.1, 1.0, float("nan")])
def test_bad_rank_cuts_are_refused(rtol):
    with pytest.raises(ValidationError, match="rank_rtol"):
        Reparametrization.model_validate({"rank_rtol": rtol})


def test_values_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        sweep().delta = 0.1


# Cases


def test_ratios_keep_their_product():
    cases = Cases(product=0.01, ratios=[0.01, 1.0, 400.0])
    for (u, v), ratio in zip(cases.scales(), (0.01, 1.0, 400.0), strict=True):
        assert u * v == pytest.approx(0.01, rel=1e-14)
        assert u / v == pytest.approx(ratio, rel=1e-14)


def test_pairs_come_before_ratios_and_the_balanced_case_copies_the_first():
    cases = {"pairs": [[0.5, 0.02]], "product": 0.04, "ratios": [4.0]}
    points = sweep(alpha=None, cases=cases).points()
    assert [(p.case, p.sigma_u, p.sigma_v) for p in points] == [
        ("1", 0.5, 0.02),
        ("2", pytest.approx(0.4), pytest.approx(0.1)),
        ("balanced", 0.5, 0.02),
    ]
    assert all(p.alpha is None for p in points)
    assert [p.case for p in sweep(alpha=None, cases={**cases, "balanced": False}).points()] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "give at least one of pairs, or ratios with their product"),
        ({"ratios": [1.0]}, "ratios and product go together"),
        ({"product": 1.0, "pairs": [[1, 1]]}, "ratios and product go together"),
        ({"pairs": [[1, 0]]}, "greater than 0"),
        ({"pairs": [[1, 2, 3]]}, "pairs"),
        ({"product": -1.0, "ratios": [1.0]}, "greater than 0"),
    ],
)
def test_bad_cases_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Cases.model_validate(values)


def test_scales_come_from_alpha_or_from_cases():
    for changes in ({"alpha": None}, {"cases": {"pairs": [[1, 1]]}}):
        with pytest.raises(ValidationError, match="give either alpha or cases"):
            sweep(**changes)


# Points


def test_every_combination_is_one_point_with_its_own_key():
    solvers = ["gradient_flow", "gradient_descent"]
    every = sweep(figure="alpha", widths=[2, 10, 10**12], seeds=[0, 3], alpha=[0.3, 0.5], solvers=solvers)
    points = every.points()
    assert len(points) == 3 * 2 * 2 * 2
    assert len({p.key for p in points}) == len(points)
    assert len({(p.width, p.seed, p.alpha, p.solver) for p in points}) == len(points)
    for p in points:
        assert p.sigma_u == p.sigma_v == pytest.approx(p.width**-p.alpha, rel=1e-13)
    widths = [p.width for p in sorted(points, key=lambda p: p.key)]
    assert widths == sorted(widths)  # keys sort as the widths do


def test_close_alphas_have_different_keys():
    alphas = [0.5, 0.5 + 2**-53, float(np.nextafter(0.3, 1)), 0.3]
    keys = {p.key for p in sweep(figure="alpha", alpha=alphas).points()}
    assert len(keys) == len(set(alphas))


def test_seeds_select_draws_of_the_data_only_when_asked():
    assert [p.problem for p in sweep(seeds=[0, 5]).points()] == ["p-draw=0"] * 2
    assert [p.problem for p in sweep(seeds=[0, 5], redraw_data=True).points()] == ["p-draw=0", "p-draw=5"]
