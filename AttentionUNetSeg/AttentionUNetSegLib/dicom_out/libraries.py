"""Whether the libraries that write DICOM objects are there."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import BadInput

_LIBRARIES = ("highdicom", "dicomweb_client")


def missing_library() -> str:
    """Return a sentence that says what is missing to write DICOM objects and how to get it, or "" where nothing is."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if not missing:
        return ""
    named = " and ".join(name.replace("_", "-") for name in missing)
    return f"DICOM objects need {named}: install with pip install 'attention-unet-seg[dicom]'."


def require_libraries() -> None:
    """Raise BadInput with that sentence where something is missing."""
    sentence = missing_library()
    if sentence:
        problem, hint = sentence.split(": ", 1)
        raise BadInput(f"{problem}, which this Python does not have.", f"{hint[0].upper()}{hint[1:]}")
