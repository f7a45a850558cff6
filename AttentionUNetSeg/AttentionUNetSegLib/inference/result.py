"""What one segmentation yields, and its files in a job folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from ..imaging import write_image


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
    tile_count : 1 for a single pass over the whole field of view.
    """

    probability: sitk.Image
    attention: list[sitk.Image]
    device: str
    device_name: str
    threshold: float
    timings: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    volume_ml: dict[str, float] = field(default_factory=dict)
    tile_count: int = 1


def write_segmentation(segmentation: Segmentation, folder: Path | str) -> dict[str, str | list[str]]:
    """Write ``probability.nrrd`` and ``attention_<n>.nrrd`` (n = 1 is the finest gate) into `folder`.

    Returns
    -------
    dict : "probability": file name, "attention": file names.

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
    return {"probability": "probability.nrrd", "attention": names}
