"""Who made a segment, and what it shows: as DICOM identifies algorithms and names anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..models import SegmentLabel


@dataclass(frozen=True)
class ModelIdentity:
    """The model that a segment comes from.

    Attributes
    ----------
    id, name, version : as in its package.
    sha256 : of its weights.
    """

    id: str
    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> ModelIdentity:
        """Take it from "model" of a report, or from `SegmentResult.model`: "id", "name", "version", "sha256"."""
        return cls(**{key: str(model.get(key) or "unknown") for key in ("id", "name", "version", "sha256")})


PANCREAS = SegmentLabel()
