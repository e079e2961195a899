"""The table of claims, from what was checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicit_bias.theory.claims import chance
from implicit_bias.theory.claims.catalogue import Claim, catalogue
from implicit_bias.theory.claims.check import VISIBLE
from implicit_bias.theory.problem import Array

Row = dict[str, Any]
Mask = NDArray[np.bool_]

ASYMPTOTIC = 1000
"""Widths from here on give the powers of the width."""
LEMMA = {"lemma_17": 0, "lemma_18": 1, "lemma_19": 2}
THEOREM = {"thm2": 1, "thm2_F": 2}


def claim_rows(
    checks: dict[str, Array], initial: Array, trained: Array, widths: list[int], alphas: list[float], delta: float
) -> list[Row]:
    """One row per claim.

    Args:
        checks: "<claim>/met", "<claim>/ratio", "<claim>/limit" (problems,).
        initial: (seeds, alphas, widths, draws, 3) of `check_initialization`.
        trained: (seeds, alphas, widths, 5) of `check_trained`.
        widths: increasing widths.
        alphas: exponents of the scale.
        delta: failure probability.

    Returns:
        claim, statement, source, kind, trials, met, held, violations, tight, typical, limit, note of each claim.
    """
    covered = [i for i, alpha in enumerate(alphas) if 0.25 < alpha <= 0.5]
    trends = _trends(trained, widths, alphas)
    rows = []
    for claim in catalogue():
        if f"{claim.name}/met" in checks:
            met, ratio, limit = (checks[f"{claim.name}/{part}"] for part in ("met", "ratio", "limit"))
            row = _deterministic(claim, met.astype(bool), ratio, limit)
        elif claim.name in LEMMA or claim.name == "lemma_1":
            ratios = np.moveaxis(_lemma(initial, claim.name)[:, covered], 3, 1)
            row = _at_large_width(ratios.reshape(-1, len(covered), len(widths)), widths, delta)
        elif claim.name in THEOREM:
            row = _at_large_width(trained[..., THEOREM[claim.name]][:, covered], widths, delta)
        elif claim.name == "law":
            row = _law(trained, delta)
        else:
            row = _trend([each for each in trends if each["claim"] == claim.name], trained.shape[0])
        rows.append({**vars(claim), **row})
    return [{"claim": row.pop("name"), **row} for row in rows]


def _lemma(initial: Array, name: str) -> Array:
    """(seeds, alphas, widths, draws) ratio of one inequality of Lemma 1, or the largest of all three."""
    ratios: Array = np.max(initial, axis=-1) if name == "lemma_1" else initial[..., LEMMA[name]]
    return ratios


def _deterministic(claim: Claim, met: Mask, ratio: Array, limit: Array) -> Row:
    held = ratio <= limit  # false for NaN
    count, good = int(np.sum(met)), int(np.sum(held[met]))
    shown = claim.kind == "counterexample"
    counted = VISIBLE / ratio[met] if shown else ratio[met]
    return {
        "trials": len(met),
        "met": count,
        "held": good,
        "violations": int(count > 0 and good == 0) if shown else count - good,
        "tight": float(np.min(counted) if shown else np.max(counted)) if count else np.nan,
        "typical": float(np.median(counted)) if count else np.nan,
        "limit": VISIBLE if shown else float(np.max(limit[met], initial=0.0)),
        "note": "relative distance to Θ̂" if shown else "",
    }


def _at_large_width(ratios: Array, widths: list[int], delta: float) -> Row:
    """A claim for h > h0, h0 not given, is judged at the largest width: ratios (trials, alphas, widths)."""
    tests = [chance.frequency(ratios[:, i, -1] <= 1, 1 - delta) for i in range(ratios.shape[1])]
    pooled = [chance.frequency(ratios[:, :, j].ravel() <= 1, 1 - delta) for j in range(len(widths))]
    first = chance.first_width(np.array(widths), pooled, 1 - delta)
    return {
        "trials": ratios.size,
        "met": ratios[:, :, -1].size,
        "held": int(np.sum(ratios[:, :, -1] <= 1)),
        "violations": sum(test.rejected for test in tests),
        "tight": float(np.quantile(ratios[:, :, -1], 1 - delta)),
        "typical": float(np.median(ratios[:, :, -1])),
        "limit": 1.0,
        "note": f"at h = {widths[-1]:.0e}; as frequent as claimed from h = {first:.4g} on",
    }


def _law(trained: Array, delta: float) -> Row:
    ratios, ranks = trained[..., 3].ravel(), trained[..., 4].ravel()
    test, p_value = chance.frequency(ratios <= 1, 1 - delta, exactly=True), chance.uniform(ranks)
    return {
        "trials": ratios.size,
        "met": ratios.size,
        "held": int(np.sum(ratios <= 1)),
        "violations": int(test.rejected or p_value < chance.SIGNIFICANCE),
        "tight": float(np.quantile(ratios, 1 - delta)),
        "typical": float(np.median(ratios)),
        "limit": 1.0,
        "note": f"{test.frequency:.4f} below the {1 - delta:g} quantile; Kolmogorov-Smirnov p = {p_value:.2g}",
    }


def _trends(trained: Array, widths: list[int], alphas: list[float]) -> list[Row]:
    """The power of the width that the distance follows, for every alpha."""
    wide = [j for j, h in enumerate(widths) if h >= ASYMPTOTIC]
    names = {alpha: "half" if alpha == 0.5 else "power" if 0.25 < alpha < 0.5 else "quarter" for alpha in alphas}
    return [
        {
            "claim": names[alpha],
            "alpha": alpha,
            "exponent": 0.5 - 2 * alpha,
            **vars(
                chance.trend(
                    np.array(widths, float)[wide], trained[:, i][:, wide, 0], 0.5 - 2 * alpha, names[alpha] == "quarter"
                )
            ),
        }
        for i, alpha in enumerate(alphas)
        if alpha <= 0.5
    ]


def _trend(trends: list[Row], seeds: int) -> Row:
    """Deviation of the measured power from the claimed one, at the alpha where it is largest."""
    rejected = [each["p_value"] < chance.SIGNIFICANCE for each in trends]
    deviations = [abs(each["slope"] - each["exponent"]) for each in trends]
    notes = (f"α = {e['alpha']:g}: {e['slope']:.4f} ± {e['error']:.4f} ({e['exponent']:g})" for e in trends)
    return {
        "trials": seeds * len(trends),
        "met": seeds * len(trends),
        "held": seeds * (len(trends) - sum(rejected)),
        "violations": sum(rejected),
        "tight": max(deviations, default=np.nan),
        "typical": float(np.median(deviations)) if deviations else np.nan,
        "limit": max((5 * each["error"] for each in trends), default=np.nan),
        "note": "; ".join(notes),
    }


def frequency_rows(initial: Array, trained: Array, widths: list[int], alphas: list[float]) -> list[Row]:
    """How often Lemma 1 and Theorem 2 held at each alpha and width, whether covered by them or not."""
    rows = []
    for i, alpha in enumerate(alphas):
        for j, h in enumerate(widths):
            shares = {name: np.mean(_lemma(initial, name)[:, i, j] <= 1) for name in (*LEMMA, "lemma_1")}
            shares |= {name: np.mean(trained[:, i, j, part] <= 1) for name, part in THEOREM.items()}
            rows.append({"alpha": alpha, "width": h} | {name: float(share) for name, share in shares.items()})
    return rows
