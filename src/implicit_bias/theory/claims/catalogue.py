"""The claims checked: what each says, where it stands, and how it is judged."""

from dataclasses import dataclass
from typing import Literal

from implicit_bias.theory.bounds.registry import RUN_BOUNDS

Kind = Literal["identity", "bound", "counterexample", "probability", "trend"]

PAPER = "Min et al. 2021"
RATE = "Min et al. 2022"


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: short name, as tracked.
        statement: what is claimed.
        source: where it stands.
        kind: "identity" (relative error at rounding or integration level), "bound" (smaller over larger side at most
            1), "counterexample" (shown at least once), "probability" (a test of the frequency), "trend" (a test of a
            power of the width).
    """

    name: str
    statement: str
    source: str
    kind: Kind


_ORDER: tuple[Claim | str, ...] = (
    Claim("conserved", "Λ(t) = Λ(0) along the flow", f"{PAPER}, claim after (9)", "identity"),
    Claim("rank", "rank Λ ≤ m + r", f"{PAPER}, after (9)", "bound"),
    "bound",
    Claim("thm1_wide", "h ≥ m + r: c = λ_r(Λ) + λ_m(−Λ), no brackets", f"{PAPER}, Theorem 1", "identity"),
    Claim("thm1_limit", "c > 0: (V, U1) converges to E = 0", f"{PAPER}, Theorem 1", "identity"),
    Claim("thm1_path", "c > 0: ‖P(∞) − P(t)‖_F ≤ (e^ℓ − 1)‖P(t)‖_F, ℓ = σ_1‖E‖_F / (λ_r(Σx) c)", "ours", "bound"),
    Claim("orthogonal", "U1(0)V(0)ᵀ = 0: c = λ_r(U1U1ᵀ) + λ_m(VVᵀ)", f"{PAPER}, after Theorem 1", "identity"),
    Claim("aligned", "aligned rows, unequal scales: c ≥ gap of squares > 0", f"{PAPER}, after Theorem 1", "bound"),
    Claim("rate", "−d/dt log(L − L*) ≥ instantaneous rate", f"{RATE}, Proposition 1", "bound"),
    "certified",
    Claim("balanced", "the same from a balanced start, where c = 0", f"{RATE}, Proposition 1", "bound"),
    "margin",
    "restart",
    Claim("eq7", "reparametrised dynamics of (V, U1, U2)", f"{PAPER}, (7)", "identity"),
    Claim("eq8", "L = ½‖E‖_F² + L*", f"{PAPER}, (8)", "identity"),
    Claim("U2", "U2(t) = U2(0)", f"{PAPER}, (7)", "identity"),
    Claim("eq12", "UVᵀ = Φ1U1Vᵀ + Φ2U2Vᵀ", f"{PAPER}, (12)", "identity"),
    Claim("eq13", "Φ1U1(∞)V(∞)ᵀ = Xᵀ(XXᵀ)⁺Y", f"{PAPER}, (13)", "identity"),
    Claim("eq14", "U(∞)V(∞)ᵀ = Θ̂ + Φ2U2(0)V(∞)ᵀ", f"{PAPER}, (14)", "identity"),
    Claim("eq15", "VU2ᵀ = 0, U1U2ᵀ = 0 is an invariant set", f"{PAPER}, (15)", "identity"),
    Claim("eq16", "dynamics of [VU2ᵀ; U1U2ᵀ]", f"{PAPER}, (16)", "identity"),
    Claim("prop1", "from the invariant set: U(∞)V(∞)ᵀ = Θ̂", f"{PAPER}, Proposition 1", "identity"),
    Claim("prop1_half", "V(0)U2(0)ᵀ = 0 alone is not enough", f"{PAPER}, after Proposition 1", "counterexample"),
    Claim("regression", "no hidden layer: Θ(0) in span(Φ1) is enough", f"{PAPER}, after Proposition 1", "identity"),
    Claim("zero", "U = 0, V = 0 is an equilibrium", f"{PAPER}, section 3.1", "identity"),
    "path",
    Claim("balanced_Q", "the balanced trajectory does not depend on Q", f"{PAPER}, section 4", "identity"),
    Claim("ntk", "NTK scaling: the same flow, h^(2α) times slower", f"{PAPER}, appendix on the NTK", "identity"),
    Claim("deep_reduced", "L layers: the reduced run is that of the whole network", "ours, depth", "identity"),
    Claim("deep_conserved", "L layers: Λ_l(t) = Λ_l(0) for every hidden layer", "Arora et al. 2018", "identity"),
    Claim(
        "deep_frozen", "L layers: B does not move, and what is trained does not depend on it", "ours, depth", "identity"
    ),
    Claim("deep_certified", "L layers: L − L* ≤ e^{−∫2λ_min(K)}, certified along a run", "ours, depth", "bound"),
    Claim("deep_bound", "three layers: L − L* ≤ what Λ_1, Λ_2 guarantee before training", "ours, depth", "bound"),
    Claim("deep_leak", "L layers: a run that is cut off strays by what its leak allows", "ours, depth", "bound"),
    Claim("deep_two", "two of L layers: the two-layer integrator", "ours, depth", "identity"),
    Claim("lemma_17", "λ_r(Λ) + λ_m(−Λ) > h^(1−2α) with probability 1 − δ", f"{PAPER}, Lemma 1 (17)", "probability"),
    Claim("lemma_18", "‖[VU2ᵀ; U1U2ᵀ]‖_F small with probability 1 − δ", f"{PAPER}, Lemma 1 (18)", "probability"),
    Claim("lemma_19", "‖U1Vᵀ‖_F small with probability 1 − δ", f"{PAPER}, Lemma 1 (19)", "probability"),
    Claim("lemma_1", "(17), (18) and (19) at once with probability 1 − δ", f"{PAPER}, Lemma 1", "probability"),
    Claim("thm2", "‖U(∞)V(∞)ᵀ − Θ̂‖₂ bounded with probability 1 − δ", f"{PAPER}, Theorem 2 (20)", "probability"),
    Claim("thm2_F", "the same in Frobenius norm", f"{PAPER}, footnote 1", "probability"),
    Claim("law", "‖U2V(∞)ᵀ‖² is σ_U² Σ v_j χ²_{D−r} given V(∞), exactly", "ours, law of the distance", "probability"),
    Claim("half", "α = 1/2: distance is O(h^(−1/2))", f"{PAPER}, Theorem 2", "trend"),
    Claim("power", "1/4 < α < 1/2: distance is O(h^(1/2−2α))", f"{PAPER}, Theorem 2", "trend"),
    Claim("quarter", "α ≤ 1/4: distance is of order h^(1/2−2α)", "ours, law of the distance", "trend"),
)
"""Claims, and names of the bounds whose claims stand between them."""


def catalogue() -> tuple[Claim, ...]:
    """Every claim, in the order of the table; those of bounds that are not in _ORDER come last."""
    bounds = {
        row.name: Claim(row.claim, row.statement, row.source, "bound") for row in RUN_BOUNDS.values() if row.claim
    }
    ordered = [each if isinstance(each, Claim) else bounds.pop(each) for each in _ORDER]
    return (*ordered, *bounds.values())


CLAIMS = catalogue()
