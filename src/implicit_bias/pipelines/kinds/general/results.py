"""What the points of a sweep say together."""

from typing import TYPE_CHECKING

from implicit_bias.pipelines.kinds.linear import of_linear
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.problem import Problem

if TYPE_CHECKING:
    import pandas as pd


def summary(sweep: Sweep, problems: list[Problem], table: "pd.DataFrame") -> Record:
    """Aggregate metrics of the sweep, and its means against width."""
    return of_linear(sweep, table)
