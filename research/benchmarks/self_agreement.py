"""Does a model say the same of the same patient: field of view cut, HU shifted, patient scaled and turned.

``python -m research.benchmarks.self_agreement --work FOLDER --start-from PACKAGE`` (the folder of
``research.pancreas_ct_manual`` and ``research.pancreas_ct_second_look``) takes CTs that the models of a fold did not
see, and writes ``results/self_agreement.json``: Dice of each varied result with the plain one, per variation the mean
and the lowest, for the folds' models with both looks and for 0.3.0; and how much pancreas each finds where there is
none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import load_package
from AttentionUNetSegLib.training.labelled_scan import LabelledScan

from ..pancreas_ct_cross_validation import VERSION, VERSIONS, fold_package
from ..pancreas_ct_manual import manual_step_scans, read_folds
from .machine import write_results

COMMAND = "python -m research.benchmarks.self_agreement"
MANUAL_PER_FOLD = 2


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--start-from", type=Path, required=True, help="the package of pancreas-ct 0.3.0")
    parser.add_argument("--folds", type=int, nargs="*")
    options = parser.parse_args()
    scans = [scan for scan in manual_step_scans(options.work) if scan.part_map is None]
    before = Segmenter(load_package(options.start_from), "cpu")
    agreements: dict[str, dict[str, list]] = {"0.3.0": {}, VERSION: {}}
    negatives: list[dict] = []
    for number in options.folds or range(len(read_folds())):
        own = Segmenter(fold_package(options.work, number, VERSIONS[VERSION]), "cpu")
        apart = [scan for scan in scans if scan.patient in read_folds()[number]]
        manual = [scan for scan in apart if scan.name.startswith("nih_pancreas/")][:MANUAL_PER_FOLD]
        others = [scan for scan in apart if scan.name.startswith("reduced/")]
        for name, segmenter in (("0.3.0", before), (VERSION, own)):
            for scan in (*manual, *others):
                for variation, dice in agreement(segmenter, scan):
                    agreements[name].setdefault(variation, []).append((scan.name, round(dice, 4)))
                    print(number, name, scan.name, variation, round(dice, 3), flush=True)
            for scan in (scan for scan in apart if scan.name.startswith("negative/")):
                found_ml = round(where_there_is_none(segmenter, scan), 2)
                negatives.append({"model": name, "scan": scan.name, "ml": found_ml})
                print(negatives[-1], flush=True)
    summary = {
        name: {variation: {"mean": round(float(np.mean([dice for _, dice in rows])), 4),
                           "lowest": min(dice for _, dice in rows), "n": len(rows), "cases": dict(rows)}
               for variation, rows in variations.items()}
        for name, variations in agreements.items()
    }  # fmt: skip
    write_results("self_agreement", {
        "command": COMMAND, "agreement_with_itself": summary, "found_where_there_is_none": negatives,
    })  # fmt: skip
    print(json.dumps({name: {v: (row["mean"], row["lowest"]) for v, row in rows.items()}
                      for name, rows in summary.items()}, indent=1))  # fmt: skip


def agreement(segmenter: Segmenter, scan: LabelledScan) -> Iterator[tuple[str, float]]:
    """Each variation and its Dice with the plain result, on the voxels that both saw."""
    ct = scan.load().ct
    plain = found(segmenter, ct)
    mask = sitk.GetArrayFromImage(plain) > 0
    if not mask.any():
        return
    for words, margins in (("10 mm beyond the gland, head and feet", (10, 1e4, 1e4)), ("box + 20 mm", (20, 20, 20))):
        part = cut(ct, mask, margins)
        reference = sitk.Resample(plain, part, sitk.Transform(), sitk.sitkNearestNeighbor)
        yield words, dice(found(segmenter, part), reference)
    for shift in (-20, 20):
        yield f"{shift:+d} HU", dice(found(segmenter, shifted(ct, shift)), plain)
    for factor in (0.9, 1.1):
        larger = sitk.Image(ct)
        larger.SetSpacing([factor * length for length in ct.GetSpacing()])
        again = found(segmenter, larger)
        again.CopyInformation(plain)  # voxel by voxel: the same patient
        yield f"scaled {factor}", dice(again, plain)
    turn = sitk.Euler3DTransform(middle(ct), 0.0, 0.0, np.radians(10.0))
    turned = sitk.Resample(ct, ct, turn, sitk.sitkLinear, -1024.0)
    yield "turned 10 degrees", dice(found(segmenter, turned), sitk.Resample(plain, ct, turn, sitk.sitkNearestNeighbor))


def where_there_is_none(segmenter: Segmenter, scan: LabelledScan) -> float:
    """Millilitres that are found in the part of a scan that shows no pancreas."""
    loaded = scan.load()
    mask = sitk.GetArrayFromImage(found(segmenter, loaded.ct)) > 0
    if loaded.ignore is not None:
        mask &= sitk.GetArrayFromImage(loaded.ignore) == 0
    return float(mask.sum() * np.prod(loaded.ct.GetSpacing()) / 1000)


def found(segmenter: Segmenter, ct: sitk.Image) -> sitk.Image:
    """The segment on the CT's whole grid."""
    result = segmenter.segment(Volume(ct, "variation", False, ()))
    whole = sitk.Resample(result.probability, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.Cast(whole >= max(1, round(result.threshold * 255)), sitk.sitkUInt8)


def cut(ct: sitk.Image, mask: np.ndarray, margins_mm: tuple[float, float, float]) -> sitk.Image:
    """The CT within these margins (K, J, I) of a mask's box."""
    places = np.argwhere(mask)
    more = np.ceil(np.array(margins_mm) / np.array(ct.GetSpacing()[::-1]))
    low = np.maximum(places.min(axis=0) - more, 0).astype(int)[::-1].tolist()
    high = np.minimum(places.max(axis=0) + 1 + more, mask.shape).astype(int)[::-1].tolist()
    return ct[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]


def shifted(ct: sitk.Image, hu: float) -> sitk.Image:
    """Tissue brighter or darker; what is darker than fat (air, or what was lost) stays as it is."""
    values = sitk.GetArrayFromImage(ct).astype(np.float32)
    values[values > -100] += hu
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(ct)
    return image


def middle(image: sitk.Image) -> tuple[float, ...]:
    """The point in the middle of the grid (LPS, mm)."""
    return image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])


def dice(first: sitk.Image, second: sitk.Image) -> float:
    """Dice of two masks on one grid; 1 where both are empty."""
    a, b = (sitk.GetArrayViewFromImage(image) > 0 for image in (first, second))
    total = a.sum() + b.sum()
    return float(2 * (a & b).sum() / total) if total else 1.0


if __name__ == "__main__":
    main()
