"""The records of a sweep: which fingerprint each must carry, and computing those that are not there."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from implicit_bias.sweeps.compute import (
    ReadStored,
    Stage,
    StageTask,
    StaleRecords,
    check_table,
    compute_tasks,
    load,
    load_or_error,
)
from implicit_bias.sweeps.fingerprint import digest, numerics
from implicit_bias.sweeps.handover import Data, DataFields, Loaders, Plan, Problems, Record
from implicit_bias.sweeps.kinds.base import STEPS, step_modules
from implicit_bias.sweeps.manifest import check_plan, sweep_params
from implicit_bias.sweeps.parameters import HANDLING, Point, Sweep
from implicit_bias.sweeps.points import require
from implicit_bias.theory.named import modules

if TYPE_CHECKING:
    import pandas as pd

POINTS_SAY = frozenset(
    {
        "widths",
        "seeds",
        "alpha",
        "cases",
        "problem",
        "redraw_data",
        "initialization",
        "solvers",
        "depths",
        "inner_gain",
        "activations",
        "sigma_u",
    }
)
"""Parameters that a stage knows from its point alone."""

NOT_RESULTS = frozenset({"title", "figure", *HANDLING})
"""Parameters that no record depends on."""


class Fingerprints:
    """What every record of a sweep must carry.

    Args:
        sweep: parameters of the sweep.
        plan: the points of the sweep, as they were written down.
        problems: name -> loader of a Problem's fields.
        beside: stage -> name -> loader of what else it computes its records from.

    Raises:
        StaleRecords: the plan is of other parameters or data, as it may be where a stage is run by itself.
        NothingOfPoints: a problem is missing.
    """

    def __init__(
        self, sweep: Sweep, plan: Plan, problems: Problems, beside: Mapping[Stage, Loaders] | None = None
    ) -> None:
        self.sweep = sweep
        self.points = {point.key: point for point in sweep.points()}
        names = dict.fromkeys(point.problem for point in self.points.values())
        require(names, problems, "problems", "reparametrization")
        self._data = {name: digest(problems[name]()) for name in names}
        self._rows = {each["name"]: each["rows"] for each in plan.get("datasets", ()) if "rows" in each}
        self._beside = {stage: {name: digest(more[name]()) for name in names} for stage, more in (beside or {}).items()}
        self._settings = settings_of(sweep)
        check_plan(plan, sweep_params(sweep), self._data, "initialization")

    def of(self, stage: Stage, key: str) -> str:
        """The fingerprint of the record that a stage makes of a point."""
        point = self.points[key]
        data = self._data[point.problem]
        if self.sweep.kind.reads_rows:
            data = digest([data, self._rows[point.problem]])
        if stage in self._beside:
            data = digest([data, self._beside[stage][point.problem]])
        return point_fingerprint(stage, point, data, self._settings)

    def rows(self, data: Data, name: str) -> DataFields:
        """The rows of a data set, for networks that need them.

        Raises:
            StaleRecords: they are not those that the plan was made for.
        """
        rows = data[name]()
        if digest(rows) != self._rows[name]:
            raise StaleRecords(f"the plan was made for other rows than {name!r} has now: run initialization again")
        return rows

    def load(self, stage: Stage, records: Loaders, key: str) -> Record:
        """The record that a stage has made of a point; see `compute.load`."""
        return load(stage, records, key, self.of(stage, key))

    def check(self, stage: Stage, table: "pd.DataFrame") -> None:
        """Refuse a table of points that are not those of the sweep; see `compute.check_table`."""
        check_table(stage, table, {key: self.of(stage, key) for key in self.points})


def point_fingerprint(stage: Stage, point: Point, data: str, settings: Callable[..., str]) -> str:
    """The digest of all that determines the record of a point.

    Args:
        stage: what makes the record.
        point: the point; its key, and the number of its case, which depends on other points, do not count.
        data: digest of its problem.
        settings: of its sweep, see `settings_of`.
    """
    shared = settings(stage, point.initialization, point.solver, point.activation or "")
    return stage.fingerprint([data, vars(point) | {"key": None, "case": point.balanced}, shared])


def settings_of(sweep: Sweep) -> Callable[..., str]:
    """Stage and names, which may be import paths -> digest of what its points of these names share.

    That is the parameters that the stage depends on, and the code that is found by name.
    """

    @cache
    def settings(stage: Stage, *names: str) -> str:
        told = sweep.model_dump(exclude=set(stage.ignores | POINTS_SAY | NOT_RESULTS)) | {"kind": sweep.kind.name}
        return digest([told, numerics(*_found_by_name(sweep, stage.steps, names))])

    return settings


def modules_found(sweep: Sweep, steps: tuple[str, ...] = STEPS) -> list[str]:
    """Modules that take these steps of the points of a sweep and that the stages do not import by name."""
    return _found_by_name(sweep, steps, [*sweep.initialization, *sweep.solvers, *sweep.activations])


def _found_by_name(sweep: Sweep, steps: tuple[str, ...], names: Iterable[str]) -> list[str]:
    paths = modules([*names, sweep.network or ""])
    return sorted({*step_modules(sweep.kind, steps), *sweep.kind.modules, *paths})


def compute_points(
    stage: Stage,
    sweep: Sweep,
    plan: Plan,
    problems: Problems,
    stored: Mapping[str, ReadStored],
    inputs: Mapping[Stage, Loaders],
    usable: Callable[[str, Record], bool] = lambda key, record: True,
    beside: Loaders | None = None,
    rows: Data | None = None,
) -> Iterator[tuple[str, Record]]:
    """Yield the record of every point of a sweep: those that earlier runs have left, then the others as they finish.

    Args:
        stage: what is done.
        sweep: parameters of the sweep; `fresh` leaves nothing to be reused.
        plan: the points of the sweep, written down before them.
        problems: name -> loader of a Problem's fields.
        stored: dataset -> reader of what earlier runs have left of a point.
        inputs: the earlier stages whose records `stage.compute` takes after point, sweep and problem -> those records.
        usable: whether a stored record is still good for something; asked of those with the right fingerprint.
        beside: name of a problem -> loader of what else `stage.compute` takes, after all that.
        rows: name -> loader of the data sets, which come last for networks that need them.

    Yields:
        key and record; a `Failure` of a point that could not be computed.

    Raises:
        StaleRecords: the plan, or a record of an earlier stage, is of other parameters, data or numerics.
    """
    fingerprints = Fingerprints(sweep, plan, problems, {} if beside is None else {stage: beside})
    problem = lru_cache(1)(lambda name: problems[name]())
    samples = lru_cache(1)(lambda name: [fingerprints.rows(rows, name)] if rows and sweep.kind.reads_rows else [])

    def arguments(key: str) -> tuple[Any, ...]:
        point = fingerprints.points[key]
        earlier = (load_or_error(of, records, key, fingerprints.of(of, key)) for of, records in inputs.items())
        return (
            point,
            sweep,
            problem(point.problem),
            *earlier,
            *([beside[point.problem]()] if beside else []),
            *samples(point.problem),
        )

    tasks = [StageTask(key, fingerprints.of(stage, key), partial(arguments, key)) for key in fingerprints.points]
    yield from compute_tasks(stage, tasks, stored, sweep, usable, modules_found(sweep, stage.steps))
