"""What the configuration of this project leaves out: the folder of each environment, and the datasets of sweeps."""

from collections.abc import Iterable
from typing import Any

import yaml
from kedro.config import OmegaConfigLoader

from implicit_bias.project import catalog

FOLDER = "data"
"""Where the runs of an environment write, relative to the project."""
SHARED = (None, "base", "local")
"""Environments that write into the folder itself; every other one has its own in it."""


class ProjectConfigLoader(OmegaConfigLoader):
    """Completes `globals` and `catalog`; what a file in conf/ says takes precedence.

    A hook could do the same, but kedro-viz opens a project without its hooks.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        loaded: dict[str, Any] = super().__getitem__(key)
        match key:
            case "globals":
                return {"folder": FOLDER if self.env in SHARED else f"{FOLDER}/{self.env}"} | loaded
            case "catalog":
                return datasets(self["globals"]["folder"], problems(self["parameters"])) | loaded
        return loaded


def problems(parameters: dict[str, Any]) -> list[str]:
    """The namespaces of problems from tables: the blocks of parameters that have `own_data`."""
    return [name for name, block in parameters.items() if isinstance(block, dict) and "own_data" in block]


def datasets(folder: str, namespaces: Iterable[str] = ()) -> dict[str, Any]:
    """The catalogue of the sweeps of the paper and of those of each namespace, whose sections are on one page."""
    texts = [catalog(folder), *(catalog(f"{folder}/{name}", name, f"{folder}/08_reporting") for name in namespaces)]
    entries = {name: entry for text in texts for name, entry in yaml.safe_load(text).items()}
    return {name: entry for name, entry in entries.items() if not name.startswith("_")}
