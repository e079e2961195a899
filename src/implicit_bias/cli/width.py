"""kedro implicit-bias width: the width a network needs on given data, answered without training."""

from typing import TYPE_CHECKING, Any

import click

from implicit_bias.cli.columns import aligned
from implicit_bias.cli.reading import notes_shown, read_data, reading_options

if TYPE_CHECKING:
    from implicit_bias.theory.problem import Array

WIDTHS = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Widths at which the distance is predicted, besides those that are needed."""

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
    "width", short_help="The width a network needs, without training.", context_settings={"show_default": True}
)
@click.option(
    "--x", "x_name", required=True, help="Data X (n, D), one sample per row: a file or a dataset of the catalog."
)
@click.option("--y", "y_name", required=True, help="Targets Y (n, m); the same as --x if they are its columns.")
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
@click.option("--test", "test_name", help="Test rows (N, D), for predictions and risk: a file or a dataset.")
@click.option(
    "--depth", type=click.IntRange(1, 64), default=2, help="Layers L; of other than 2 the distance alone is asked."
)
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of tables.")
def command(
    x_name: str,
    y_name: str,
    epsilon: float,
    delta: float,
    alpha: float,
    test_name: str | None,
    depth: int,
    as_json: bool,
    **reading: Any,
) -> None:
    """How wide must a two-layer linear network be to end within epsilon of the min-norm solution?

    Answered for Gaussian initial weights and gradient flow from one SVD of the data, without training, with
    probability 1 - delta over the draw of the network, by the law of the distance to the min-norm solution.
    With test rows also for predictions, at all of them jointly, and for the mean square difference of predictions
    there, whose expectation is the excess test risk over the min-norm solution.

    With --depth the network has L layers, inner ones of entries N(0, 1/h). Other depths than 2 are answered at large
    width, where one solve of the infinitely wide network gives the law.

    Files are CSV and other text (.gz, .zip, .bz2, .xz too), Parquet, Feather, Excel, .npy and .npz. Standard error
    says what was taken for a header, row labels or a decimal sign, and whether the data leave the rank open.
    Exit codes: 0 answered, 1 the data cannot be used, 2 wrong usage.
    """
    try:
        with notes_shown():
            data, rule = read_data(x_name, y_name, test_name, **reading)
            answer = answer_plan(
                data["X"],
                data["Y"],
                epsilon,
                delta,
                alpha,
                data.get("X_test"),
                depth,
                **rule.model_dump(),
                rounding=data["rounding"],
            )
    except (ValueError, ArithmeticError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        import json

        click.echo(json.dumps(answer, allow_nan=False))
    else:
        click.echo(_table(answer))


def answer_plan(
    X: "Array",
    Y: "Array",
    epsilon: float,
    delta: float,
    alpha: float = 0.5,
    X_test: "Array | None" = None,
    depth: int = 2,
    **rule: Any,
) -> dict[str, Any]:
    """What the command prints, as a record: the problem, the widths needed, and the predicted distances.

    Args:
        X: (n, D) data.
        Y: (n, m) targets.
        epsilon: deviation allowed.
        delta: probability of exceeding it.
        alpha: the initial entries are N(0, h^(-2 alpha)).
        X_test: (N, D) test rows.
        depth: layers L.
        rule: rank_rtol, rank and rounding, as of `reparametrize`.

    Raises:
        ValueError: an argument is out of range.
        LevelBudgetError: the infinitely wide network of this depth cannot be solved.
    """
    from implicit_bias.theory.law.distance import Scaling
    from implicit_bias.theory.law.prediction import predict_distance
    from implicit_bias.theory.law.questions import needed_widths
    from implicit_bias.theory.networks.deep.law import limit_const
    from implicit_bias.theory.networks.deep.questions import deep_needed_widths, predict_deep_distance
    from implicit_bias.theory.problem import reparametrize

    problem, scaling = reparametrize(X, Y, **rule), Scaling(alpha)
    if depth == 2:
        needed = needed_widths(problem, epsilon, delta, scaling, X_test)
    else:
        needed = deep_needed_widths(problem, epsilon, depth, delta, scaling)
    widths = sorted({*WIDTHS, *(width for width in needed.widths.values() if width)})
    if depth == 2:
        law = predict_distance(problem, widths, scaling, delta)
    else:
        law = predict_deep_distance(problem, widths, depth, scaling, delta)
    names = ("rms", "bound", "lower", "upper")
    predicted = [{"width": h} | {name: float(getattr(law, name)[i]) for name in names} for i, h in enumerate(widths)]
    return {
        **{"n": problem.n, "D": problem.D, "m": problem.m, "r": problem.r, "cond": problem.cond},
        **{"epsilon": epsilon, "delta": delta, "alpha": alpha, "depth": depth},
        "limit_const": limit_const(problem, depth),
        **{"widths": needed.widths, "reasons": needed.reasons, "predicted": predicted},
    }


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
            f"{', '.join(facts)}, cond Σx = {answer['cond']:.4g}, alpha = {answer['alpha']:g}"
            + (f", depth L = {answer['depth']}" if answer["depth"] != 2 else ""),
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
