"""`attention-unet-seg correct`: clicks on a result of `segment` or on any segmentation, and the corrected files."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import PROBABILITY_FILE
from ..errors import BadInput
from ..session import DoubtfulClick, ResultEditor, start_from_file, wall_from_file
from .clock import Clock
from .dicom_objects import check_dicom, require_dicom_files, store_objects, wants_dicom, write_objects
from .given_input import GivenInput, path_or_address
from .outputs import OutputFolder, stem_of
from .report import correction_report, describe, write_report
from .scene_files import draw, measure, open_scene, save, save_parts
from .terminal import Terminal

if TYPE_CHECKING:
    import slicer

    from ..imaging import Volume
    from ..measure import Measurements
    from ..scene import ResultNodes

_REPORT, _SCENE = "_report.json", "_scene.mrb"
_CORRECTED = "_corrected"
_NEEDED = ("threshold", "model", "device", "device_name", "warnings")
_OPENED, _CORRECT, _SAVED = 0.3, 0.6, 0.8


def run(options: Namespace, terminal: Terminal) -> None:
    """Apply `options.clicks` to the result `options.result` and leave the corrected files beside it, or nothing.

    Raises
    ------
    AttentionUNetSegError : whatever makes a correction impossible, a click outside the CT for example.
    """
    is_start = options.start is not None or options.start_probability is not None
    if not is_start and (options.segment is not None or options.series is not None):
        raise BadInput("--segment and --series belong to --start.", "Name the segmentation to start from with it.")
    asked = options.clicks or options.wall or not (options.threshold is None is options.reach)
    if not is_start and not asked:
        raise BadInput("There is nothing to correct.", "Give at least one --add x,y,z or --remove x,y,z.")
    if options.stroke_radius and not any(shape == "stroke" for shape, _, _ in options.clicks):
        raise BadInput("--stroke-radius is of strokes.", "Give an --add-stroke or --remove-stroke with it.")
    earlier = _started(options) if is_start else _find(options.result)
    stem = earlier.stem if earlier.stem.endswith(_CORRECTED) else earlier.stem + _CORRECTED
    outputs = OutputFolder(options.output or earlier.folder, stem)
    source = earlier.report.get("input") or {"path": str(earlier.folder / f"{earlier.stem}.mrb"), "series": None}
    outputs.check(source, options.force)
    check_dicom(options)
    clock = Clock()
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        terminal.warn(text)

    with terminal.progress() as line:
        line.show(0.0, "Opening the result")
        with clock.measure("open"):
            _app, scene = open_scene(terminal)  # the application lives as long as the scene is used
            with terminal.interrupts.deferred():
                nodes, doubts = _begun(scene, options, source) if is_start else (_load(scene, earlier), [])
        for text in doubts:
            warn(text)
        line.show(_OPENED, "Correcting")
        with clock.measure("correct"), terminal.interrupts.deferred():
            editor, volume_before = _correct(nodes, options, warn)
        for text in editor.warnings:
            warn(text)
        with outputs.staging() as staging, ExitStack() as saved:
            destination = OutputFolder(staging, stem)
            line.show(_CORRECT, "Measuring")
            with clock.measure("measure"), terminal.interrupts.deferred():
                measurements = measure(nodes, destination, with_csv=options.csv)
            line.show(_CORRECT, "Saving")
            with clock.measure("save"), terminal.interrupts.deferred():
                _save_fields(nodes, destination)
                saved.enter_context(save(scene, nodes, destination, with_scene=not options.no_scene))
                if options.parts:
                    save_parts(destination, measurements)
            line.show(_SAVED, "Drawing the picture")
            with clock.measure("picture"), terminal.interrupts.deferred():
                if not options.no_picture:
                    draw(nodes, destination.file("overview.png"), terminal, warn)
            with clock.measure("save"), terminal.interrupts.deferred():
                saved.close()
            if wants_dicom(options):
                with clock.measure("dicom"), terminal.interrupts.deferred():
                    _write_dicom(options, destination, source, editor, nodes, measurements)
            report = correction_report(
                outputs, earlier.report, source, editor, volume_before, warnings, clock.seconds, staging, measurements
            )
            write_report(report, destination.file("report.json"))
        if options.store:
            line.show(_SAVED, "Sending to the PACS")
            store_objects(options.store, outputs, report)
    terminal.answer(report, describe(report))


@dataclass(frozen=True)
class _Earlier:
    """An earlier run: its folder, what its file names begin with, its report ({} where there is none), its scene."""

    folder: Path
    stem: str
    report: dict[str, Any]
    scene: Path | None


def _started(options: Namespace) -> _Earlier:
    """Return, in place of an earlier run, the CT that a segmentation from elsewhere belongs to."""
    if options.output is None:
        raise BadInput("There is no folder for the results.", "Name one with -o.")
    if options.start is None and options.segment is not None:
        raise BadInput("--segment belongs to --start: a probability is one structure's.")
    source = {"path": os.path.abspath(options.result), "series": options.series}
    return _Earlier(options.output, stem_of(options.result), {"input": source}, None)


def _begun(scene: slicer.vtkMRMLScene, options: Namespace, source: dict[str, Any]) -> tuple[ResultNodes, list[str]]:
    """Bring CT and segmentation into the scene; return the result that they are, and warnings."""
    from ..imaging import read_volume
    from ..imaging.dicom_header import owner_doubts
    from ..scene import add_volume

    volume = read_volume(options.result, options.series)
    source["checksum"] = volume.checksum()
    path = options.start or options.start_probability
    nodes, doubts = start_from_file(add_volume(scene, volume), path, options.segment, options.start is None)
    owners = owner_doubts(Path(path), volume.dicom_files[0]) if volume.dicom_files else []
    return nodes, [*volume.warnings, *owners, *doubts]


def _find(result: Path) -> _Earlier:
    """Return the run that a folder, a scene file or a report belongs to."""
    path = result.absolute()
    if path.is_dir():
        path = _only_report(path)
    if not path.is_file():
        raise BadInput(f"There is no result {result}.", "Give the output folder of an earlier run of segment.")
    if path.name.endswith(_REPORT):
        stem = path.name[: -len(_REPORT)]
        scene = path.with_name(stem + _SCENE)
        return _Earlier(path.parent, stem, _read_report(path), scene if scene.is_file() else None)
    if path.suffix.lower() == ".mrb":
        stem = path.name[: -len(_SCENE)] if path.name.endswith(_SCENE) else path.stem
        report = path.with_name(stem + _REPORT)
        return _Earlier(path.parent, stem, _read_report(report) if report.is_file() else {}, path)
    raise BadInput(f"{result} is no result.", "Give an output folder, a *_scene.mrb or a *_report.json of segment.")


def _only_report(folder: Path) -> Path:
    reports = sorted(folder.glob(f"*{_REPORT}"))
    reports = [path for path in reports if not path.name.endswith(_CORRECTED + _REPORT)]
    if not reports:
        raise BadInput(f"The folder {folder} holds no result of segment.", "Give the folder that segment wrote to.")
    if len(reports) > 1:
        raise BadInput(f"The folder {folder} holds {len(reports)} results.", "Name one of the *_report.json in it.")
    return reports[0]


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"The report {path} cannot be read ({error}).") from None
    if not isinstance(report, dict):
        raise BadInput(f"The report {path} is not one of attention-unet-seg.")
    return report


def _load(scene: slicer.vtkMRMLScene, earlier: _Earlier) -> ResultNodes:
    """Bring the result into the scene: from its scene file or, where none was written, from CT and probability."""
    from ..scene import find_results, load_scene

    if earlier.scene is None:
        return _rebuilt(scene, earlier)
    load_scene(scene, earlier.scene)
    results = find_results(scene)
    if not results:
        raise BadInput(f"The scene {earlier.scene} holds no result of segment.")
    return results[-1]


def _rebuilt(scene: slicer.vtkMRMLScene, earlier: _Earlier) -> ResultNodes:
    from ..scene import add_volume, import_result

    report = earlier.report
    try:
        source, files = report["input"], report["files"]
        kept = {"probability": files["probability"], "attention": files["attention"], "spread": files.get("spread")}
        needed = ("threshold", "warnings") if "start" in report else _NEEDED
        fields = {key: report[key] for key in needed}
        fields |= {"quality": report["trust"]} if "trust" in report else {}
        path, keep_largest = source["path"], bool(report["keep_largest"])
    except (KeyError, TypeError) as error:
        raise BadInput(f"The report of {earlier.stem} in {earlier.folder} lacks {error}.", "Segment again.") from None
    with GivenInput.of(path_or_address(path), source.get("series")).on_disk() as place:
        node = add_volume(scene, _same_ct(place, source))
    return import_result(scene, node, {**fields, "files": kept}, earlier.folder, keep_largest)


def _same_ct(place: Path, source: dict[str, Any]) -> Volume:
    """Read the CT of a result again; raises BadInput where another one has taken its place since."""
    from ..imaging import read_volume

    volume = read_volume(place, source.get("series"))
    # Reports from before November 2026 have none.
    if "checksum" in source and source["checksum"] != volume.checksum():
        raise BadInput(
            f"{source['path']} no longer holds the CT that this result belongs to: its voxels are others.",
            "Put that CT back to its place, or segment the one that is there now.",
        )
    return volume


def _correct(nodes: ResultNodes, options: Namespace, warn: Callable[[str], None]) -> tuple[ResultEditor, float]:
    """Apply what was asked for; return the editor, and the volume in mL that the segment had before."""
    editor = ResultEditor(nodes)
    volume_before = editor.volume_ml
    if editor.notice:
        warn(editor.notice)
    _require_clicks(editor, options)
    if options.reach is not None:
        editor.reach_mm = options.reach
    for path in options.wall:
        wall_from_file(editor, path)
    for shape, positive, positions in options.clicks:
        if shape == "click":
            _click(editor, positions[0], positive, warn)
        elif shape == "stroke":
            editor.add_stroke(positions, positive, options.stroke_radius)
        elif shape == "lasso":
            editor.add_lasso(positions, positive)
        else:
            corner, opposite = positions
            editor.add_box(corner, opposite, positive)
    if options.threshold is not None:
        _, keep_largest, smoothing_mm = editor.settings
        editor.set_threshold(options.threshold, keep_largest, smoothing_mm)
    return editor, volume_before


def _require_clicks(editor: ResultEditor, options: Namespace) -> None:
    """Refuse what would change nothing: how clicks act, where there are none."""
    if options.clicks or editor.clicks or editor.marks:
        return
    is_start = options.start is not None or options.start_probability is not None  # which keeps walls for later
    for option, meaning, is_given in (
        ("--reach", "says how far clicks act", options.reach is not None),
        ("--wall", "names what clicks do not enter", options.wall and not is_start),
    ):
        if is_given:
            raise BadInput(
                f"{option} {meaning}, and there is no click that it could act on, neither given nor in the result.",
                "Give --add x,y,z or --remove x,y,z with it, or name a corrected *_scene.mrb.",
            )


def _click(
    editor: ResultEditor, position: tuple[float, float, float], positive: bool, warn: Callable[[str], None]
) -> None:
    """Apply a click; where the other front ends would ask first (air, far away), warn: nobody can be asked here."""
    try:
        editor.add_click(position, positive, ask=True)
    except DoubtfulClick as doubt:
        editor.apply_anyway(doubt)
        place = ", ".join(f"{value:g}" for value in position)
        kind = "Add" if positive else "Remove"
        warn(f"The {kind} click at {place} mm (RAS) was applied; was it meant? {doubt.doubts}")


def _write_dicom(
    options: Namespace,
    destination: OutputFolder,
    source: dict[str, Any],
    editor: ResultEditor,
    nodes: ResultNodes,
    measurements: Measurements,
) -> None:
    """Write the DICOM objects; the CT is read again for its files, or fetched again from where it came."""
    series = source.get("series")
    with GivenInput.of(path_or_address(str(source["path"])), series).on_disk() as place:
        files = _same_ct(place, source).dicom_files
        require_dicom_files(files, str(source["path"]))
        write_objects(options, destination, nodes, files, editor.settings[0], measurements)


def _save_fields(nodes: ResultNodes, destination: OutputFolder) -> None:
    """Write the fields that a correction changes: not attention and spread, which tell of the network."""
    from ..imaging import write_image
    from ..scene import export_volume, segment_on_source_grid

    own = segment_on_source_grid(nodes)
    if own is not None:
        write_image(own, destination.file("pancreas_own_grid.nrrd"))
    export_volume(nodes.field, destination.file(PROBABILITY_FILE), compress=True)
