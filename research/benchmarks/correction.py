"""How many clicks until a wrong prediction is right, and how long a click takes: ours and what people have instead.

    python -m research.benchmarks.correction [--clicks 10] [--phantoms 3 4] [--data FOLDER] [--write]
    python -m research.benchmarks.correction --methods --write       times clicks in the editor, and nothing else

A robot user (`correction_robot`) starts from wrong predictions (`correction_scenarios`) on phantoms and on the real CTs
that carry a label, and clicks into the middle of the largest error; "by hand" it misses the middle and the largest
error now and then, and plays every start `--hands` times. All methods (`correction_methods`) have the same reach. Real
labels come from other networks: the Dice on them is agreement, not accuracy. First, clicks are timed through
`ResultEditor` in a real MRML scene with a CT of 512 x 512 x 400 voxels, until the segment in the scene has changed.

The constants of our method were chosen on phantoms 1, 2, 5 and 6, on four synthetic CTs from label maps (`synthesize
--first-seed 900000 --phantom-share 0`), on the real CTs crlm_1006 and totalsegmentator_example (rows of these two are
called "tuned on"), some also on the bundled model's results (`model_results.py`). The rows "held out" are phantoms 3
and 4 and cptac_c3l00189, in whose label the head is missing: there, nothing round the head counts, and the robot does
not click. The constants of graph cut and of the random walker with prior were chosen when crlm_1006 and other phantoms
had been seen, but not at length.

Not every goal is reached: see results/correction.json for ties with the baselines, for runs that never get to the
targets, and for clicks that do harm ("harmful_clicks": Dice is lower by more than 0.01 after them). "milliseconds" are
those of the clock and depend on what else the machine does ("load_average"); "cpu_milliseconds" do much less. `--write`
replaces the rows of the methods that ran, each as soon as it is done, and keeps the others if they are of the same
cases, clicks and reach.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np

from .correction_methods import METHODS
from .correction_robot import Round, play
from .correction_scenarios import TUNED_ON, Case, phantoms, predictions, real_cases

DATA = Path(__file__).parents[3] / "shared" / "data"
SHOWN = (0, 1, 2, 3, 5, 10)
TARGETS = (0.85, 0.90)
HARMFUL = 0.01  # a click that lowers Dice by more than this


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, nargs="*", default=[3, 4], help="seeds; 1, 2, 5, 6 chose constants")
    parser.add_argument("--data", type=Path, default=DATA, help="real CTs (left out where the folder is missing)")
    parser.add_argument("--slices", type=int, default=400, help="of the CT on which a click is timed; 0: do not")
    arguments = parse_arguments(parser)
    if arguments.slices:
        times = time_editor(arguments.slices)
        print("ResultEditor:", times, flush=True)
        if arguments.write:
            write("correction", {"editor_milliseconds": times})
    for played in measure(arguments):
        if arguments.write:
            write("correction", played)


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add what `play_all` is told, and --write, and parse all."""
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--by-hand", nargs="*", default=["ours", "sphere brush"], help="methods that a hand tries too")
    parser.add_argument("--hands", type=int, default=4, help="runs of each start by hand")
    parser.add_argument("--reach", type=float, default=15.0, help="mm")
    parser.add_argument("--processes", type=int, default=1, help="play so many runs at a time; slows each click down")
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/")
    arguments = parser.parse_args()
    if arguments.hands < 1:
        parser.error("--hands must be 1 or more")
    return arguments


def measure(arguments: argparse.Namespace) -> Iterator[dict]:
    """Play every scenario on every case with every method; yield the numbers of one method after the other."""
    if not arguments.methods:
        return
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as pool:
        made = [pool.submit(_prepared, phantoms, (seed,)) for seed in arguments.phantoms]
        if (arguments.data / "ct").is_dir():
            made.append(pool.submit(_prepared, real_cases, arguments.data))
        starts = [prepared for future in made for prepared in future.result()]
        if not starts:
            raise SystemExit(
                f"There is nothing to play on: no phantom is named, and {arguments.data} holds no ct folder."
            )
        yield from play_all(pool, starts, [case.name for case, _ in starts if case.name in TUNED_ON], arguments)


def play_all(
    pool: ProcessPoolExecutor,
    starts: Sequence[tuple[Case, dict[str, np.ndarray]]],
    tuned_on: list[str],
    arguments: argparse.Namespace,
) -> Iterator[dict]:
    """Play every start with every method; yield the numbers of one method after the other.

    Parameters
    ----------
    starts : cases and their predictions by scenario.
    tuned_on : names of the cases that chose constants.
    arguments : methods, by_hand, hands, reach, clicks and processes.
    """
    played = {
        "reach_mm": arguments.reach, "clicks": arguments.clicks,
        "cases": [case.name for case, _ in starts], "tuned_on": tuned_on,
    }  # fmt: skip
    rows = [(name, False) for name in arguments.methods]
    rows += [(name, True) for name in arguments.methods if name in arguments.by_hand]
    rounds: dict[str, dict[str, dict[str, list[Future]]]] = {}
    for name, hand in rows:
        row = rounds.setdefault(f"{name}, by hand" if hand else name, {})
        for case, predicted in starts:
            for scenario, prediction in predicted.items():
                row.setdefault(scenario, {})[case.name] = [
                    pool.submit(_round, name, run, case, prediction, arguments.reach, arguments.clicks)
                    for run in (range(arguments.hands) if hand else (None,))
                ]
    for label, row in rounds.items():
        done = {s: {name: [one.result() for one in runs] for name, runs in r.items()} for s, r in row.items()}
        numbers = _apart(done, tuned_on, arguments.clicks)
        for kind in ("held out", "tuned on"):
            if kind in numbers:
                _print(f"{label}, {kind}", numbers[kind])
        yield {**played, "methods": {label: {"processes": arguments.processes, **numbers}}}


def _prepared(make, source) -> list[tuple[Case, dict[str, np.ndarray]]]:
    return [(case, predictions(case)) for case in make(source)]


def _round(name: str, hand: int | None, case: Case, prediction: np.ndarray, reach_mm: float, clicks: int) -> Round:
    correct = METHODS[name](case, prediction, reach_mm)
    jitter = None if hand is None else np.random.default_rng([len(case.name), hand])
    return play(case, prediction >= 128, correct, clicks, jitter)


def summary(rounds: dict[str, dict[str, list[Round]]], clicks: int) -> dict:
    """Return Dice by scenario and clicks, clicks to the targets, time per click, and clicks that did harm.

    Parameters
    ----------
    rounds
        Scenario, then case, to the runs.
    """
    by_scenario = {scenario: [one for runs in row.values() for one in runs] for scenario, row in rounds.items()}
    everything = [one for runs in by_scenario.values() for one in runs]
    changes = np.concatenate([np.diff(one.dice) for one in everything])
    played = sum(len(one.milliseconds) for one in everything)
    return {
        "scenarios": {
            scenario: {
                "dice": _dice(runs, clicks),
                "clicks_to": {str(target): _clicks_to(target, runs) for target in TARGETS},
            }
            for scenario, runs in by_scenario.items()
        },
        "dice": _dice(everything, clicks),
        "milliseconds": _middle([ms for one in everything for ms in one.milliseconds]),
        "cpu_milliseconds": _middle([ms for one in everything for ms in one.cpu_milliseconds]),
        "harmful_clicks": {
            "count": int((changes < -HARMFUL).sum()),
            "of": played,
            "worst": round(float(changes.min()), 3),
        },
    }


def time_editor(slices: int) -> dict:
    """Time clicks through `ResultEditor`, each at a new place, on a phantom of 512 x 512 x `slices` voxels."""
    import tempfile

    import SimpleITK as sitk
    from AttentionUNetSegLib.imaging import Volume, probability_to_input_grid
    from AttentionUNetSegLib.phantom import make_phantom
    from AttentionUNetSegLib.scene import add_volume, import_result, open_standalone_scene
    from AttentionUNetSegLib.session import ResultEditor

    phantom = make_phantom(1, (0.8, 0.8, 0.8), "portal_venous", (409.6, 409.6, 0.8 * slices))
    _app, scene = open_standalone_scene()
    node = add_volume(scene, Volume(phantom.ct, "phantom", True, ()))
    pancreas = phantom.pancreas
    smooth = sitk.SmoothingRecursiveGaussian(sitk.Cast(pancreas, sitk.sitkFloat32), 1.5)
    with tempfile.TemporaryDirectory() as folder:
        field = probability_to_input_grid(smooth, phantom.ct)
        sitk.WriteImage(field, str(Path(folder) / "probability.nrrd"))
        nodes = import_result(scene, node, {"threshold": 0.5}, Path(folder))
    editor = ResultEditor(nodes)
    voxels = np.argwhere(sitk.GetArrayFromImage(pancreas))
    rng = np.random.default_rng(0)
    times = {"add": [], "undo": []}
    for n in range(20):
        k, j, i = voxels[rng.integers(len(voxels))] + rng.integers(-6, 7, 3)
        x, y, z = phantom.ct.TransformIndexToPhysicalPoint((int(i), int(j), int(k)))
        started = time.perf_counter()
        editor.add_click((-x, -y, z), positive=n % 3 > 0)
        times["add"].append(1000 * (time.perf_counter() - started))
    while editor.can_undo:
        started = time.perf_counter()
        editor.undo()
        times["undo"].append(1000 * (time.perf_counter() - started))
    return {
        "ct": f"512 x 512 x {slices}",
        **_circumstances(),
        **{kind: _middle(ms) for kind, ms in times.items()},
    }


def _apart(rounds: dict[str, dict[str, list[Round]]], tuned_on: list[str], clicks: int) -> dict:
    """Return what a method did on held-out cases, on those it was tuned on, on all together and on each."""
    cases = list(next(iter(rounds.values())))
    kinds = {
        "held out": [name for name in cases if name not in tuned_on],
        "tuned on": tuned_on,
        "all": cases,
    }
    numbers: dict = _circumstances()
    for kind, names in kinds.items():
        if names:
            numbers[kind] = summary({s: {name: runs[name] for name in names} for s, runs in rounds.items()}, clicks)
    numbers["cases"] = {name: {s: _dice(runs[name], clicks) for s, runs in rounds.items()} for name in cases}
    return numbers


def write(name: str, result: dict) -> None:
    """Write numbers over those that results/`name`.json holds; rows that were played otherwise are dropped."""
    from .machine import RESULTS, write_results

    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text("utf-8"))["results"] if path.is_file() else {}
    if "methods" in result:
        same = all(before.get(key) == value for key, value in result.items() if key != "methods")
        result = {**result, "methods": {**(before.get("methods", {}) if same else {}), **result["methods"]}}
    print("written to", write_results(name, {**before, **result}), flush=True)


def _circumstances() -> dict[str, object]:
    """Return what a time depends on: rows are merged, and may be of another day and machine than the latest."""
    from .machine import description

    known = description()
    return {"date": known["date"], "processor": known["processor"], "load_average": round(os.getloadavg()[1], 1)}


def _dice(done: list[Round], clicks: int) -> dict[str, float]:
    return {str(n): round(float(np.mean([one.dice[n] for one in done])), 3) for n in SHOWN if n <= clicks}


def _middle(milliseconds: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(milliseconds), 1),
        "p95": round(float(np.percentile(milliseconds, 95)), 1),
    }


def _clicks_to(target: float, done: list[Round]) -> dict:
    """Return the median number of clicks (None: the median run does not get there) and how many runs get there."""
    counts = [next((n for n, dice in enumerate(one.dice) if dice >= target), None) for one in done]
    reached = [n for n in counts if n is not None]
    middle = sorted(counts, key=lambda n: (n is None, n))[len(counts) // 2]
    return {"median": middle, "reached": len(reached), "of": len(counts)}


def _print(label: str, numbers: dict) -> None:
    print(f"\n{label}: {numbers['milliseconds']} ms, harmful {numbers['harmful_clicks']}", flush=True)
    for scenario, row in numbers["scenarios"].items():
        dice = "  ".join(f"{n}: {value:.3f}" for n, value in row["dice"].items())
        to = "  ".join(f"{t}: {c['median']} ({c['reached']}/{c['of']})" for t, c in row["clicks_to"].items())
        print(f"  {scenario:16s} Dice after clicks {dice}   clicks to {to}", flush=True)


if __name__ == "__main__":
    main()
