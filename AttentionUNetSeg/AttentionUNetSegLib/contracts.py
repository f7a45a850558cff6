"""What the packages say to each other, declared once: clicks, options of a run, result files, models, quality.

Standard library only: Slicer's process, the worker and the command line all read it before anything else is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .errors import BadInput, ProtocolError

Position = tuple[float, float, float]

# --- Clicks ---

# How far a click acts in tissue like the clicked one, in mm, and beyond how many times that no click changes anything.
DEFAULT_REACH_MM = 15.0
SMALLEST_REACH_MM, LARGEST_REACH_MM = 1.0, 60.0
FURTHEST = 3.0
# Two positions this close (mm) are the same: files round.
SAME_PLACE_MM = 1e-4


@dataclass(frozen=True)
class Click:
    """One click of a person.

    Attributes
    ----------
    order : names the click, through moving, undo, saving and loading; of two on one voxel the higher counts. 0 for a
        point that a person has just placed and nobody has numbered yet.
    ras : position in mm. Front ends give and get world RAS, parent transforms applied; `scene` and `session` keep
        clicks in the result's own frame (`scene.placed` and `scene.world_position` go between the two).
    positive : True adds tissue, False removes it.
    """

    order: int
    ras: Position
    positive: bool

    @property
    def id(self) -> str:
        """The order as text, which names the click to `ResultEditor`."""
        return str(self.order)

    @property
    def kind(self) -> str:
        """What a person calls it: "Add" or "Remove"."""
        return "Add" if self.positive else "Remove"

    def is_same(self, other: Click) -> bool:
        """Whether the two differ by no more than a file's rounding."""
        near = max(abs(a - b) for a, b in zip(self.ras, other.ras, strict=True)) < SAME_PLACE_MM
        return near and (self.order, self.positive) == (other.order, other.positive)

    def moved_by(self, matrix: Iterable[Iterable[float]]) -> Click:
        """Return the click moved by a 4x4 matrix (rows)."""
        place = (*self.ras, 1.0)
        x, y, z = (float(sum(a * b for a, b in zip(row, place, strict=True))) for row in list(matrix)[:3])
        return replace(self, ras=(x, y, z))


def check_reach(reach_mm: float) -> None:
    """Raise BadInput where a click cannot reach that far."""
    if not SMALLEST_REACH_MM <= reach_mm <= LARGEST_REACH_MM:
        raise BadInput(
            f"A click's reach of {reach_mm} mm is not between {SMALLEST_REACH_MM:g} and {LARGEST_REACH_MM:g} mm."
        )


# --- The options of a run ---


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the network runs on one CT.

    Attributes
    ----------
    device : "auto", "cpu", "cuda", "cuda:1", "mps".
    tta : test-time augmentation: the mean over eight passes with small shifts of grid and HU, and their spread; eight
        times the work of one pass. Without it, as many passes as the model's card says.
    max_memory_mb : bound for the memory of a forward pass in MB; None: what the device has free.
    any_intensity : run on values that are not Hounsfield units too, with a warning.
    is_part : the CT is a part that a person chose from a larger one: its field of view is not judged.
    """

    device: str = "auto"
    tta: bool = False
    max_memory_mb: int | None = None
    any_intensity: bool = False
    is_part: bool = False

    def __post_init__(self) -> None:
        """Raise BadInput for a memory limit that cannot be."""
        if self.max_memory_mb is not None and self.max_memory_mb <= 0:
            raise BadInput(f"The memory limit must be above 0 MB, not {self.max_memory_mb}.")


@dataclass(frozen=True, kw_only=True)
class SegmentOptions(RunOptions):
    """How the network runs, and how the segment is made of its probability.

    Attributes
    ----------
    threshold : of the probability, within `THRESHOLDS`; None: the model's own.
    keep_largest : drop all but the largest connected component of the segment.
    """

    threshold: float | None = None
    keep_largest: bool = False

    def __post_init__(self) -> None:
        """Raise BadInput for a threshold or a memory limit that cannot be."""
        super().__post_init__()
        if self.threshold is not None:
            check_threshold(self.threshold)


def run_options_of(options: RunOptions, **changed: Any) -> dict[str, Any]:
    """Return what any kind of options says about the network's run, as keywords of any other kind."""
    return {each.name: getattr(options, each.name) for each in fields(RunOptions)} | changed


# What a threshold of a probability may be, and what its sliders go through: results keep no lower probabilities.
THRESHOLDS = 0.01, 1.0
THRESHOLD_STEP = 0.01


def check_threshold(threshold: float) -> None:
    """Raise BadInput where a threshold of a probability does not lie within `THRESHOLDS`."""
    lowest, highest = THRESHOLDS
    if not lowest <= threshold <= highest:
        raise BadInput(f"The threshold must lie between {lowest:g} and {highest:g}, not at {threshold:g}.")


# --- What a run leaves ---

INPUT_FILE, PROBABILITY_FILE, SPREAD_FILE = "input.nrrd", "probability.nrrd", "spread.nrrd"


def attention_file(gate: int) -> str:
    """Return the file name of a gate's attention coefficients; gate 1 is the finest."""
    return f"attention_{gate}.nrrd"


@dataclass(frozen=True)
class ResultFiles:
    """Plain file names inside the job folder; `attention` holds one map a gate, finest first.

    `spread` is there with test-time augmentation only, on the grid of the probability: 510 times its standard deviation
    over the passes.

    Raises
    ------
    ProtocolError : a name could lead out of the folder.
    """

    probability: str = PROBABILITY_FILE
    attention: tuple[str, ...] = ()
    spread: str | None = None

    def __post_init__(self) -> None:
        require_plain_name(self.probability, "result.files.probability")
        for name in self.attention:
            require_plain_name(name, "result.files.attention")
        if self.spread is not None:
            require_plain_name(self.spread, "result.files.spread")


def require_plain_name(name: str, where: str) -> None:
    """Raise ProtocolError for anything that could lead out of a folder, on any operating system."""
    if name in ("", ".", "..") or any(character in name for character in "/\\:\0"):
        raise ProtocolError(f"{where} must be a plain file name, not {name[:60]!r}.")


@dataclass(frozen=True)
class ModelIdentity:
    """The model package that made a result; `sha256` is its weights' hash."""

    id: str
    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> ModelIdentity:
        """Take it from "model" of a report; what that leaves out is "unknown"."""
        return cls(**{key: str(fields.get(key) or "unknown") for key in ("id", "name", "version", "sha256")})

    def as_json(self) -> dict[str, str]:
        """Return it as "model" of a report."""
        return asdict(self)


@dataclass(frozen=True)
class QualityReport:
    """How far to believe a result.

    Attributes
    ----------
    reasons : to distrust it, one sentence each; empty where none was found, which proves nothing. They are among the
        result's warnings too.
    mean_probability : mean probability (0..1) within the segment at the model's threshold; of a calibrated network, the
        part of the segment that it expects to be right. None where nothing was found.
    mean_spread : mean standard deviation of the probability over the passes of test-time augmentation within the
        segment, 0..0.5. None without test-time augmentation, or where nothing was found.
    expected_dice : the Dice (0..1) that the network expects of its own segment at the model's threshold. None where
        nothing was found.
    """

    reasons: tuple[str, ...] = ()
    mean_probability: float | None = None
    mean_spread: float | None = None
    expected_dice: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as "trust" of a report."""
        return {"distrust": bool(self.reasons), **asdict(self), "reasons": list(self.reasons)}
