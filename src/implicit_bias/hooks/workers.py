"""Worker processes that start while the main process is still busy with itself."""

from typing import TYPE_CHECKING, Any

from implicit_bias.hooks.misspelt import PARAMETERS
from implicit_bias.hooks.siblings import is_ours

if TYPE_CHECKING:
    from kedro.pipeline import Node, Pipeline

    from implicit_bias.tracking.marks import Catalog


def start_workers(pipeline: "Pipeline", catalog: "Catalog") -> None:
    """Start the processes in which the first sweep of a run will compute its points, if it has none from before.

    Where an earlier run has left some it may have left all, and then there would be nothing for them to do.
    """
    ours = [node for node in pipeline.nodes if is_ours(node)]
    if not ours:
        return
    from implicit_bias.sweeps.datasets import StoredDataset
    from implicit_bias.sweeps.parameters import Sweep
    from implicit_bias.sweeps.records import modules_found
    from implicit_bias.sweeps.workers import start_early

    computing = {node: found for node in ours if (found := _inputs(node, catalog, StoredDataset))}
    for node, (stored, *_) in computing.items():
        for sweep in (dataset.load() for dataset in _parameters(node, catalog)):
            if isinstance(sweep, Sweep):
                if sweep.fresh or stored.is_empty():
                    modules = [*(each.func.__module__ for each in computing), *modules_found(sweep)]
                    start_early(sweep, len(sweep.points()), list(dict.fromkeys(modules)))
                return


def _inputs(node: "Node", catalog: "Catalog", kind: type[Any]) -> list[Any]:
    """The datasets of a kind that a node reads."""
    found = (catalog.get(name) for name in node.inputs if not name.startswith(PARAMETERS))
    return [dataset for dataset in found if isinstance(dataset, kind)]


def _parameters(node: "Node", catalog: "Catalog") -> list[Any]:
    """The datasets of the parameters that a node reads."""
    return [catalog.get(name) for name in node.inputs if name.startswith(PARAMETERS) and name in catalog]
