"""What the report is told of tracked runs."""

import pytest

from implicit_bias.tracking.reader import picture_name


@pytest.mark.parametrize("sweep", ["width", "glucose.width", "lab.acids.width", "lab.my_width"])
def test_a_picture_has_the_same_name_in_every_namespace(sweep: str) -> None:
    assert picture_name(sweep, f"{sweep.split('.')[-1]}_figure.png") == "figure"
    assert picture_name(sweep, "claims.png") == "claims"
