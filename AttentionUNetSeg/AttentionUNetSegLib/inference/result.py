"""What one segmentation yields, and its files in a job folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import SimpleITK as sitk

from ..imaging import write_image
from .distrust import Trust


@dataclass
class Segmentation:
    """Result of one run.

    Attributes
    ----------
    probability : uint8 0..255, probability of the first label on the input's voxel grid, cropped to where it is
        above 0.01.
    attention : uint8 0..255 per gate, attention coefficients, gate 1 (finest) first, each on its own coarse grid.
    device, device_name : kind ("cuda", "mps", "cpu") and name of the processor that computed.
    timings : seconds per stage.
    warnings : sentences for the person.
    volume_ml : volume in mL by label name, at `threshold`.
    threshold : the model's threshold on the probability, 0..1.
    spread : with test-time augmentation, the voxel-wise standard deviation of the probability over the passes, on the
        grid of `probability`: uint8, 510 times the standard deviation, so that 255 is 0.5, the largest there can be.
        None without.
    trust : reasons to distrust the result (they are among the warnings too), and how sure the network was.
    tile_count : 1 for a single pass over the whole field of view.
    """

    probability: sitk.Image
    attention: list[sitk.Image]
    device: str
    device_name: str
    threshold: float
    spread: sitk.Image | None = None
    timings: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    volume_ml: dict[str, float] = field(default_factory=dict)
    tile_count: int = 1
    trust: Trust = field(default_factory=Trust)


class _AlwaysWritten(TypedDict):
    probability: str
    attention: list[str]


class SegmentationFiles(_AlwaysWritten, total=False):
    """Names of written files: "probability", "attention" (finest gate first), and "spread" where there is one."""

    spread: str


def write_segmentation(segmentation: Segmentation, folder: Path | str) -> SegmentationFiles:
    """Write ``probability.nrrd``, ``attention_<n>.nrrd`` (n = 1 is the finest gate) and, if any, ``spread.nrrd``.

    Returns
    -------
    SegmentationFiles : their names in the folder.

    Raises
    ------
    InternalError : a file cannot be written (disk full, folder gone).
    """
    folder = Path(folder)
    write_image(segmentation.probability, folder / "probability.nrrd")
    names = []
    for number, image in enumerate(segmentation.attention, start=1):
        names.append(f"attention_{number}.nrrd")
        write_image(image, folder / names[-1])
    files: SegmentationFiles = {"probability": "probability.nrrd", "attention": names}
    if segmentation.spread is not None:
        write_image(segmentation.spread, folder / "spread.nrrd")
        files["spread"] = "spread.nrrd"
    return files
