"""Stage 2: reparametrise the data by their SVD."""

import logging
from typing import Any

from kedro.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from implicit_bias.pipelines.nodes import node
from implicit_bias.sweeps.data import Reparametrization
from implicit_bias.sweeps.handover import Data, DataFields, ProblemFields, problem_fields
from implicit_bias.theory.problem import Problem, doubtful_ranks, rank_cut, reparametrize

logger = logging.getLogger(__name__)


def reparametrize_data(data: Data, reparametrization: Reparametrization) -> dict[str, ProblemFields]:
    """Compute the SVD reparametrisation and the min-norm solution of every data set (paper, section 2.1 and eq. 11).

    Args:
        data: name -> loader of X (n, D), Y (n, m) and, of tables of one's own, the rounding of X.
        reparametrization: the rank rule.

    Returns:
        name -> the fields of a Problem.
    """
    problems = {name: reparametrized(load(), reparametrization) for name, load in data.items()}
    for name, problem in problems.items():
        if said := said_of_rank(problem, data[name](), reparametrization):
            logger.warning("%s: %s", name, said)
    return {name: problem_fields(problem) for name, problem in problems.items()}


def reparametrized(record: DataFields, rule: Reparametrization) -> Problem:
    """The problem of a data set.

    Args:
        record: X (n, D), Y (n, m) and, where it is known, `rounding`.
        rule: the rank rule.
    """
    with threadpool_limits(1):  # the same bits, hence the same fingerprints, on any number of cores
        return reparametrize(record["X"], record["Y"], rule.rank_rtol, record.get("rounding"), rule.rank)


def said_of_rank(problem: Problem, record: DataFields, rule: Reparametrization) -> str:
    """What to say of a spectrum without a gap at the rank cut; "" if it has one or if the rule was chosen."""
    if rule.rank is not None or rule.rank_rtol is not None:
        return ""
    cut = rank_cut(record["X"].shape, float(problem.sigma[0]), None, record.get("rounding", 0.0))
    if (ranks := doubtful_ranks(problem.sigma, cut)) is None:
        return ""
    low, high = ranks
    return (
        f"no gap in the spectrum at the size of the rounding, {cut:.2g}: {high - low} of the singular values are less "
        f"than ten times that, and the rank may be {low} to {high}; taken is {high}. Choose by reparametrization.rank "
        "or rank_rtol"
    )


def create_pipeline(**_: Any) -> Pipeline:
    """Data -> problems."""
    return Pipeline([node(reparametrize_data, ["data", "params:reparametrization"], "problems")])
