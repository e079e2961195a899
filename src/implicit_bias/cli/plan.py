"""kedro implicit-bias plan: the width a network needs on given data, answered without training."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from implicit_bias.cli.columns import aligned

if TYPE_CHECKING:
    from implicit_bias.theory.problem import Array

WIDTHS = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Widths at which the distance is predicted, beside those that are needed."""

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
MEANING = {
    "distance": "‖UVᵀ − Θ̂‖_F ≤ ε",
    "prediction": "‖UVᵀx − Θ̂ᵀx‖ ≤ ε at all test rows",
    "risk": "mean square difference on test rows ≤ ε",
}


def _in_range(condition: str, low: float, high: float, closed: bool = False) -> Any:
    """A callback that refuses a number outside the interval (low, high), or [low, high) if `closed`."""

    def callback(_: click.Context, parameter: click.Parameter, value: float) -> float:
        if not (low < value < high or (closed and value == low)):
            raise click.BadParameter(f"it must be {condition}, got {value:g}")
        return value

    return callback


@click.command(
    "plan", short_help="The width a network needs, without training.", context_settings={"show_default": True}
)
@click.option("--x", "x_path", type=FILE, required=True, help="Data X (n, D): CSV or .npy, one sample a row.")
@click.option("--y", "y_path", type=FILE, required=True, help="Targets Y (n, m): CSV or .npy.")
@click.option(
    "--epsilon",
    type=float,
    required=True,
    callback=_in_range("positive and finite", 0, float("inf")),
    help="Deviation from the min-norm solution that is allowed.",
)
@click.option(
    "--delta",
    type=float,
    required=True,
    callback=_in_range("between 0 and 1", 0, 1),
    help="Probability with which it may be exceeded.",
)
@click.option(
    "--alpha",
    type=float,
    default=0.5,
    callback=_in_range("finite and at least 1/4, below which the deviation grows", 0.25, float("inf"), True),
    help="Entries of U(0), V(0) are N(0, h^(-2 alpha)).",
)
@click.option("--test", "test_path", type=FILE, help="Test rows (N, D), for predictions and risk: CSV or .npy.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of tables.")
def command(
    x_path: Path, y_path: Path, epsilon: float, delta: float, alpha: float, test_path: Path | None, as_json: bool
) -> None:
    """How wide must a two-layer linear network be to end within epsilon of ridgeless regression?

    Answered for Gaussian initial weights and gradient flow from one SVD of the data, without training, with
    probability 1 - delta over the draw of the network, by the law of the distance to the min-norm solution at any width.
    With test rows also for predictions, at all of them jointly, and for the mean square difference of predictions
    there, whose expectation is the excess test risk over ridgeless
    regression.

    The first line of a CSV file is taken as a header if none of its cells is a number. Exit codes: 0 answered, 1 the
    data cannot be used, 2 wrong usage.
    """
    try:
        X, Y = _rows(x_path, y_path)
        answer = answer_plan(X, Y, epsilon, delta, alpha, _test_rows(test_path, X))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        import json

        click.echo(json.dumps(answer, allow_nan=False))
    else:
        click.echo(_table(answer))


def answer_plan(
    X: "Array", Y: "Array", epsilon: float, delta: float, alpha: float = 0.5, X_test: "Array | None" = None
) -> dict[str, Any]:
    """What the command prints, as a record: the problem, the widths needed, and the predicted distances.

    Args:
        X: (n, D) data.
        Y: (n, m) targets.
        epsilon: deviation allowed.
        delta: probability of exceeding it.
        alpha: the initial entries are N(0, h^(-2 alpha)).
        X_test: (N, D) test rows.

    Raises:
        ValueError: an argument is out of range.
    """
    from implicit_bias.theory.answers import needed_widths
    from implicit_bias.theory.law import Scaling, limit_const
    from implicit_bias.theory.prediction import predict_distance
    from implicit_bias.theory.problem import reparametrize

    problem, scaling = reparametrize(X, Y), Scaling(alpha)
    needed = needed_widths(problem, epsilon, delta, scaling, X_test)
    widths = sorted({*WIDTHS, *(width for width in needed.widths.values() if width)})
    law = predict_distance(problem, widths, scaling, delta)
    names = ("rms", "bound", "lower", "upper")
    predicted = [{"width": h} | {name: float(getattr(law, name)[i]) for name in names} for i, h in enumerate(widths)]
    return {
        **{"n": problem.n, "D": problem.D, "m": problem.m, "r": problem.r, "cond": problem.cond},
        **{"epsilon": epsilon, "delta": delta, "alpha": alpha, "limit_const": limit_const(problem)},
        **{"widths": needed.widths, "reasons": needed.reasons, "predicted": predicted},
    }


def _rows(x_path: Path, y_path: Path) -> "tuple[Array, Array]":
    from implicit_bias.matrices import read_matrix

    X, Y = read_matrix(x_path), read_matrix(y_path)
    if len(X) != len(Y):
        raise ValueError(f"{x_path} has {len(X)} rows, {y_path} has {len(Y)}: they must have as many")
    if not X.any():
        raise ValueError(f"{x_path}: every entry is 0, which leaves nothing to learn from")
    return X, Y


def _test_rows(path: Path | None, X: "Array") -> "Array | None":
    from implicit_bias.matrices import read_matrix

    if path is None:
        return None
    X_test = read_matrix(path)
    if X_test.shape[1] != X.shape[1]:
        raise ValueError(f"{path} has {X_test.shape[1]} columns, the data have D = {X.shape[1]}")
    return X_test


def _table(answer: dict[str, Any]) -> str:
    facts = [f"{name} = {answer[name]}" for name in ("n", "D", "m", "r")]
    needed: list[tuple[str, ...]] = [
        (name, "none" if width is None else f"{width:,}", answer["reasons"].get(name, MEANING[name]))
        for name, width in answer["widths"].items()
    ]
    head = [("width", "rms", "bound", "lower", "upper")]
    rows = [
        (f"{row['width']:,}", *(f"{row[name]:.4g}" for name in ("rms", "bound", "lower", "upper")))
        for row in answer["predicted"]
    ]
    percent = f"{100 * (1 - answer['delta']):.6g} %"
    return "\n".join(
        [
            f"{', '.join(facts)}, cond Σx = {answer['cond']:.4g}, alpha = {answer['alpha']:g}",
            f"limit of √h × rms distance at alpha = 1/2: {answer['limit_const']:.6g}",
            "",
            f"Width needed for ε = {answer['epsilon']:g} with probability {percent}:",
            *aligned(needed, "<><"),
            "",
            "Predicted distance ‖UVᵀ − Θ̂‖_F to the min-norm solution, by the same law: root mean square, what it stays",
            f"below with probability {percent} (at most ε from the width needed on), and its two-sided {percent} band:",
            *aligned([*head, *rows], ">>>>>"),
        ]
    )
