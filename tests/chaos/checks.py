"""What a trial must leave: every point once, whole, with its files, and nothing else."""

import re

from tests.chaos.lane import Lane
from tests.chaos.store import TIMED, Contents, Tracked, contents

TIMES = re.compile(r"/sections/|report\.html|width_points\.csv|width_summary\.json|width_figure\.pdf|\.run\.json")
"""Files that say when, how long, or by which run: they are compared without numbers."""
LINKING = re.compile(r"/sections/|report\.html")
"""Files with links to the store: they are other ones if that is elsewhere."""
NUMBERS = re.compile(rb"[0-9a-f.+-]+")
"""Numbers in any base, and what else has their letters."""


def complaints(lane: Lane) -> list[str]:
    """What is lost, doubled, stuck or wrong in the project of a lane, beside what an undisturbed run leaves."""
    expected = lane.reference
    assert expected is not None
    try:
        found = contents(lane.project, lane.tracked)
    except Exception as error:
        return [f"the store cannot be read: {type(error).__name__}: {error}"]
    said = [] if found.sound == "ok" else [f"the database is damaged: {found.sound}"]
    said += _of_runs(found, expected) + _of_files(found, expected, away=lane.tracked is not None)
    return said + [f"{name} was written outside the project" for name in lane.foreign()]


def _of_runs(found: Contents, expected: Contents) -> list[str]:
    said = []
    if len(found.parents) != 1:
        said.append(f"{len(found.parents)} parents")
    if orphans := found.children.keys() - {parent.run_id for parent in found.parents} - found.deleted:
        said.append(f"{len(orphans)} parents of children are not there")
    (model,) = expected.parents
    points = dict(expected.children[model.run_id])
    for parent in found.parents:
        said += _differences("parent", parent, model)
        children = found.children[parent.run_id]
        names = [name for name, _ in children]
        said += [f"{name} is there {names.count(name)} times" for name in sorted(points) if names.count(name) != 1]
        said += [f"a child of no point: {name}" for name in names if name not in points]
        for name, child in children:
            if name in points:
                said += _differences(name, child, points[name])
    return said


def _differences(name: str, found: Tracked, expected: Tracked) -> list[str]:
    said = [] if found.status == expected.status else [f"{name} is {found.status}"]
    said += [
        f"{name} has the tag {tag}" for tag in ("implicit_bias.error", "implicit_bias.missing") if tag in found.tags
    ]
    if found.params != expected.params:
        said.append(f"{name} has other params")
    if found.metrics.keys() != expected.metrics.keys():
        said.append(f"{name} lacks metrics {sorted(expected.metrics.keys() - found.metrics.keys())[:3]}")
    elif wrong := [key for key, value in expected.metrics.items() if TIMED not in key and found.metrics[key] != value]:
        said.append(f"{name} has other values of {wrong[:3]}")
    if fewer := [key for key, count in expected.counts.items() if found.counts.get(key, 0) < count]:
        said.append(f"{name} has fewer values of {fewer[:3]}")
    if found.artifacts.keys() != expected.artifacts.keys():
        lacks, more = (
            expected.artifacts.keys() - found.artifacts.keys(),
            found.artifacts.keys() - expected.artifacts.keys(),
        )
        said.append(f"{name} lacks artifacts {sorted(lacks)[:3]}, has others {sorted(more)[:3]}")
    elif broken := [key for key, size in found.artifacts.items() if not size and expected.artifacts[key]]:
        said.append(f"{name} has empty artifacts {broken[:3]}")
    return said


def _of_files(found: Contents, expected: Contents, away: bool) -> list[str]:
    said = [f"the file {name} is lost" for name in expected.files.keys() - found.files.keys()]
    said += [f"the file {name} was left" for name in found.files.keys() - expected.files.keys()]
    for name in sorted(expected.files.keys() & found.files.keys()):
        if away and LINKING.search(name) and found.files[name]:
            continue
        if found.files[name] != expected.files[name] and not (TIMES.search(name) and _same(name, found, expected)):
            said.append(f"the file {name} is wrong")
    return said


def _same(name: str, found: Contents, expected: Contents) -> bool:
    return len({NUMBERS.sub(b"#", each.files[name]) for each in (found, expected)}) == 1
