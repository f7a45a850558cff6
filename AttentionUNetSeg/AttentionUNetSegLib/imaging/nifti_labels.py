"""The names of a label map's labels that a NIfTI file itself holds, in an extension of its header.

TotalSegmentator writes them there, and so does Connectome Workbench, whose table it is (XML: CaretExtension,
VolumeInformation, LabelTable, Label). Source: header extensions in nifti1.h (https://nifti.nimh.nih.gov).
"""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree

from .nifti import first_bytes, read_nifti_header
from .plain_name import printable

_MOST_BYTES = 1_000_000


def label_names(path: Path) -> dict[int, str]:
    """Return label values with their names; empty where the file is no NIfTI, names none, or its table is damaged."""
    header = read_nifti_header(path)
    if header is None or header.is_analyze:
        return {}
    start = first_bytes(path, max(0, min(header.vox_offset, _MOST_BYTES)))
    if len(start) < 352:
        return {}
    at = struct.unpack_from(header.order + "i", start)[0] + 4
    if not start[at - 4 : at - 3].strip(b"\0"):
        return {}  # no extensions
    names: dict[int, str] = {}
    while at + 8 <= len(start):
        size, _kind = struct.unpack_from(header.order + "2i", start, at)
        if size < 8:
            break
        names.update(_names_in(start[at + 8 : at + size]))
        at += size
    return names


def _names_in(extension: bytes) -> dict[int, str]:
    text = extension.strip(b"\0 \t\r\n")
    if b"<LabelTable" not in text or b"<!" in text.replace(b"<![CDATA[", b""):
        return {}  # a table needs no declarations, with which XML can be made to grow without end
    try:
        labels = list(ElementTree.fromstring(text).iter("Label"))
    except ElementTree.ParseError:
        return {}
    named = ((label.get("Key", ""), printable((label.text or "").strip())) for label in labels)
    return {int(key): name for key, name in named if name and key.isascii() and key.isdigit() and len(key) < 10}
