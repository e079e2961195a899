"""Checking the claims, seed by seed and batch by batch of problems: what `verification` does, as one stage."""

from functools import partial
from typing import Any

import numpy as np

from implicit_bias.sweeps.compute import Stage, StageTask, load
from implicit_bias.sweeps.fingerprint import digest
from implicit_bias.sweeps.handover import Loaders, Record, failure_of
from implicit_bias.sweeps.studies import Verification
from implicit_bias.theory.claims.chance import check_seed
from implicit_bias.theory.claims.check import Check
from implicit_bias.theory.claims.problems import check_index

BATCH = 25
"""Problems checked in one task."""

OF_SEEDS = ("initial", "trained")
"""What a seed gives; a batch of problems gives the checks of claims."""


def run_check(kind: str, *arguments: Any) -> Record:
    """Check one seed or one batch of problems."""
    return check_seed(*arguments) if kind == "seed" else check_batch(*arguments)


CHECKS = Stage("verify", "batches", "verification", run_check)


def check_batch(seed: int, first: int, end: int) -> Record:
    """Check the problems of the indices from `first` to before `end`.

    Returns:
        "<claim>/<part>" of the parts of a Check -> an array over the problems that could be checked, and "errors":
        what failed and why, one text each.
    """
    checked: list[dict[str, Check]] = []
    errors: list[str] = []
    for index in range(first, end):
        try:
            checked.append(check_index(seed, index))
        except Exception as error:
            errors.append(f"problem {index}: {type(error).__name__}: {error}")
    joined: Record = {
        f"{name}/{part}": np.array([getattr(checks[name], part) for checks in checked])
        for name in (checked[0] if checked else ())
        for part in ("met", "ratio", "limit")
    }
    return joined | {"errors": np.array(errors, dtype=np.str_)}


def tasks(verification: Verification) -> list[StageTask]:
    """What is checked: one task per seed, one per batch of problems."""
    v = verification
    seeds = {
        f"seed={index:07d}": ("seed", v.seed, index, v.widths, v.alphas, v.delta, v.draws) for index in range(v.seeds)
    }
    batches = {
        f"problems={first:08d}": ("problems", v.seed, first, min(first + BATCH, v.problems))
        for first in range(0, v.problems, BATCH)
    }
    return [
        StageTask(key, CHECKS.fingerprint(arguments), partial(tuple, arguments))
        for key, arguments in (seeds | batches).items()
    ]


def checks_fingerprint(verification: Verification) -> str:
    """What everything made of all the checks must carry."""
    return digest([task.fingerprint for task in tasks(verification)])


def join(verification: Verification, batches: Loaders) -> Record:
    """All that was checked as one record.

    Returns:
        what `claim_rows` takes, as arrays, and "errors": what failed and why, one text each.

    Raises:
        RuntimeError: no problem, or fewer than two seeds, could be checked.
        StaleRecords: a batch is of other parameters or numerics.
    """
    errors: list[str] = []
    parts: dict[str, list[Any]] = {}
    for task in tasks(verification):
        record = load(CHECKS, batches, task.key, task.fingerprint)
        if (reason := failure_of(record)) is not None:
            errors.append(f"{task.key}: {reason}")
            continue
        errors += map(str, record.pop("errors", ()))
        for name, values in record.items():
            parts.setdefault(name, []).append(values)
    if not parts.keys() - set(OF_SEEDS) or len(parts.get("initial", ())) < 2:
        raise RuntimeError(f"{len(errors)} of the checks failed, too many for a table. {errors[0]}")
    joined = {name: np.array(found) if name in OF_SEEDS else np.concatenate(found) for name, found in parts.items()}
    return joined | {"errors": np.array(errors, dtype=np.str_)}
