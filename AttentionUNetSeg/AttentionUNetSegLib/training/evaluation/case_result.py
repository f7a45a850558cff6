"""What was measured on one scan."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from .case_metrics import CaseMetrics
from .gate_selectivity import GateSelectivity

DECIMALS = 4


@dataclass(frozen=True)
class CaseResult:
    """One row of the tables.

    Attributes
    ----------
    name, patient, labels_by : of the scan.
    size, spacing_mm : of the CT, (I, J, K).
    metrics : the measurements.
    seconds : of the segmentation, without reading and measuring.
    mean_spread : mean standard deviation over the augmented passes within the segment, 0..0.5; None without spread or
        segment.
    mean_probability, expected_dice, agreement : what the network itself says of its segment; None without a segment,
        the last also after a single pass. All four are what a report says of the result: `contracts.QualityReport`.
    gates : what each attention gate does, finest first.
    warnings : what the segmentation warned of.
    """

    name: str
    patient: str
    labels_by: str
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    metrics: CaseMetrics
    seconds: float
    mean_spread: float | None = None
    mean_probability: float | None = None
    expected_dice: float | None = None
    agreement: float | None = None
    gates: tuple[GateSelectivity, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The result as flat JSON values, rounded."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        metrics = {name: _rounded(value) for name, value in asdict(own.pop("metrics")).items()}
        remarks = metrics.pop("remarks")
        own["gates"] = [{name: _rounded(value) for name, value in asdict(gate).items()} for gate in self.gates]
        own |= {name: _rounded(own[name]) for name in ("mean_spread", "mean_probability", "expected_dice", "agreement")}
        own["seconds"] = round(self.seconds, 2)
        own["spacing_mm"] = [_rounded(side) for side in self.spacing_mm]
        own["size"], own["warnings"] = list(self.size), list(self.warnings)
        identity = {name: own.pop(name) for name in ("name", "patient", "labels_by")}
        return {**identity, **metrics, "is_failure": self.metrics.is_failure, "remarks": list(remarks), **own}


def _rounded(value: Any) -> Any:
    return round(value, DECIMALS) if isinstance(value, float) else value
