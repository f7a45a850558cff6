"""How many clicks until the bundled model's own results are right: what a person who corrects really starts from.

    python -m research.benchmarks.model_results --table nih_pancreas/cases.csv --probabilities FOLDER
        --chosen-folds 0 1 --write
    python -m research.benchmarks.model_results --table SET/cases.csv [--chosen 10] [--clicks 10] [--write]

Robot user, methods and reach are those of `correction.py`, whose predictions are made up. Here they are what the
bundled model says of CTs that it was not trained on. On patients with manual contours (nih_pancreas), --probabilities
names the folder of what a model trained without the patient said: <name>_probability.nrrd. Where the table ignores
slices, which are interpolated there, no error counts, and the robot does not click.

Synthetic CTs, whose labels are exact to the voxel, are made by
    attention-unet-seg synthesize --out SET --count 20 --first-seed 5000 --trunk ... --organs ... --phantom-share 0
The first `--chosen` CTs helped to choose our constants (rows "tuned on"), the others did not ("held out"); of patients
with manual contours those of `--chosen-folds` did.
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..pancreas_ct_manual import read_folds
from .correction import parse_arguments, play_all, write
from .correction_robot import dice
from .correction_scenarios import Case, box_around

if TYPE_CHECKING:
    import SimpleITK as sitk
    from AttentionUNetSegLib.inference import Segmenter


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="labelled CTs: table of their set")
    parser.add_argument("--probabilities", type=Path, help="folder of what a model said (default: the model runs)")
    parser.add_argument("--only", nargs="*", help="names of CTs (default: all)")
    parser.add_argument("--results", default="own_results", help="file under results/ (default: %(default)s)")
    parser.add_argument("--model", default="pancreas-ct", help="of the catalogue, or a folder (default: %(default)s)")
    parser.add_argument("--chosen", type=int, default=10, help="so many CTs chose constants (default: %(default)s)")
    parser.add_argument("--chosen-folds", type=int, nargs="*", help="instead: patients of these folds chose constants")
    arguments = parse_arguments(parser)
    starts = model_results(arguments.table, arguments.model, arguments.probabilities, arguments.only)
    if not starts:
        raise SystemExit(f"{arguments.table} holds no CT to play on.")
    before = [dice(case.counted(said["own result"] >= 128), case.truth) for case, said in starts]
    print(f"{len(starts)} CTs, Dice before {np.mean(before):.3f} (lowest {min(before):.3f})", flush=True)
    names = [case.name for case, _ in starts]
    chosen = names[: arguments.chosen]
    if arguments.chosen_folds is not None:
        of_folds = {patient for fold in arguments.chosen_folds for patient in read_folds()[fold]}
        chosen = [name for name in names if name in of_folds]
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        for played in play_all(pool, starts, chosen, arguments):
            if arguments.write:
                write(arguments.results, {"model": arguments.model, **played})


def model_results(
    table: Path, model: str, probabilities: Path | None = None, only: list[str] | None = None
) -> list[tuple[Case, dict[str, np.ndarray]]]:
    """Return CTs around the pancreas, and what the model says of them, uint8 0..255.

    With `probabilities` CTs are left out that nothing was said of.
    """
    import SimpleITK as sitk
    from AttentionUNetSegLib.imaging import Volume
    from AttentionUNetSegLib.training.datasets import open_datasets

    starts = []
    for scan in open_datasets([f"table:{table}"]):
        name = scan.name.split("/")[-1]
        said = None if probabilities is None else probabilities / f"{name}_probability.nrrd"
        if (only and name not in only) or (said is not None and not said.is_file()):
            continue
        loaded = scan.load()
        pancreas = sitk.GetArrayFromImage(loaded.structures["pancreas"]) > 0
        found = _segmenter(model).segment(Volume(loaded.ct, name)).probability if said is None else _told(said)
        case, prediction = _case(name, loaded.ct, pancreas, found)
        if loaded.ignore is not None:
            spacing = loaded.ct.GetSpacing()[::-1]
            ignored = sitk.GetArrayFromImage(loaded.ignore)[box_around(pancreas, spacing)] > 0
            case = replace(case, truth=case.truth & ~ignored, ignored=ignored)
        starts.append((case, {"own result": prediction}))
    return starts


def _case(name: str, ct: sitk.Image, truth: np.ndarray, said: sitk.Image) -> tuple[Case, np.ndarray]:
    """Return a case, and what was said of it; `said` holds uint8 0..255, on the CT's voxels or a part of them."""
    import SimpleITK as sitk

    spacing = ct.GetSpacing()[::-1]
    box = box_around(truth, spacing)
    voxels = np.ascontiguousarray(sitk.GetArrayFromImage(ct)[box])
    whole = sitk.GetArrayFromImage(sitk.Resample(said, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    return Case(name, voxels, truth[box].copy(), spacing, np.zeros(voxels.shape, bool)), whole[box].copy()


def _told(path: Path) -> sitk.Image:
    """Return a file's fractions, or uint8, as uint8 0..255."""
    import SimpleITK as sitk
    from AttentionUNetSegLib.imaging import read_probability

    return sitk.Cast(sitk.Round(255.0 * read_probability(path).image), sitk.sitkUInt8)


@cache
def _segmenter(model: str) -> Segmenter:
    """Return a model of the catalogue, or of a folder, on the CPU."""
    from AttentionUNetSegLib.inference import Segmenter
    from AttentionUNetSegLib.models import Catalogue, load_package

    return Segmenter(load_package(Path(model)) if Path(model).is_dir() else Catalogue().get(model), "cpu")


if __name__ == "__main__":
    main()
