"""The parameters of the studies that are not of a sweep: gradient descent beside the flow, and the claims."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from implicit_bias.sweeps.fields import Count, Positive, Seed, Share, Values, Width
from implicit_bias.sweeps.parameters import BALANCED, Drawn, Engine
from implicit_bias.theory.claims.table import ASYMPTOTIC


class DescentStudy(Drawn, Engine):
    """Gradient descent compared with the flow, from initial scales of several ratios at a fixed product."""

    title: str
    problem: str = Field(description="name of a data set")
    width: Width = 500
    product: Positive = Field(description="sigma_U sigma_V")
    ratios: Values[Positive] = Field(description="sigma_U / sigma_V")
    balanced: bool = Field(True, description="add the balanced initialisation with the end-to-end matrix of ratio 1")
    depth: Annotated[float, Field(ge=1e-24, lt=1e-6)] = Field(
        1e-16, description="excess loss, relative to the initial one, at which a descent has arrived"
    )
    max_iterations: Count = Field(20_000, description="a step that takes more does not arrive")
    first_step: Share = Field(
        0.5,
        description="largest step of the gap, as a fraction of n / lambda_max of the kernel at the start or the end",
    )
    halvings: Annotated[int, Field(ge=1, le=12)] = Field(5, description="how often that step is halved")
    smallest: Share = Field(0.05, description="smallest step of the scan, as a fraction of the largest that arrives")
    scan: Annotated[int, Field(ge=2, le=1000)] = Field(40, description="steps of the scan")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.ratios)) < len(self.ratios):
            raise ValueError(f"ratios must differ from each other, got {self.ratios}")
        return self

    def points(self) -> dict[str, tuple[float, float]]:
        """Name of each start -> its (sigma_U, sigma_V)."""
        named = {f"ratio={repr(ratio).removesuffix('.0')}": ratio for ratio in self.ratios}
        named |= {BALANCED: 1.0} if self.balanced else {}
        return {key: ((self.product * ratio) ** 0.5, (self.product / ratio) ** 0.5) for key, ratio in named.items()}


class Verification(Engine):
    """How many random problems and seeds the claims are checked on."""

    problems: Annotated[int, Field(ge=1, le=10**7)] = Field(
        2000, description="random problems for the deterministic claims"
    )
    seeds: Annotated[int, Field(ge=3, le=10**6)] = Field(30, description="data sets for the random claims")
    draws: Count = Field(25, description="networks drawn for each data set, width and alpha")
    widths: Values[Width]
    alphas: Values[Annotated[float, Field(ge=0, le=0.5)]]
    delta: Share = 0.05
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.widths != sorted(set(self.widths)) or sum(h >= ASYMPTOTIC for h in self.widths) < 2:
            raise ValueError(f"widths must increase, two of them from {ASYMPTOTIC} on, got {self.widths}")
        if not any(alpha > 0.25 for alpha in self.alphas) or len(set(self.alphas)) < len(self.alphas):
            raise ValueError(f"alphas must differ from each other, one of them above 1/4, got {self.alphas}")
        return self
