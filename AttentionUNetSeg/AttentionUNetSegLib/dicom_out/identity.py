"""What a segment shows where nothing else is said: as DICOM names anatomy."""

from __future__ import annotations

from ..models import SegmentLabel

PANCREAS = SegmentLabel()
