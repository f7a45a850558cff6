"""What tells series of the same number and description apart, for the person who has to choose one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .dicom_slices import SlicePlane

# Of a file, in the order in which they are told; the first keyword that has a value counts.
_TOLD = {
    "patient": ("PatientID",),
    "date": ("SeriesDate", "AcquisitionDate", "StudyDate"),
    "time": ("SeriesTime", "AcquisitionTime", "StudyTime"),
    "study": ("StudyDescription",),
    "protocol": ("ProtocolName",),
    "contrast agent": ("ContrastBolusAgent",),
    "kernel": ("ConvolutionKernel",),
    "slice thickness": ("SliceThickness",),
}
FACT_TAGS = tuple(dict.fromkeys(keyword for keywords in _TOLD.values() for keyword in keywords))
_ORIENTATION = "orientation"
_ALONG = "sagittal", "coronal", "axial"
# A plane this close to one of the body's (cosine) has its name: gantries tilt up to 30 degrees.
_UPRIGHT = 0.85


def facts_of(texts: Mapping[str, str]) -> dict[str, str]:
    """Return what a file says of its series, by name; `texts` are the values of `FACT_TAGS`, "" where there is none."""
    found = {name: next(filter(None, map(texts.get, keywords)), "") for name, keywords in _TOLD.items()}
    return found | {"date": _date(found["date"]), "time": _time(found["time"])}


def orientation_of(plane: SlicePlane) -> dict[str, str]:
    """Return which way slices lie, as one more fact."""
    normal = np.abs(np.cross(plane.orientation[:3], plane.orientation[3:]))
    axis = int(normal.argmax())
    return {_ORIENTATION: _ALONG[axis] if normal[axis] >= _UPRIGHT else "oblique"}


def differences(series: Sequence[Mapping[str, str]]) -> list[str]:
    """Return for each series those of its facts that are not the same in all, as the part of a sentence."""
    names = [*_TOLD, _ORIENTATION]
    differing = [name for name in names if len({each.get(name, "") for each in series}) > 1]
    return [", ".join(_parts(each, differing)) for each in series]


def _parts(facts: Mapping[str, str], names: Iterable[str]) -> Iterable[str]:
    for name in names:
        value = facts.get(name, "")
        if not value:
            yield f"no {name}"
        elif name in ("date", "time", _ORIENTATION):
            yield value
        else:
            yield f"{name} {value} mm" if name == "slice thickness" else f"{name} {value}"


def _date(value: str) -> str:
    return re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", value)


def _time(value: str) -> str:
    """Hours, minutes and seconds; what a second holds tells nobody anything."""
    return re.sub(r"^(\d\d)(\d\d)(\d\d)(\.\d*)?$", r"\1:\2:\3", value)
