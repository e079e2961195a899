"""The implicit bias of a problem of one's own: tables X and Y -> data set -> sweeps, in a namespace of its own."""

from collections.abc import Mapping, Sequence

from kedro.pipeline import Node, Pipeline

from implicit_bias.own_data.prepare import prepare_data
from implicit_bias.pipelines import reparametrization, report, sweep
from implicit_bias.pipelines.reserved import is_reserved


def create_pipeline(
    X: str = "X",
    Y: str | None = "Y",
    X_test: str | None = None,
    Y_test: str | None = None,
    *,
    namespace: str = "implicit_bias",
    sweeps: Sequence[str] = ("width_sweep",),
    outputs: Mapping[str, str] | None = None,
) -> Pipeline:
    """Tables of a project -> the points, tables and figures of sweeps on them, all in one namespace.

    Several pipelines live in one project without meeting if their namespaces differ. Parameters are those under the
    name of the namespace: `own_data`, `reparametrization` and one block for each sweep. Where its datasets are kept,
    and that they are tracked, says the catalog; `kedro implicit-bias init` writes both.

    Args:
        X: dataset of the inputs, any that loads to a table.
        Y: dataset of the targets; None, or X again, if they are columns of X.
        X_test: dataset of test inputs.
        Y_test: dataset of test targets; None, or X_test again, if they are columns of X_test.
        namespace: prefix of all datasets and name of the parameters.
        sweeps: names of the sweeps, each with parameters of its own.
        outputs: dataset of the pipeline, such as "width_sweep.table" -> name of your own outside of the namespace.

    Raises:
        ValueError: the namespace or a name of a sweep is not one, or test targets come without test inputs.
    """
    for name in (*namespace.split("."), *sweeps):
        if not name.isidentifier():
            raise ValueError(f"namespaces and sweeps are named by letters, digits and _, got {name!r}")
        if is_reserved(name):
            raise ValueError(f"namespaces and sweeps name files: Windows keeps {name!r} for a device")
    if not sweeps or len(set(sweeps)) < len(sweeps):
        raise ValueError(f"sweeps must be one name or several that differ, got {list(sweeps)}")
    if X_test is None and Y_test is not None:
        raise ValueError(f"Y_test = {Y_test!r} needs X_test, the inputs of the same rows")
    tables = {"X": X, "Y": None if Y == X else Y, "X_test": X_test, "Y_test": None if Y_test == X_test else Y_test}
    given = {name: dataset for name, dataset in tables.items() if dataset is not None}
    prepare = Node(
        prepare_data,
        inputs={name: name for name in given} | {"own_data": "params:own_data"},
        outputs="data",
        name="prepare_data",
    )
    template = Pipeline([prepare]) + reparametrization.create_pipeline()
    template = sum((sweep.create_pipeline(name) for name in sweeps), template)
    template += report.create_pipeline(f"{name}.section" for name in sweeps)
    return Pipeline(template, namespace=namespace, inputs=given, outputs=dict(outputs or {}))
