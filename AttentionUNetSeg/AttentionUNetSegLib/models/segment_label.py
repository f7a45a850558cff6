"""What a segment shows, as a model's manifest says it: for a Slicer scene and for DICOM alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SegmentLabel:
    """What a segment shows: its name, its code (scheme, value, meaning) and its colour (0..255 per channel)."""

    name: str = "Pancreas"
    scheme: str = "SCT"
    code: str = "15776009"
    meaning: str = "Pancreas"
    color: tuple[int, int, int] = (249, 180, 111)

    @property
    def is_pancreas(self) -> bool:
        """Whether the code says pancreas, whatever the name is."""
        return (self.scheme, self.code) == (type(self).scheme, type(self).code)

    def as_manifest(self) -> dict[str, Any]:
        """The entry of a manifest's "labels" that says this, ready for JSON."""
        code = {"scheme": self.scheme, "value": self.code, "meaning": self.meaning}
        return {"name": self.name, "code": code, "color": list(self.color)}

    @classmethod
    def of_manifest(cls, label: Mapping[str, Any]) -> SegmentLabel:
        """Read one entry of a model manifest's "labels"; what it leaves out is the pancreas."""
        code = label.get("code", {})
        return cls(
            name=label.get("name", cls.name),
            scheme=code.get("scheme", cls.scheme),
            code=code.get("value", cls.code),
            meaning=code.get("meaning", cls.meaning),
            color=tuple(label.get("color", cls.color)),
        )
