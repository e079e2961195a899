"""The page of claims: what was checked, how, and with what outcome."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from implicit_bias.report.claims import COLUMNS
from implicit_bias.sweeps.studies import Verification
from implicit_bias.theory.claims.degenerate import KINDS

HEAD = """# Claims, checked

Written by `kedro run --pipelines=verification` (`make claims`); do not edit. {problems} random problems with explicit
weights for the deterministic claims, {seeds} data sets with {draws} networks each for the random ones; δ = {delta:g}.
**Violations: {violations}.**

![Claims](claims.png)

Problems have n up to 7, D up to 11, m up to 3, any rank, condition number of Σx up to 316, noise from 0.001 to 1,
widths from 1 to r + m + 9, and layers of independent scale; a quarter of the runs are followed to their end.
Every fourth problem is degenerate, these kinds in turn: {kinds}.
*Hypotheses met* counts the problems on which a claim says anything, *held* those of them on which it was true.
*Worst* is, by kind:

- identity: the largest relative error; it may be at most 1e-9 where algebra alone is checked, 1e-8 of the products that
  make up E for convergence, 1e-6 along an integrated flow;
- bound: the largest ratio of the smaller to the larger side, at most 1; for bounds on the loss, guaranteed over
  measured decay, log against log;
- counterexample: the smallest relative size at which it was seen; it is refuted if it is never seen;
- probability: the 1 − δ quantile of left over right side, at the largest width; violated if a binomial test rejects the
  claimed probability at 1e-6. Lemma 1 and Theorem 2 hold beyond a width h0 that the paper does not give: they are
  judged at the largest width, and the table below says where h0 lies in practice;
- trend: the largest deviation of the fitted power of h, over widths from 1000 on, from the claimed one; violated if
  Student's test over the seeds rejects it at 1e-6.
"""

MIDDLE = """
## Where h0 lies

Share of random networks on which Lemma 1 holds, by width: {draws} networks for each of {seeds} data sets with n = 8,
D = 24, m = 2 and each of {alphas} α. Both sides of (17), (18) and (19) scale alike with α, as U(0) = h^(−α) U0: α
changes neither the inequality nor the width from which it holds, so that all α count together; 1/4 < α is needed by
what follows from the lemma, not by the lemma. It claims {claimed:g}, beyond a width that it does not give.
"""

EACH = """
All three at once, α by α: the columns differ by chance only, with a standard error of up to {error:.1g}.
"""

TRAINED = """
Share on which Theorem 2 holds in spectral norm, one trained network a data set: what it bounds grows with h for α < 1/4
and stays for α = 1/4, and so does its right side.
"""

SHOWN = 10
"""Errors that the page names."""

PARTS = {"lemma_17": "(17)", "lemma_18": "(18)", "lemma_19": "(19)", "lemma_1": "all three"}
LEARNT = {"claim": "claim"} | COLUMNS


def claims_page(
    verification: Verification, table: pd.DataFrame, frequencies: pd.DataFrame, errors: Sequence[str]
) -> str:
    """The page in Markdown.

    Args:
        verification: how much was checked.
        table: one row per claim.
        frequencies: one row for each alpha and width.
        errors: what could not be checked, and why.
    """
    v = verification
    shown = table[list(LEARNT)].rename(columns=LEARNT).astype(object)
    shown["hypotheses met"] = [f"{row.met} of {row.trials}" for row in table.itertuples()]
    for name in ("worst", "median"):
        shown[name] = [f"{value:.2g}" for value in shown[name]]
    lemma = frequencies.drop(columns=["alpha", "thm2", "thm2_F"]).groupby("width").mean().reset_index()
    sizes = v.model_dump() | {"alphas": len(v.alphas), "claimed": 1 - v.delta, "kinds": ", ".join(KINDS)}
    parts = [
        HEAD.format(**sizes, violations=int(table["violations"].sum())),
        *_failed(errors),
        _markdown(shown.fillna("")),
        MIDDLE.format(**sizes),
        _numbers(lemma.rename(columns=PARTS)),
        EACH.format(error=0.5 / np.sqrt(v.seeds * v.draws)),
        _numbers(_by_alpha(frequencies, "lemma_1")),
        TRAINED,
        _numbers(_by_alpha(frequencies, "thm2")),
    ]
    return "\n".join(parts) + "\n"


def _failed(errors: Sequence[str]) -> list[str]:
    lines = [f"- {' '.join(error.split())}" for error in errors[:SHOWN]]
    return [f"**Errors: {len(errors)}**, not counted below; the first of them:\n", *lines, ""] if errors else []


def _by_alpha(frequencies: pd.DataFrame, name: str) -> pd.DataFrame:
    wide = frequencies.pivot_table(index="width", columns="alpha", values=name)
    return wide.rename(columns="α = {:g}".format).reset_index()


def _numbers(table: pd.DataFrame) -> str:
    return _markdown(table.map(lambda value: f"{value:.3g}"))


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
