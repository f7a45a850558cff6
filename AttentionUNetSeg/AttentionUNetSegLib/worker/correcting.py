"""One correct job: the network of a loaded model is adapted to clicks, see `inference.refine`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from .. import imaging, inference
from ..errors import BadInput, BadModel
from .job_files import require_file, seconds_since
from .observing import JobObserver
from .protocol import Correct, Result, ResultFiles, ResultModel

PREFIX = "refined_"


def correct(
    request: Correct, segmenter_of: Callable[[Path, str], inference.Segmenter], observer: JobObserver
) -> Result:
    """Refine the fields in the job folder and write the new ones beside them, under names that begin with `PREFIX`.

    Parameters
    ----------
    segmenter_of : gives the loaded model of a package folder on a device.

    Raises
    ------
    BadInput : no such folder or file, files that do not belong together, no click, or one outside the CT.
    BadModel : no model is named, or it is missing, damaged or not what its manifest says.
    AttentionUNetSegError : whatever else `inference.refine` refuses.
    """
    timings: dict[str, float] = {}
    started = time.monotonic()
    paths = [require_file(request.folder, name) for name in request.files]
    if not request.model:
        raise BadModel("A correct request has to name the model that made the result.")
    observer.progress(0.0, "Loading the model")
    segmenter = segmenter_of(Path(request.model), request.device)
    timings["load_model"] = seconds_since(started)
    observer.raise_if_cancelled()

    observer.progress(0.01, "Reading the CT")
    reading = time.monotonic()
    ct, probability, *attention = [_read(path) for path in paths]
    _require_fields(probability, *attention)
    timings["read"] = seconds_since(reading)
    observer.raise_if_cancelled()

    clicks = [inference.RefinementClick(click.position, click.inside) for click in request.clicks]
    refinement = inference.refine(segmenter, ct, probability, attention, clicks, request.reach_mm, observer)
    observer.raise_if_cancelled()

    observer.progress(0.97, "Writing the results")
    writing = time.monotonic()
    folder = Path(request.folder)
    names = [PREFIX + name for name in (request.probability, *request.attention)]
    for name, image in zip(names, [refinement.probability, *refinement.attention], strict=True):
        imaging.write_image(image, folder / name)
    timings["write"] = seconds_since(writing)
    package, device = segmenter.package, refinement.device
    reached = sitk.GetArrayViewFromImage(refinement.probability) >= package.threshold * 255
    return Result(
        job=request.job,
        folder=request.folder,
        files=ResultFiles(names[0], tuple(names[1:])),
        volume_ml={package.labels[0]["name"]: round(imaging.volume_ml(reached, probability.GetSpacing()), 3)},
        threshold=package.threshold,
        timings={**timings, **refinement.timings, "total": seconds_since(started)},
        device=device.kind,
        device_name=device.name,
        model=ResultModel(package.id, package.version, package.name, package.weights_sha256),
    )


def _read(path: Path) -> sitk.Image:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise BadInput(f"{path} is no image, or a damaged one.") from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise BadInput(f"{path} is not a three-dimensional volume with one value per voxel.")
    return image


def _require_fields(*fields: sitk.Image) -> None:
    if any(field.GetPixelID() != sitk.sitkUInt8 for field in fields):
        raise BadInput("Probability and attention to refine must hold values of 0 to 255.")
