"""What is done of a sweep and what is left: records of earlier runs are read back where their fingerprint is right.

A record carries the digest of everything that determines it: the data, the point, the parameters its stage depends on,
and the version of the numerics. Whatever else is found in its place is computed again.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

from kedro.io.core import DatasetError

from implicit_bias.fingerprints import digest, numerics
from implicit_bias.parameters import Engine, Point, Sweep
from implicit_bias.points import Loaders, Record, require, run_points

POINTS_SAY = frozenset({"widths", "seeds", "alpha", "cases", "problem", "redraw_data", "initialization", "solvers"})
"""Parameters that a stage knows from its point alone."""

NOT_RESULTS = frozenset({"title", "figure", "fresh", *Engine.model_fields})
"""Parameters that no record depends on."""

STALE = "is of other parameters, data or numerics: run the stage that makes it again"
MISSING = "holds nothing of this point: run the stage that makes it"

Reader = Callable[[str], Any]
"""Reads what earlier runs have left of a point; None if that is nothing."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """A stage of a sweep.

    Attributes:
        name: what it is called where its progress is shown.
        output: the dataset of its records.
        compute: what it does for a point; its module tells the version of the numerics.
        ignores: parameters of the sweep, beside POINTS_SAY and NOT_RESULTS, that its records do not depend on.
    """

    name: str
    output: str
    compute: Callable[..., Record]
    ignores: frozenset[str] = frozenset()

    @cached_property
    def numerics(self) -> str:
        return numerics(self.compute.__module__)

    def fingerprint(self, point: Point, sweep: Sweep, data: str) -> str:
        """The digest of all that determines the record of a point.

        Args:
            point: the point.
            sweep: parameters of its sweep.
            data: digest of its problem.
        """
        settings = sweep.model_dump(exclude=set(self.ignores | POINTS_SAY | NOT_RESULTS))
        return digest([self.output, self.numerics, data, asdict(point), settings])


def compute_points(
    stage: Stage,
    sweep: Sweep,
    plan: dict[str, Any],
    problems: Loaders,
    stored: dict[str, Reader],
    inputs: dict[Stage, Loaders],
    usable: Callable[[str, Record], bool] = lambda key, record: True,
) -> Iterator[tuple[str, Record]]:
    """Yield the record of every planned point: first those that earlier runs have left, then the others as they finish.

    Args:
        stage: what is done.
        sweep: parameters of the sweep; `fresh` leaves nothing to be reused.
        plan: the points of the sweep, written down before them.
        problems: name -> loader of a Problem's fields.
        stored: dataset -> reader of what earlier runs have left of a point.
        inputs: the earlier stages whose records `stage.compute` takes after point, sweep and problem -> those records.
        usable: whether a stored record is still good for something; asked of those with the right fingerprint.

    Yields:
        key and record; {"error": message} for a point that could not be computed.

    Raises:
        ValueError: the plan is that of other parameters, as it may be where a stage is run by itself.
    """
    check_plan(sweep, plan)
    points = {point.key: point for point in sweep.points()}
    require(dict.fromkeys(point.problem for point in points.values()), problems, "problems", "reparametrization")
    problem = lru_cache(1)(lambda name: problems[name]())
    data = {name: digest(problem(name)) for name in dict.fromkeys(point.problem for point in points.values())}

    def expected(of: Stage, key: str) -> str:
        return of.fingerprint(points[key], sweep, data[points[key].problem])

    missing = []
    for key in points:
        record = None if sweep.fresh else _stored(stored[stage.output], key, expected(stage, key), stage)
        if record is not None and usable(key, record):
            yield key, record
        else:
            missing.append(key)
    if len(missing) < len(points):
        logger.info("%s: %d of %d points were done before", stage.name, len(points) - len(missing), len(points))
    tasks = (
        (
            key,
            (
                points[key],
                sweep,
                problem(points[key].problem),
                *(_input(load.get(key), expected(of, key), of) for of, load in inputs.items()),
            ),
        )
        for key in missing
    )
    for key, record in run_points(stage.compute, tasks, len(missing), sweep, stage.name):
        yield key, record if "error" in record else record | {"fingerprint": expected(stage, key)}


def check_plan(sweep: Sweep, plan: dict[str, Any]) -> None:
    """Refuse a plan that was made for other points than those of a sweep.

    Raises:
        ValueError: it was.
    """
    if other := {point.key for point in sweep.points()} ^ plan["points"].keys():
        raise ValueError(
            f"the plan was made for other parameters: {len(other)} points are in one of them only, such as "
            f"{min(other)!r}; run the stage that makes it, initialization, again"
        )


def _stored(read: Reader, key: str, fingerprint: str, stage: Stage) -> Record | None:
    """The record of a point that an earlier run has left, if there is one and it is not stale, damaged or an error."""
    try:
        record: Record | None = read(key)
    except DatasetError as error:
        logger.warning("%s: computed again: %s", stage.name, error)
        return None
    return record if record is not None and record.get("fingerprint") == fingerprint else None


def _input(load: Callable[[], Record] | None, fingerprint: str, stage: Stage) -> Record:
    """The record of a point from an earlier stage, without its fingerprint; an error if it cannot be used."""
    if load is None:
        return {"error": f"{stage.output} {MISSING}"}
    try:
        record = load()
    except DatasetError as error:
        return {"error": str(error)}
    if "error" not in record and record.pop("fingerprint", None) != fingerprint:
        return {"error": f"what {stage.output} holds of this point {STALE}"}
    return record
