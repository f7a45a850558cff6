"""What one stroke is worth in clicks: a robot draws along the largest error, or clicks into its middle.

    python -m research.benchmarks.correction_strokes --table nih_pancreas/cases.csv --probabilities FOLDER [--write]

The starts are those of `model_results.py`. A stroke runs through the middle of the largest error on one slice, from end
to end; it acts from all of its voxels (`correction.stroke_seed`). Beside it stand as many clicks, and how many clicks
reach what one stroke did. "brush" is the hard edit: the same line, 4 mm wide, and nothing else. The constants of
strokes were chosen on nih_0013, 0022, 0023, 0031, 0037 and 0042: `--leave-out` keeps them out.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
from AttentionUNetSegLib.correction import correct_probability, stroke_seed

from .correction_methods import ours
from .correction_robot import dice, next_stroke, play
from .correction_scenarios import Case
from .machine import write_results
from .model_results import model_results

BRUSH_RADIUS_MM = 2.0


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="labelled CTs: table of their set")
    parser.add_argument("--probabilities", type=Path, help="folder of what a model said (default: the model runs)")
    parser.add_argument("--only", nargs="*", help="names of CTs (default: all)")
    parser.add_argument("--leave-out", nargs="*", default=[], help="names of CTs")
    parser.add_argument("--model", default="pancreas-ct", help="of the catalogue (default: %(default)s)")
    parser.add_argument("--strokes", type=int, default=3)
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--reach", type=float, default=15.0, help="mm")
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/")
    arguments = parser.parse_args()
    rows: dict[str, list[list[float]]] = {"strokes": [], "brush": [], "clicks": []}
    for case, said in model_results(arguments.table, arguments.model, arguments.probabilities, arguments.only):
        if case.name in arguments.leave_out:
            continue
        start = said["own result"]
        drawn, painted = draw(case, start, arguments.strokes, arguments.reach)
        rows["strokes"].append(drawn)
        rows["brush"].append(painted)
        clicked = play(case, start >= 128, ours(case, start, arguments.reach), arguments.clicks, None)
        rows["clicks"].append(clicked.dice)
        print(case.name, *(f"{name} {[round(d, 3) for d in row[-1]]}" for name, row in rows.items()), flush=True)
    numbers = {
        "cases": len(rows["clicks"]), "reach_mm": arguments.reach,
        "mean_dice": {name: np.round(np.mean(row, axis=0), 4).tolist() for name, row in rows.items()},
        "median_clicks_for_one_stroke": statistics.median(
            worth(drawn[1], clicked) for drawn, clicked in zip(rows["strokes"], rows["clicks"], strict=True)
        ),
    }  # fmt: skip
    print(numbers)
    if arguments.write:
        print("written to", write_results("correction_strokes", numbers))


def draw(case: Case, start: np.ndarray, strokes: int, reach_mm: float) -> tuple[list[float], list[float]]:
    """Return Dice after 0, 1, ... strokes that teach, and after the same strokes of a brush that does not."""
    mask, painted, seeds, cache = start >= 128, start >= 128, [], {}
    taught, brushed = ([dice(case.counted(mask), case.truth)] for _ in range(2))
    for _ in range(strokes):
        found, by_hand = next_stroke(mask, case), next_stroke(painted, case)
        if found is not None:
            line, positive = found
            seeds.append(stroke_seed(len(seeds) + 1, line, positive, case.spacing, case.truth.shape))
            mask = correct_probability(case.ct, start, seeds, reach_mm, case.spacing, cache=cache) >= 128
        if by_hand is not None:
            line, positive = by_hand
            voxels = stroke_seed(1, line, positive, case.spacing, case.truth.shape, BRUSH_RADIUS_MM).voxels
            painted = painted.copy()
            painted[tuple(voxels.T)] = positive
        taught.append(dice(case.counted(mask), case.truth))
        brushed.append(dice(case.counted(painted), case.truth))
    return taught, brushed


def worth(dice_of_stroke: float, clicked: list[float]) -> float:
    """Return how many clicks reach a Dice; infinity where they do not."""
    return next((float(n) for n, reached in enumerate(clicked) if reached >= dice_of_stroke), float("inf"))


if __name__ == "__main__":
    main()
