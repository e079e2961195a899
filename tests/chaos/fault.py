"""A fault: what a project is before it, and how it strikes."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.lane import Lane


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        family: the family it is counted in.
        name: what happens.
        state: the state of the project before it.
        strike: disturbs the project of a lane, and gives complaints about what was seen meanwhile.
        syncs: whether `kedro implicit-bias sync` is called before the next run.
        whole: whether the command draws the figures and writes the report, too; or ends with the points.
    """

    family: str
    name: str
    state: str
    strike: Callable[[Lane], list[str]]
    syncs: bool = False
    whole: bool = True


Draw = Callable[[random.Random], Fault]
"""Draws a fault of a family."""
