"""The numbers, lists and names that parameters are made of, and the base of all parameters."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Width = Annotated[int, Field(ge=1, le=2**53)]
Depth = Annotated[int, Field(ge=1, le=64)]
Share = Annotated[float, Field(gt=0, lt=1)]
Tolerance = Annotated[float, Field(ge=1e-13, lt=1)]
MOST_VALUES = 100_000
"""Values a list may have."""


def expand(value: Any) -> Any:
    """Turn "500:2000:500" and "1 2 5" into lists, so that lists can be given on the command line, too."""
    if isinstance(value, str):
        items: list[Any] = []
        for word in value.split():
            parts = word.split(":")
            if len(parts) == 1:
                items.append(word)
            elif len(parts) in (2, 3) and all(part.isdigit() for part in parts) and all(map(int, parts[2:])):
                start, end, step, *_ = *map(int, parts), 1
                if len(items) + (end - start) // step + 1 > MOST_VALUES:
                    raise ValueError(f"a list may have {MOST_VALUES} values, {word!r} goes beyond that")
                items.extend(range(start, end + 1, step))
            else:
                raise ValueError(f"a range is written start:end or start:end:step in whole numbers, got {word!r}")
        return items
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


Item = TypeVar("Item")
Values = Annotated[list[Item], BeforeValidator(expand), Field(min_length=1)]
"""A list of one value or several; a single one, and text as `expand` takes it, become lists."""


def numeral(value: float) -> str:
    """A number with all of its digits, as names of metrics may have it: without a plus sign."""
    return repr(float(value)).removesuffix(".0").replace("+", "")


def words(value: Any) -> Any:
    """Turn "one other" into a list of names."""
    return value.split() if isinstance(value, str) else value


def checked_name(find: Callable[[str], Any], name: str) -> str:
    """A name that a registry knows."""
    find(name)
    return name


class Parameters(BaseModel):
    """Base of all parameters: unknown keys are refused, with the one that was meant; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_what_was_meant(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            faults = error.errors()
            raise ValidationError.from_exception_data(
                error.title, [_with_meant(each, cls) for each in faults]
            ) from None


def _with_meant(fault: ErrorDetails, model: type[BaseModel]) -> InitErrorDetails:
    """A fault as it was found; that of an unknown key of a model says which one is like it."""
    text, location = fault["msg"], fault["loc"]
    if fault["type"] == "extra_forbidden" and len(location) == 1:
        close = get_close_matches(str(location[0]), model.model_fields, n=1)
        text += f" (did you mean {close[0]}?)" if close else ""
    kind = PydanticCustomError(fault["type"], text)
    return InitErrorDetails(type=kind, loc=location, input=fault["input"])
