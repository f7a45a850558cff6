"""Write a synthetic abdominal CT, marked as one, and its label map (`<name>_label`) beside it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import SimpleITK as sitk

from ..errors import BadInput
from ..imaging import image_file
from .terminal import Terminal

_FILE_IN_FOLDER = "phantom.nrrd"


def run(options: Namespace, terminal: Terminal) -> None:
    """Write the phantom and print where it is.

    Raises
    ------
    BadInput : wrong spacing or phase, or a file is in the way that is no phantom.
    """
    from ..phantom import DEFAULT_SPACING_MM, make_phantom, write_phantom

    path, label_path = _paths(options.output)
    spacing_mm = _spacing(options.spacing) if options.spacing else DEFAULT_SPACING_MM
    if not options.force:
        _spare_others(path, label_path)
    phantom = make_phantom(options.seed, spacing_mm, options.phase)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {path.parent} cannot be made ({error.strerror}).") from None
    write_phantom(phantom, path, label_path)
    fields = {
        "phantom": str(path),
        "label": str(label_path),
        "seed": phantom.seed,
        "phase": phantom.phase,
        "spacing_mm": list(spacing_mm),
    }
    terminal.answer(fields, f"Wrote {path} ({phantom.phase}, seed {phantom.seed}) and its labels {label_path.name}.")


def _paths(output: Path) -> tuple[Path, Path]:
    ending = next((each for each in image_file.WRITABLE if output.name.lower().endswith(each)), None)
    if ending is None:
        if output.suffix and not output.is_dir():
            known = ", ".join(image_file.WRITABLE)
            raise BadInput(f"{output.name} is no image file that can be written.", f"Use one of {known}, or a folder.")
        output, ending = output / _FILE_IN_FOLDER, Path(_FILE_IN_FOLDER).suffix
    path = output.absolute()
    return path, path.with_name(f"{path.name[: -len(ending)]}_label{path.name[-len(ending) :]}")


def _spacing(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"The spacing {text!r} is not three numbers in mm.", "Write it as 0.8,0.8,2.") from None
    return x, y, z


def _spare_others(*paths: Path) -> None:
    """Refuse to replace an image that carries no phantom mark: it may be somebody's CT."""
    for path in paths:
        if path.is_dir():
            raise BadInput(f"{path} is a folder, so no phantom can be written there.")
        if path.exists() and not _is_phantom_file(path):
            raise BadInput(f"{path} exists and is no phantom.", "Choose another name, or replace it with --force.")


def _is_phantom_file(path: Path) -> bool:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    return image_file.is_phantom(reader)  # a reader holds the meta data as an image does
