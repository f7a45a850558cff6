"""What a threshold of a probability may be, wherever one is given."""

from __future__ import annotations

from ..errors import BadInput


def check_threshold(threshold: float) -> None:
    """Raise BadInput where the threshold is not above 0 and at most 1."""
    if not 0.0 < threshold <= 1.0:
        raise BadInput(f"The threshold must lie above 0 and not above 1, not {threshold:g}.")
