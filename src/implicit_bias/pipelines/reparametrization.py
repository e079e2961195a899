"""Stage 2: reparametrise the data by their SVD."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline
from threadpoolctl import threadpool_limits

from implicit_bias.parameters import Reparametrization
from implicit_bias.theory.problem import reparametrize


def reparametrize_data(
    data: dict[str, Callable[[], dict[str, Any]]], reparametrization: Reparametrization
) -> dict[str, dict[str, Any]]:
    """Compute the SVD reparametrisation and the min-norm solution of every data set (paper, section 2.1 and eq. 11).

    Args:
        data: name -> loader of X (n, D) and Y (n, m).
        reparametrization: the rank rule.

    Returns:
        name -> the fields of a Problem.
    """
    arrays = {name: load() for name, load in data.items()}
    with threadpool_limits(1):  # the same bits, hence the same fingerprints, on any number of cores
        return {
            name: vars(reparametrize(array["X"], array["Y"], reparametrization.rank_rtol))
            for name, array in arrays.items()
        }


def create_pipeline(**_: Any) -> Pipeline:
    """Data -> problems."""
    return Pipeline(
        [
            Node(
                reparametrize_data,
                inputs=["data", "params:reparametrization"],
                outputs="problems",
                name="reparametrize_data",
            )
        ]
    )
