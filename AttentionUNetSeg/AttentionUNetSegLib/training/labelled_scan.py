"""A CT with labels, as every data set layout and the synthesis hand it to training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

# The pancreas and what lies around it (the paper segments liver and spleen beside it: Oktay et al. 2018, section 4).
# The order is that of the network's output channels in training; an exported model keeps the pancreas only.
STRUCTURES = (
    "pancreas",
    "duodenum",
    "stomach",
    "spleen",
    "left_kidney",
    "liver",
    "gallbladder",
    "portal_and_splenic_vein",
)


@dataclass(frozen=True)
class LoadedScan:
    """The images of one `LabelledScan`, all on the CT's voxel grid.

    Attributes
    ----------
    ct : CT in HU, any orientation and spacing.
    structures : uint8 mask (0 or 1) by name of `STRUCTURES`. A structure that is missing here was not annotated:
        nothing is known about where it is. One that is here and empty is known to be absent.
    ignore : uint8 mask of where the pancreas label says nothing (a partial label), or None.
    """

    ct: sitk.Image
    structures: Mapping[str, sitk.Image]
    ignore: sitk.Image | None = None


@dataclass(frozen=True)
class LabelledScan:
    """One CT with labels, not read yet.

    Attributes
    ----------
    name : unique among all data sets of a run, such as "msd/pancreas_001"; it names files and table rows.
    patient : scans of one patient share it; a split never divides a patient.
    load : reads the images; raises BadInput where a file is missing or unreadable, or label and CT do not share one
        grid.
    labels_by : "manual", "synthetic", or the name of the model that made the labels.
    weight : how much the case counts in the loss, above 0.
    licence, attribution : of the data, for the model card.
    part_map : file of a `synthesis.part_map.PartMap`, where the scan is painted anew each time a patch is drawn.
    """

    name: str
    patient: str
    load: Callable[[], LoadedScan] = field(repr=False)
    labels_by: str = "manual"
    weight: float = 1.0
    licence: str = "unknown"
    attribution: str = "unknown"
    part_map: Path | None = None

    @property
    def is_labelled_by_a_model(self) -> bool:
        """Whether another model made the labels: agreement with them is not accuracy."""
        return self.labels_by not in ("manual", "synthetic")
