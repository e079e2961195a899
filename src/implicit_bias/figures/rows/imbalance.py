"""The figure of a sweep over initial scales: the loss of each, and the rate-bias plane."""

from typing import Any

from implicit_bias.figures.findings import final_losses, plane
from implicit_bias.figures.imbalance import imbalance_figure, rate_bias_figure
from implicit_bias.figures.interactive import interactive_cases
from implicit_bias.sweeps.figure import Results, SweepFigure, Words, columns
from implicit_bias.sweeps.parameters import BALANCED
from implicit_bias.theory.solvers.registry import solver


def _losses(results: Results) -> Any:
    return imbalance_figure(curves_of_cases(results), step_size=results.sweep.step_size, n=results.problems[0].n)


def _plane(results: Results) -> Any:
    """The rate-bias plane of the first width and solver; the balanced start has no ratio of scales."""
    table = results.table
    compared = table[(table["width"] == table["width"].iloc[0]) & (table["solver"] == table["solver"].iloc[0])]
    return rate_bias_figure(columns(compared[compared["case"] != BALANCED]))


def _interactive(results: Results) -> Any:
    return interactive_cases(curves_of_cases(results), results.columns)


def curves_of_cases(results: Results) -> list[dict[str, Any]]:
    """Curves of each case's first finished width and seed; descent next to the flow where both were run."""
    cases = []
    for case, points in results.table.groupby("case", sort=False):
        first = points.iloc[0]
        rows = points[(points["width"] == first["width"]) & (points["seed"] == first["seed"])]
        solved = {row.solver: results.evaluation(str(row.point)) for row in rows.itertuples()}
        of_kind = {solver(name).kind: record for name, record in reversed(solved.items())}
        descent = of_kind.get("descent")
        curves = of_kind.get("flow") or descent or of_kind["other"]
        row = rows.iloc[0]
        drawn: dict[str, Any] = {
            "label": "balanced, $c=0$",
            "iteration": curves["curve/iteration"],
            "loss": curves["curve/excess"],
        }
        if (certified := "curve/stepwise" if curves is descent else "curve/certified") in curves:
            drawn["certified"] = curves[certified]
        if case != BALANCED:
            drawn["bound"] = curves["curve/bound"]
            drawn["label"] = (
                rf"case {case}: $\sigma_U={row.sigma_u:.3g}$, $\sigma_V={row.sigma_v:.3g}$, $c={row.imbalance_c:.3g}$"
            )
        if descent is not None and curves is not descent:
            drawn["descent"] = {
                "iteration": descent["curve/iteration"],
                "loss": descent["curve/excess"],
                "certified": descent["curve/stepwise"],
            }
        cases.append(drawn)
    return cases


IMBALANCE_FIGURE = SweepFigure(
    Words(
        "Loss under different initialisations",
        "Solid lines are measured, dashed ones guaranteed before training (Theorem 1), dotted ones certified after it.",
        alt=final_losses,
    ),
    _losses,
    against="cases",
    companion=_plane,
    companion_words=Words(
        "Rate of convergence against distance",
        "Each dot is one ratio σ_U / σ_V: how fast the loss falls, and how near to the min-norm solution the run ends. "
        "Bars are the rates that Theorem 1 guarantees. Small black dots are the law of the distance and the rate at "
        "large width.",
        plane,
    ),
    interactive=_interactive,
    paper="Figure 2",
)
