"""The report of a run: everything a person or a script needs to know, as JSON and in a few lines."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..contracts import PROBABILITY_FILE, SPREAD_FILE
from ..errors import CannotWrite
from ..session import ResultEditor, SegmentRequest, SegmentResult
from .outputs import OutputFolder

if TYPE_CHECKING:
    from ..measure import Measurements

_ENDINGS = {
    "segmentation": "pancreas.seg.nrrd",
    "segmentation_on_own_grid": "pancreas_own_grid.nrrd",
    "parts": "parts.seg.nrrd",
    "probability": PROBABILITY_FILE,
    "spread": SPREAD_FILE,
    "scene": "scene.mrb",
    "overview": "overview.png",
    "dicom_seg": "pancreas.dcm",
    "dicom_probability": "probability.dcm",
    "dicom_report": "measurements.dcm",
    "measurements": "measurements.csv",
}


def make_report(
    outputs: OutputFolder,
    source: dict[str, Any],
    request: SegmentRequest,
    result: SegmentResult,
    warnings: list[str],
    timings: dict[str, float],
    staging: Path,
    measurements: Measurements,
) -> dict[str, Any]:
    """The report as JSON fields.

    "timings" are seconds by stage of the command line, "segment_timings" those within its stage "segment"; "files" are
    names in "folder", only of files that were written. "trust" holds the reasons to distrust the result, which are
    among the warnings too, and the means of probability and spread within the segment (null where there are none).
    "measurements" is what `measure.Measurements.as_json` gives.
    """
    return {
        "program": f"attention-unet-seg {__version__}",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": source,
        "model": result.model.as_json(),
        "device": result.device,
        "device_name": result.device_name,
        "tta": request.tta,
        "threshold": result.threshold,
        "keep_largest": result.keep_largest,
        "volume_ml": {name: round(volume, 3) for name, volume in result.volume_ml.items()},
        "measurements": measurements.as_json(),
        "warnings": warnings,
        "trust": result.quality.as_json(),
        "timings": _rounded(timings),
        "segment_timings": _rounded(result.timings),
        "folder": str(outputs.folder),
        "files": _files(outputs, staging),
    }


def correction_report(
    outputs: OutputFolder,
    earlier: dict[str, Any],
    source: dict[str, Any],
    editor: ResultEditor,
    volume_before_ml: float,
    warnings: list[str],
    timings: dict[str, float],
    staging: Path,
    measurements: Measurements,
) -> dict[str, Any]:
    """The report of a corrected result: what `earlier` says of the network's run, and the clicks (RAS mm).

    "volume_before_ml" is that of the result which was given: of the network's, or as the last correction left it.
    Where a segmentation from elsewhere was the start, "start" says which, and whether it was a mask or a probability.
    """
    from ..scene import start_of

    threshold, keep_largest, _ = editor.settings
    start = start_of(editor.nodes)
    label = next(iter(earlier.get("volume_ml") or {(start or {}).get("segment") or "Pancreas": 0.0}))
    return {
        **{key: earlier[key] for key in ("model", "device", "device_name", "tta", "trust") if key in earlier},
        "program": f"attention-unet-seg {__version__}",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": source,
        **({} if start is None else {"start": start}),
        "threshold": threshold,
        "keep_largest": keep_largest,
        "reach_mm": editor.reach_mm,
        "clicks": [
            {"kind": "add" if click.positive else "remove", "ras_mm": [round(x, 3) for x in click.ras]}
            for click in editor.clicks
        ],
        "marks": [{"kind": "add" if mark.positive else "remove", "shape": mark.kind} for mark in editor.marks],
        "walls": [editor.nodes.segmentation.GetSegmentation().GetSegment(name).GetName() for name in editor.walls],
        "volume_before_ml": {label: round(volume_before_ml, 3)},
        "volume_ml": {label: round(editor.volume_ml, 3)},
        "measurements": measurements.as_json(),
        "warnings": warnings,
        "timings": _rounded(timings),
        "folder": str(outputs.folder),
        "files": _files(outputs, staging),
    }


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report; raises InternalError if it cannot be written."""
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"The report {path} cannot be written ({error.strerror}).") from error


def describe(report: dict[str, Any]) -> str:
    """The report in a few lines: what was found, how, and where the files are."""
    before = report.get("volume_before_ml", {})
    volumes = ", ".join(
        f"{name}: {volume:.1f} mL" if name not in before else f"{name}: {_difference(before[name], volume)}"
        for name, volume in report["volume_ml"].items()
    )
    model = report.get("model", {})
    how = [f"threshold {report['threshold']:g}", f"{model.get('name', '')} {model.get('version', '')}".strip()]
    if "start" in report:
        how.append(f"from {Path(report['start']['name']).name}")
    shapes = Counter(["click"] * len(report.get("clicks", ())))
    shapes.update(mark["shape"] for mark in report.get("marks", ()))
    plurals = {"lasso": "lassos", "box": "boxes"}
    how += [f"{n} {shape if n == 1 else plurals.get(shape, shape + 's')}" for shape, n in shapes.items()]
    how += [report.get("device_name", ""), f"{report['timings']['total']:.1f} s"]
    lines = [f"{volumes} ({', '.join(filter(None, how))})"]
    lines += _described_doubts(report)
    if "stored" in report:
        lines += [f"Stored in {report['stored']['url']}: {', '.join(report['stored']['files'])}"]
    lines += _described_measurements(report["measurements"])
    lines += [f"Results in {report['folder']}:"]
    for name in report["files"].values():
        lines += [f"  {each}" for each in (name if isinstance(name, list) else [name])]
    return "\n".join(lines)


def _difference(before: float, after: float) -> str:
    """Two volumes and what lies between them, which fits the two as they are printed."""
    if before == after:
        return f"{after:.1f} mL, as before"
    before, after = round(before, 1), round(after, 1)
    sign = {True: "+", False: "−"}[after >= before]
    return f"{before:.1f} mL before, {after:.1f} mL now ({sign}{abs(after - before):.1f} mL)"


def _described_doubts(report: dict[str, Any]) -> list[str]:
    """Why not to trust the result, without what stands among the warnings already."""
    reasons = report.get("trust", {}).get("reasons", [])
    told = [text for text in reasons if text in report["warnings"]]
    if told:
        which = "a warning says" if len(told) == 1 else f"{len(told)} warnings say"
        return [f"Do not trust this result unseen: {which} why, and so does the report."]
    if reasons:
        return [f"Before it was corrected there were reasons to distrust it: {' '.join(reasons)}"]
    return []


def _described_measurements(measurements: dict[str, Any]) -> list[str]:
    """One line with the numbers that people ask for first, with the range that the probability leaves them."""
    from ..measure import ContrastPhase

    told = []
    for key in ("length", "thickness", "hu_mean", "fat"):
        quantity = measurements["quantities"][key]
        if quantity["value"] is None or not measurements["quantities"]["volume"]["value"]:
            continue
        unit = "HU" if key == "hu_mean" else quantity["unit"]
        ranged = "" if quantity["low"] is None else f" ({quantity['low']:.0f} to {quantity['high']:.0f})"
        told.append(f"{quantity['name'].lower()} {quantity['value']:.0f}{ranged} {unit}")
    if not told:
        return []
    line = ", ".join(told)
    phase = measurements.get("contrast_phase")
    guess = [] if phase is None else [ContrastPhase.of_json(phase).sentence]
    return [line[0].upper() + line[1:], *guess, *measurements["notes"]]


def _files(outputs: OutputFolder, staging: Path) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for kind, ending in _ENDINGS.items():
        as_nifti = ending.removesuffix(".nrrd").removesuffix(".seg") + ".nii.gz"
        found = [outputs.name(each) for each in (ending, as_nifti) if (staging / outputs.name(each)).is_file()]
        if found:
            files[kind] = found[0]
    numbers = range(1, len(list(staging.iterdir())))
    attention = [outputs.name(f"attention_{n}.{ending}") for n in numbers for ending in ("nrrd", "nii.gz")]
    files["attention"] = [name for name in attention if (staging / name).is_file()]
    files["report"] = outputs.name("report.json")
    return files


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in seconds.items()}
