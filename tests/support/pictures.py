"""Figures as files."""

from io import BytesIO

from matplotlib.figure import Figure


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as PNG. Equal figures give equal bytes: nothing in them tells time or version."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
