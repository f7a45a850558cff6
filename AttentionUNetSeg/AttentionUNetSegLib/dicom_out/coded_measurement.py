"""Measurements as DICOM reports need them: what was measured as a code (SNOMED CT, DICOM, IBSI), units in UCUM."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..measure.measurements import Quantity

# For what no public scheme names as it is measured here; "99" begins private schemes (DICOM PS3.16, chapter 8).
PRIVATE_SCHEME = "99AUNETSEG"


class Code(NamedTuple):
    """A coded concept: which scheme, which code in it, and what that means."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class CodedMeasurement:
    """One number as a report holds it.

    Attributes
    ----------
    concept : what was measured.
    value : the number.
    unit : in UCUM: "mL", "mm", "[hnsf'U]", "%", "1" for none.
    low, high : its range, in the same unit; None where there is none.
    derivation : for example the mean or a percentile; None for the quantity itself.
    site : the part that was measured, where that is not the whole segment.
    """

    concept: Code
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    derivation: Code | None = None
    site: Code | None = None


def coded_measurements(quantities: Iterable[Quantity]) -> list[CodedMeasurement]:
    """Return the quantities that could be measured, with their codes.

    One whose key is not known here gets a code of our own scheme, made of its key and its name.
    """
    return [_coded(quantity, quantity.value) for quantity in quantities if quantity.value is not None]


def _coded(quantity: Quantity, value: float) -> CodedMeasurement:
    site, key = _site_and_key(quantity.key)
    concept, derivation = _CONCEPTS.get(
        key, (Code(PRIVATE_SCHEME, quantity.key[:16].upper(), quantity.name[:64]), None)
    )
    return CodedMeasurement(
        concept,
        value,
        quantity.unit,
        quantity.low,
        quantity.high,
        derivation,
        site if key in _CONCEPTS else None,
    )


def _site_and_key(key: str) -> tuple[Code | None, str]:
    """Split "head_volume" into the head and "volume"."""
    part, _, rest = key.partition("_")
    return (SITES[part], rest) if part in SITES and rest else (None, key)


SITES = {
    "head": Code("SCT", "64163001", "Head of pancreas"),
    "body": Code("SCT", "40133006", "Body of pancreas"),
    "tail": Code("SCT", "73239005", "Tail of pancreas"),
}
_ATTENUATION = Code("DCM", "112031", "Attenuation Coefficient")
_MEDIAN = Code("SCT", "373099004", "Median")
_CONCEPTS: dict[str, tuple[Code, Code | None]] = {
    "volume": (Code("SCT", "118565006", "Volume"), None),
    "hu_mean": (_ATTENUATION, Code("SCT", "373098007", "Mean")),
    "hu_sd": (_ATTENUATION, Code("SCT", "386136009", "Standard Deviation")),
    "hu_p05": (_ATTENUATION, Code("SCT", "371888009", "Fifth percentile")),
    "hu_p25": (_ATTENUATION, Code(PRIVATE_SCHEME, "P25", "25th percentile")),
    "hu_p50": (_ATTENUATION, _MEDIAN),
    "hu_p75": (_ATTENUATION, Code(PRIVATE_SCHEME, "P75", "75th percentile")),
    "hu_p95": (_ATTENUATION, Code("SCT", "371889001", "Ninety-fifth percentile")),
    "fat": (Code(PRIVATE_SCHEME, "FAT", "Fat within the smoothed hull"), None),
    "surface": (Code(PRIVATE_SCHEME, "SURFACE", "Surface"), None),
    "sphericity": (Code("IBSI", "QCFX", "Sphericity"), None),
    "length": (Code("SCT", "410668003", "Length"), None),
    "thickness": (Code(PRIVATE_SCHEME, "THICKNESS", "Thickness across the centre line"), _MEDIAN),
}
