"""Labelled scans small enough to take along to a machine with a GPU: cut to size, at about training resolution.

A CT of 512 x 512 voxels holds many times what a network at 2 to 3 mm is shown of it. Reduced, it is a tenth as large,
and training prepares the same from it but for a fraction of a voxel at the labels' surfaces.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import body_box, bounding_box, to_model_grid, write_image
from AttentionUNetSegLib.training.datasets.table import TABLE_NAME, structures_cell, write_table
from AttentionUNetSegLib.training.labelled_scan import STRUCTURES, LabelledScan, LoadedScan


def write_reduced_scans(
    scans: Sequence[LabelledScan],
    folder: Path,
    spacing_mm: float = 1.5,
    margin_mm: float | None = None,
    step_hu: int = 1,
    compress: bool = True,
) -> Path:
    """Write the scans as a data set of the layout `table` into `folder`; return its path.

    Voxels smaller than `spacing_mm` are merged to it, axis by axis; larger ones (thick slices) stay as they are. Axes
    are turned to L, P, S. Whatever a scan says about its labels (weight, who made them, licence) is kept.

    Parameters
    ----------
    scans : Sequence[LabelledScan]
        What to write.
    folder : Path
        Made where it is missing.
    spacing_mm : float
        Of the voxels, at least.
    margin_mm : float | None
        Keep what lies this far around the pancreas, where there is one; None: all of the body.
    step_hu : int
        CTs are rounded to multiples of it. Noise is what packs worst, and is larger.
    compress : bool
        Whether each file is packed by itself; not, where all are packed together afterwards.

    Raises
    ------
    BadInput : a scan cannot be read.
    InternalError : the file system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for scan in scans:
        loaded = scan.load()
        rows.append(_row(scan, loaded.structures, _reduced(loaded, spacing_mm, margin_mm, step_hu), folder, compress))
    return write_table(folder / TABLE_NAME, rows)


def _row(
    scan: LabelledScan,
    structures: Iterable[str],
    reduced: tuple[sitk.Image, sitk.Image, sitk.Image | None],
    folder: Path,
    compress: bool,
) -> dict[str, str]:
    name = scan.name.replace("/", "_")
    ct, labels, ignore = reduced
    write_image(ct, folder / f"{name}_ct.nrrd", compress)
    write_image(labels, folder / f"{name}_labels.nrrd", compress)
    row = {
        "name": scan.name.split("/")[-1],
        "image": f"{name}_ct.nrrd",
        "label": f"{name}_labels.nrrd",
        "structures": structures_cell({structure: STRUCTURES.index(structure) + 1 for structure in structures}),
        "weight": f"{scan.weight:g}",
        "patient": scan.patient,
        "labels_by": scan.labels_by,
        "licence": scan.licence,
        "attribution": scan.attribution,
    }
    if ignore is not None:
        write_image(ignore, folder / f"{name}_ignore.nrrd", compress)
        row["ignore"] = f"{name}_ignore.nrrd"
    return row


def _reduced(
    scan: LoadedScan, spacing_mm: float, margin_mm: float | None, step_hu: int
) -> tuple[sitk.Image, sitk.Image, sitk.Image | None]:
    """CT (int16), label map (uint8; values are places in `STRUCTURES`, from 1) and ignore mask, on one grid."""
    upright = sitk.DICOMOrient(scan.ct, "LPS").GetSpacing()
    grid = to_model_grid(scan.ct, tuple(max(spacing_mm, own) for own in upright))
    sides = body_box(grid) if margin_mm is None else _box_around(scan.structures.get("pancreas"), grid, margin_mm)
    box = [(side.start, side.stop - side.start) for side in reversed(sides)]
    ct = sitk.RegionOfInterest(grid, [int(size) for _, size in box], [int(start) for start, _ in box])
    labels = np.zeros(ct.GetSize()[::-1], np.uint8)
    # The pancreas last: where masks overlap, it is what training is for.
    for structure in sorted(scan.structures, key=STRUCTURES.index, reverse=True):
        labels[sitk.GetArrayFromImage(_nearest(scan.structures[structure], ct)) > 0] = STRUCTURES.index(structure) + 1
    label_image = sitk.GetImageFromArray(labels)
    label_image.CopyInformation(ct)
    ignore = None if scan.ignore is None else _nearest(scan.ignore, ct)
    return sitk.Cast(sitk.Round(ct / step_hu) * step_hu, sitk.sitkInt16), label_image, ignore


def _box_around(pancreas: sitk.Image | None, grid: sitk.Image, margin_mm: float) -> tuple[slice, slice, slice]:
    """The box (KJI) of the pancreas and a margin, within the body's box; that alone where there is none."""
    body = body_box(grid)
    own = None if pancreas is None else bounding_box(sitk.GetArrayFromImage(_nearest(pancreas, grid)))
    if own is None:
        return body
    margins = [math.ceil(margin_mm / length) for length in reversed(grid.GetSpacing())]
    k, j, i = (
        slice(max(side.start - margin, whole.start), min(side.stop + margin, whole.stop))
        for side, margin, whole in zip(own, margins, body, strict=True)
    )
    return k, j, i


def _nearest(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    return sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)
