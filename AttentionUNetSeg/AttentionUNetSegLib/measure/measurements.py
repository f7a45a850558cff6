"""What is measured on one segment, each number with the range that the probability leaves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .centre_line import CentreLine
from .contrast_phase import ContrastPhase

DIGITS = 4  # significant; more would pretend


@dataclass(frozen=True)
class Quantity:
    """One number.

    Attributes
    ----------
    key : stable name for programs, for example "volume".
    name : for people, for example "Volume".
    value : at the chosen threshold; None where it cannot be measured.
    low, high : the least and the greatest value among the chosen threshold and those of the range. Both None where
        `value` is, or where there was only a mask and no probability.
    unit : UCUM code: "mL", "mm", "mm2", "[hnsf'U]" (Hounsfield units), "%", "1" (none).
    """

    key: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str

    @property
    def printed_unit(self) -> str:
        """The unit as people write it."""
        return {"[hnsf'U]": "HU", "1": "", "mm2": "mm²"}.get(self.unit, self.unit)


@dataclass(frozen=True)
class Measurements:
    """All numbers of one segment.

    Attributes
    ----------
    threshold : lowest probability of the segment; None where a mask was measured.
    range_of_thresholds : the thresholds that `low` and `high` come from; None where a mask was measured.
    quantities : in the order in which they are shown.
    centre_line : the course of the gland with its thickness; None where there is none.
    notes : sentences on what could not be measured, or not in the usual way.
    phase : the contrast phase of the CT, a guess; None in what an earlier version kept.
    """

    threshold: float | None
    range_of_thresholds: tuple[float, float] | None
    quantities: tuple[Quantity, ...]
    centre_line: CentreLine | None
    notes: tuple[str, ...] = ()
    phase: ContrastPhase | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What there is to say beside the numbers: the guess of the contrast phase, and the notes."""
        return self.notes if self.phase is None else (self.phase.sentence, *self.notes)

    def __getitem__(self, key: str) -> Quantity:
        """The quantity of this key; raises KeyError where there is none."""
        for quantity in self.quantities:
            if quantity.key == key:
                return quantity
        raise KeyError(key)

    def __iter__(self) -> Iterator[Quantity]:
        """Go through the quantities."""
        return iter(self.quantities)

    def as_rows(self) -> list[tuple[str, float | None, float | None, float | None, str]]:
        """Rows of a table for people: name, value, low, high, unit."""
        return [(each.name, each.value, each.low, each.high, each.printed_unit) for each in self.quantities]

    def as_json(self) -> dict[str, object]:
        """Everything as JSON: quantities by key, the profile along the centre line, the notes."""
        return {
            "threshold": self.threshold,
            "range_of_thresholds": None if self.range_of_thresholds is None else list(self.range_of_thresholds),
            "quantities": {
                each.key: {
                    "name": each.name,
                    "value": each.value,
                    "low": each.low,
                    "high": each.high,
                    "unit": each.unit,
                }
                for each in self.quantities
            },
            "centre_line": None if self.centre_line is None else self.centre_line.as_json(),
            "contrast_phase": None if self.phase is None else self.phase.as_json(),
            "notes": list(self.notes),
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Measurements:
        """Take over what `as_json` gave, the centre line to a tenth of a millimetre."""
        quantities = tuple(Quantity(key, **fields) for key, fields in kept["quantities"].items())
        line = kept["centre_line"] and CentreLine.of_json(kept["centre_line"])
        levels = kept["range_of_thresholds"]
        phase = kept.get("contrast_phase") and ContrastPhase.of_json(kept["contrast_phase"])
        return cls(kept["threshold"], levels and tuple(levels), quantities, line, tuple(kept["notes"]), phase)

    def as_columns(self) -> dict[str, float | None]:
        """Columns of a table with one row a case: `<key>`, `<key>_low`, `<key>_high`; units are in `as_json`."""
        columns: dict[str, float | None] = {}
        for each in self.quantities:
            columns |= {each.key: each.value, f"{each.key}_low": each.low, f"{each.key}_high": each.high}
        return columns


def with_range(
    middle: dict[str, float | None], others: list[dict[str, float | None]], kinds: dict[str, tuple[str, str]]
) -> tuple[Quantity, ...]:
    """Join the numbers at the chosen threshold and at the others; `kinds` gives name and unit by key, in order."""
    quantities = []
    for key, (name, unit) in kinds.items():
        value = middle.get(key)
        all_values = [each for each in (value, *(other.get(key) for other in others)) if each is not None]
        ranged = bool(others) and value is not None
        quantities.append(
            Quantity(
                key, name, _rounded(value),
                _rounded(min(all_values)) if ranged else None, _rounded(max(all_values)) if ranged else None, unit,
            )
        )  # fmt: skip
    return tuple(quantities)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
