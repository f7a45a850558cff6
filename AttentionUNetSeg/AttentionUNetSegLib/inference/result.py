"""What one segmentation yields, and its files in a job folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from ..contracts import PROBABILITY_FILE, SPREAD_FILE, QualityReport, ResultFiles, attention_file
from ..imaging import write_image


@dataclass
class Segmentation:
    """Result of one run.

    Attributes
    ----------
    probability : sitk.Image
        uint8 0..255, probability of the first label on the input's voxel grid, cropped to where it is above 0.01.
    attention : list[sitk.Image]
        uint8 0..255 per gate, attention coefficients, gate 1 (finest) first, each on its own coarse grid.
    device, device_name : str
        Kind ("cuda", "mps", "cpu") and name of the processor that computed.
    timings : dict[str, float]
        Seconds per stage.
    warnings : list[str]
        Sentences for the person.
    volume_ml : dict[str, float]
        Volume in mL by label name, at `threshold`.
    threshold : float
        The model's threshold on the probability, 0..1.
    spread : sitk.Image | None
        With test-time augmentation, the voxel-wise standard deviation of the probability over the passes, on the grid
        of `probability`: uint8, 510 times the standard deviation, so that 255 is 0.5, the largest there can be. None
        without.
    quality : QualityReport
        Reasons to distrust the result (they are among the warnings too), and how sure the network was.
    tile_count : int
        1 for a single pass over the whole field of view.
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
    quality: QualityReport = field(default_factory=QualityReport)


def write_segmentation(segmentation: Segmentation, folder: Path | str) -> ResultFiles:
    """Write ``probability.nrrd``, ``attention_<n>.nrrd`` (n = 1 is the finest gate) and, if any, ``spread.nrrd``.

    Parameters
    ----------
    segmentation : Segmentation
        What `Segmenter.segment` returned.
    folder : Path | str
        An existing folder; files of these names are replaced.

    Returns
    -------
    ResultFiles : their names in the folder.

    Raises
    ------
    InternalError
        A file cannot be written (disk full, folder gone).
    """
    folder = Path(folder)
    write_image(segmentation.probability, folder / PROBABILITY_FILE)
    attention = tuple(attention_file(gate) for gate in range(1, len(segmentation.attention) + 1))
    for name, image in zip(attention, segmentation.attention, strict=True):
        write_image(image, folder / name)
    if segmentation.spread is None:
        return ResultFiles(PROBABILITY_FILE, attention)
    write_image(segmentation.spread, folder / SPREAD_FILE)
    return ResultFiles(PROBABILITY_FILE, attention, SPREAD_FILE)
