"""What a row of the registry says of an initialisation is true of the networks that it draws."""

import subprocess
import sys

import numpy as np
import pytest

from implicit_bias.theory.initialization import gaussian
from implicit_bias.theory.initialization.entries import independent_entries, orthogonal_entries
from implicit_bias.theory.initialization.registry import (
    INITIALIZATIONS,
    Initialization,
    initial_state,
    initialization,
    with_law,
)
from implicit_bias.theory.networks.two_layer import imbalance_matrix
from tests.support.networks import random_case

CASE = random_case("three outputs")
H = 40


def rng():
    return np.random.default_rng(3)


def drawn(name, **options):
    return initial_state(CASE.problem, H, rng(), name, 0.3, 0.7, density=0.5, **options)


def own(problem, h, rng, density, sampler):
    return gaussian.scaled(gaussian.standard_normal(problem, h, rng, sampler), 2.0, 2.0)


OURS = Initialization("twice a Gaussian network", own)


@pytest.mark.parametrize("name", ["uniform", "rademacher", "sparse", "orthogonal", "gaussian"])
def test_a_named_network_is_the_drawn_one_scaled(name):
    p = CASE.problem
    plain = {
        "gaussian": lambda: gaussian.standard_normal(p, H, rng()),
        "orthogonal": lambda: orthogonal_entries(p, H, rng()),
    }.get(name, lambda: independent_entries(p, H, rng(), name, 0.5))()
    np.testing.assert_array_equal(drawn(name).R, gaussian.scaled(plain, 0.3, 0.7).R)


def test_projections_come_last():
    state = drawn("invariant_set")
    assert np.abs(state.R @ state.U2.T).max() < 1e-12
    state = drawn("orthogonal_layers")
    assert np.abs(state.U1 @ state.V.T).max() < 1e-12
    state = drawn("invariant_set", balanced=True)
    assert np.abs(imbalance_matrix(state.R, state.r)).max() < 1e-12
    assert np.abs(state.R @ state.U2.T).max() < 1e-12


def test_scales_are_those_of_the_paper_unless_given():
    state = initial_state(CASE.problem, H, rng())
    np.testing.assert_array_equal(state.R, initial_state(CASE.problem, H, rng(), "gaussian", H**-0.5, H**-0.5).R)


def test_every_row_says_what_the_law_is_for_it():
    assert with_law("exact") == ["gaussian"]
    assert with_law("silent") == ["invariant_set", "orthogonal_layers"]
    for name in with_law("asymptotic"):
        row = INITIALIZATIONS[name]
        assert row.orthogonal != (row.kurtosis is not None), name
    assert all(row.description for row in INITIALIZATIONS.values())


def test_an_import_path_names_an_initialisation_of_ones_own():
    assert initialization(f"{__name__}:OURS") is OURS
    np.testing.assert_allclose(drawn(f"{__name__}:OURS").R, 2 * drawn("gaussian").R)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gausian",
            r"initialization must be one of gaussian, .*, or a path package.module:object, got 'gausian' \(did",
        ),
        ("nowhere.at_all:START", "initialization 'nowhere.at_all:START' cannot be imported: No module named 'nowhere'"),
        ("math:START", "cannot be imported: module 'math' has no attribute 'START'"),
        ("math:pi", "'math:pi' must be a .*Initialization, got float"),
        (":START", "cannot be imported"),
    ],
)
def test_what_names_no_initialisation_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        initialization(name)


def test_another_process_needs_no_registration_of_its_own():
    code = f"from implicit_bias.theory.initialization.registry import initialization as i; print(i('{__name__}:OURS'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "twice a Gaussian network" in result.stdout, result.stderr
