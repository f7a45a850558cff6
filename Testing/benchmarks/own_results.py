"""How many clicks until the bundled model's own results are right: what a person who corrects really starts from.

    attention-unet-seg synthesize --out SET --count 20 --first-seed 5000 --trunk ... --organs ... --phantom-share 0
    python Testing/benchmarks/own_results.py --table SET/cases.csv [--chosen 10] [--clicks 10] [--write]

Robot user, methods and reach are those of `correction.py`, whose predictions are made up. Here they are what the
bundled model says of synthetic CTs that it was not trained on: errors as networks make them, thin and hesitant, most of
them within some mm of the surface. The labels are exact to the voxel. The first `--chosen` CTs helped to choose
constants of our correction (rows "tuned on"), the others did not ("held out").
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from correction import parse_arguments, play_all, write
from correction_scenarios import Case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="synthetic CTs: table of their set")
    parser.add_argument("--model", default="pancreas-ct", help="of the catalogue (default: %(default)s)")
    parser.add_argument("--chosen", type=int, default=10, help="so many CTs chose constants (default: %(default)s)")
    arguments = parse_arguments(parser)
    starts = own_results(arguments.table, arguments.model)
    chosen = [case.name for case, _ in starts[: arguments.chosen]]
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        for played in play_all(pool, starts, chosen, arguments):
            if arguments.write:
                write("own_results", {"model": arguments.model, **played})


def own_results(table: Path, model: str) -> list[tuple[Case, dict[str, np.ndarray]]]:
    """Return CTs around the pancreas, and what the model says of them, uint8 0..255."""
    import SimpleITK as sitk
    from AttentionUNetSegLib.training.datasets import open_datasets
    from refinement_methods import own_result

    starts = []
    for scan in open_datasets([f"table:{table}"]):
        loaded = scan.load()
        pancreas = sitk.GetArrayFromImage(loaded.structures["pancreas"]) > 0
        case, said = own_result(scan.name, loaded.ct, pancreas, model)
        starts.append((case, {"own result": said}))
    return starts


if __name__ == "__main__":
    main()
