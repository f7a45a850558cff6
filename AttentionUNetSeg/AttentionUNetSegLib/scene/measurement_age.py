"""Whether a table of measurements is still about its segment: told on the table whenever the segment changes."""

from __future__ import annotations

import zlib

from . import provenance
from .fields import read_values
from .results import ResultNodes
from .segment import DIGEST

STATE = "measured"
OLD = " (old)"


def state_of_segment(nodes: ResultNodes) -> str:
    """Return what changes whenever the measurements do: the segment's voxels, its field and how it is cleaned."""
    keys = (DIGEST, "threshold", "keep_largest", "smoothing_mm")
    kept = [provenance.read(nodes.segmentation, key) or "" for key in keys]
    return "|".join([*kept, f"{zlib.crc32(read_values(nodes.field).data):08x}"])


def are_old(nodes: ResultNodes) -> bool:
    """Whether there are measurements, and of another segment than that of now."""
    table = nodes.measurements
    return table is not None and provenance.read(table, STATE) != state_of_segment(nodes)


def note_age(nodes: ResultNodes) -> None:
    """Let the name of the table say whether its numbers are old."""
    table = nodes.measurements
    if table is None:
        return
    name = table.GetName().removesuffix(OLD)
    name += OLD if are_old(nodes) else ""
    if table.GetName() != name:
        table.SetName(name)
