"""What the parent run of a sweep says of its plan: its name, what has changed since its last run, its data sets."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from mlflow.entities import Dataset, Run

from implicit_bias.tracking.addresses import redacted
from implicit_bias.tracking.limits import (
    DATASET_NAME,
    NAME,
    NOTE,
    PROFILE,
    SCHEMA,
    contrast,
    short_name,
    short_value,
)
from implicit_bias.tracking.provenance import plan_fingerprint
from implicit_bias.tracking.runs import shortened, texts
from implicit_bias.tracking.tags import PLAN

NUMBER = 10
"""Characters kept for the number in the name of a run."""
MOST_CHANGES = 8
"""Changed parameters named in a description."""
METRICS = "metrics.csv"
"""The artifact that says what the metrics are."""


def next_name(name: str, taken: Sequence[str]) -> str:
    """The name, with the next number if it is taken; runs of the sweep with other titles have numbers of their own."""
    name = short_name(name, NAME - NUMBER)
    found = (re.fullmatch(re.escape(name) + r"(?: #(\d+))?", each) for each in taken)
    numbers = [int(each[1] or 1) for each in found if each]
    return f"{name} #{max(numbers) + 1}" if numbers else name


def changes(plan: Mapping[str, Any], before: Run) -> str:
    """What a sweep computes that its last run did not, as a line of its description."""
    name = before.info.run_name
    if before.data.tags.get(PLAN) == plan_fingerprint(plan):
        return f"\n\nA repetition of {name}."
    old, new = before.data.params, shortened(texts(plan.get("params", {})))
    pairs = {key: contrast(old.get(key, "–"), value) for key, value in new.items() if old.get(key) != value}
    changed = [f"{key} {' → '.join(pair)}" for key, pair in pairs.items()]
    more = ", …" if len(changed) > MOST_CHANGES else ""
    if not changed:
        return f"\n\nOther data or code than {name}."
    return f"\n\nSince {name}: {', '.join(changed[:MOST_CHANGES])}{more}."


def dataset(entry: Mapping[str, Any]) -> Dataset:
    """A dataset of a plan: name, digest and, if known, source, schema and profile (text, or anything JSON holds)."""
    source = redacted(str(entry.get("source", entry["name"])))
    kind, key = ("http", "url") if source.startswith(("http://", "https://")) else ("local", "uri")
    schema, profile = (
        value if value is None or isinstance(value, str) else json.dumps(value)
        for value in (entry.get("schema"), entry.get("profile"))
    )
    name, address = short_name(str(entry["name"]), DATASET_NAME), json.dumps({key: short_value(source, NOTE)})
    schema = schema if len(schema or "") <= SCHEMA else None
    profile = profile if len(profile or "") <= PROFILE else None
    return Dataset(name, str(entry["digest"])[:36], kind, address, schema, profile)


def as_csv(told: Mapping[str, str]) -> bytes:
    """What metrics are, as the table that MLflow's page shows."""
    stream = StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("metric", "what it is"), *told.items()])
    return stream.getvalue().encode()
