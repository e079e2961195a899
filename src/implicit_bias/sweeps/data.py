"""The parameters of data sets: drawn ones, tables of one's own, and their reparametrisation."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, RootModel, model_validator

from implicit_bias.sweeps.fields import Count, NonNegative, Parameters, Seed

Scale = Annotated[
    Literal["none", "columns", "table"],
    Field(description="divide each column by its standard deviation, or the table by the root mean square of its rows"),
]
MOST_NUMBERS = 2**30
"""Numbers the data sets of one name may hold, 8 bytes each."""
OWN = "own"
"""Name of the data set that is made of the tables X and Y of a project."""


class DataSet(Parameters):
    """One synthetic data set: X (n, D), Y = X Theta + noise (n, m)."""

    n: Count = 100
    D: Count = 400
    m: Count = 1
    rank: Count | None = Field(None, description="rank of X; by default min(n, D)")
    spectrum: Literal["gaussian", "whitened", "geometric"] = "gaussian"
    cond: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    theta_std: NonNegative | None = Field(None, description="standard deviation of Theta's entries; by default D^-1/2")
    noise_std: NonNegative = 0.01
    held_out: Annotated[int, Field(ge=0)] = Field(
        0, description="test rows N(0, I / D) drawn in addition to X; of every spectrum before it is replaced"
    )
    draws: Count = Field(1, description="independent data sets drawn")
    seed: Seed = 0

    @model_validator(mode="after")
    def _rank_fits(self) -> Self:
        if self.rank is not None and self.rank > min(self.n, self.D):
            raise ValueError(f"rank must be at most min(n, D) = {min(self.n, self.D)}, got {self.rank}")
        numbers = self.draws * (self.n + self.held_out) * (self.D + self.m)
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"n = {self.n}, D = {self.D}, m = {self.m}, held_out = {self.held_out} and draws = {self.draws} make "
                f"{numbers} numbers, more than {MOST_NUMBERS}"
            )
        return self


class DataSets(RootModel[dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], DataSet]]):
    """The data sets to draw, by name."""

    model_config = ConfigDict(frozen=True)


Names = Annotated[list[str], BeforeValidator(lambda value: _texts(value))]
Name = Annotated[str, BeforeValidator(lambda value: _text(value))]


def _texts(value: Any) -> Any:
    """Names of columns; numbers are names, too, and one name is a list of one."""
    return [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class OwnData(Parameters):
    """How tables X and Y become a data set: the columns that are used, and what is done to their numbers."""

    columns: Names | None = Field(None, description="columns of X, names or patterns like nm_*; by default all")
    drop: Names = Field([], description="columns of X and of Y to leave out, names or patterns")
    targets: Names | None = Field(None, description="columns of Y, names or patterns; by default all")
    labels: Name | None = Field(None, description="column of every table that names its rows; neither input nor target")
    center_x: bool = Field(False, description="subtract the mean of each column of X")
    center_y: bool = Field(False, description="subtract the mean of each target")
    scale_x: Scale = "none"
    scale_y: Scale = "none"
    targets_in_x: Literal["refuse", "allow"] = Field("refuse", description="whether a column of X may equal a target")
    held_out: Annotated[int, Field(ge=0)] = Field(0, description="rows, drawn at random, kept out of training")
    seed: Seed = Field(0, description="selects the rows held out")


class Reparametrization(Parameters):
    """How the data are reparametrised."""

    rank_rtol: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None,
        description="singular values above rank_rtol * sigma_1 count; by default max(n, D) * eps, or the rounding of "
        "the data where that is larger",
    )
    rank: Count | None = Field(None, description="the rank itself, whatever the spectrum")

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.rank is not None and self.rank_rtol is not None:
            raise ValueError(f"give either rank or rank_rtol, got {self.rank} and {self.rank_rtol}")
        return self
