"""The reference spectra, as conf/spectra reads them: their shapes, and trained networks where the law expects them."""

import numpy as np
import pandas as pd
import pytest
import yaml

from implicit_bias.pipeline_registry import SPECTRA
from implicit_bias.pipelines.own_data import prepare_data
from implicit_bias.sweeps.data import OwnData
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory import Problem, Stop, gradient_flow, reparametrize, scaled, standard_normal
from implicit_bias.theory.law.prediction import predict_band
from tests.support.project import REPOSITORY

PARAMETERS = yaml.safe_load((REPOSITORY / "conf/spectra/parameters.yml").read_text())
SHAPES = {"glucose": (16, 1047, 1), "window": (16, 410, 1), "analytes": (26, 410, 5)}


def problem(instance: str) -> Problem:
    folder = REPOSITORY / "data/reference/fermentation"
    X, Y = (pd.read_csv(folder / f"{SPECTRA[instance]}_{kind}.csv") for kind in ("spectra", "hplc"))
    data = prepare_data(X, OwnData(**PARAMETERS[instance]["own_data"]), Y)["own-draw=0"]
    return reparametrize(data["X"], data["Y"])


@pytest.mark.parametrize("instance", SPECTRA)
def test_a_trained_network_ends_where_the_law_expects_it(instance: str) -> None:
    given = problem(instance)
    assert (given.n, given.D, given.m) == SHAPES[instance]
    assert given.r == given.n - 1  # centred rows are dependent
    assert Sweep(**PARAMETERS[instance]["width_sweep"]).stop.tolerance is None
    h = 10_000
    state = scaled(standard_normal(given, h, np.random.default_rng(0), "bartlett"), h**-0.5, h**-0.5)
    run = gradient_flow(given, state, times=[], stop=Stop())
    distance = np.linalg.norm(state.U2 @ run.V[-1].T)
    _, lower, upper = predict_band(given, 1.0, 1.0, float(h), 1e-6)  # false alarm 1e-6
    assert lower < distance < upper
    np.testing.assert_allclose(run.product[-1], given.min_norm_coordinates, atol=1e-6 * given.y_norm)
