"""The network in the loop where the network itself was wrong: phantoms as they are, with thick slices, with a mass.

    python Testing/benchmarks/refinement.py [--clicks 5] [--phantoms 3 4 5]

The predictions are those of the phantom-only model, unlike those of `correction.py`, whose rows "network alone" and
"network and ours" show the same two methods on made-up errors; on those of the bundled model see `own_results.py`.
Constants were chosen on phantoms 1 and 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk
from AttentionUNetSegLib.training.phantom import make_phantom
from correction_methods import METHODS
from correction_robot import play
from correction_scenarios import PHANTOM_SPACING_MM, Case
from refinement_methods import own_result
from scipy import ndimage

THICK_MM = 6.0
# A mass of another attenuation that belongs to the organ: what a network of healthy glands misses.
MASS_RADIUS_MM, MASS_HU = 12.0, -45.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--phantoms", type=int, nargs="*", default=[3, 4, 5])
    parser.add_argument("--methods", nargs="*", default=["ours", "network alone", "network and ours"])
    parser.add_argument("--reach", type=float, default=15.0, help="mm")
    arguments = parser.parse_args()
    rows: dict[str, list[list[float]]] = {name: [] for name in arguments.methods}
    for case, prediction in cases(arguments.phantoms):
        for name, row in rows.items():
            done = play(
                case, prediction >= 128, METHODS[name](case, prediction, arguments.reach), arguments.clicks, None
            )
            row.append(done.dice)
            print(f"{case.name:18s} {name:18s} {_line(done.dice)}  {np.median(done.milliseconds):.0f} ms", flush=True)
    for name, row in rows.items():
        print(f"{'mean':18s} {name:18s} {_line(np.mean(row, axis=0))}")


def cases(seeds: list[int]) -> Iterator[tuple[Case, np.ndarray]]:
    """Yield CTs around the pancreas and what the network says of them, uint8 0..255."""
    for seed in seeds:
        for kind in ("as it is", "thick slices", "mass"):
            spacing = (*PHANTOM_SPACING_MM[:2], THICK_MM) if kind == "thick slices" else PHANTOM_SPACING_MM
            phantom = make_phantom(seed, spacing)
            hu = sitk.GetArrayFromImage(phantom.ct).astype(np.float32)
            truth = sitk.GetArrayFromImage(phantom.pancreas) > 0
            if kind == "mass":
                hu, truth = _with_mass(hu, truth, spacing[::-1], np.random.default_rng(seed))
            ct = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
            ct.CopyInformation(phantom.ct)
            yield own_result(f"{kind} {seed}", ct, truth, "")


def _with_mass(hu, truth, spacing, rng) -> tuple[np.ndarray, np.ndarray]:
    places = np.argwhere(truth)
    middle = places[rng.integers(len(places))]
    outside = np.ones(truth.shape, bool)
    outside[tuple(middle)] = False
    inside = ndimage.distance_transform_edt(outside, sampling=spacing) < MASS_RADIUS_MM
    soft = ndimage.gaussian_filter(inside.astype(np.float32), [1.0 / s for s in spacing])
    return hu + MASS_HU * soft, truth | inside


def _line(dice) -> str:
    return " ".join(f"{value:.3f}" for value in dice)


if __name__ == "__main__":
    main()
