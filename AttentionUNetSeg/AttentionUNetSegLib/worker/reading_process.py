"""`python -m AttentionUNetSegLib.worker.reading_process`: reads CTs for another process; see `reading`.

A request is a JSON object on one line of stdin; its answer a JSON object on one line of stdout, and after it the
voxels as they lie in memory. When stdin ends, the process does, whatever it is doing.
"""

from __future__ import annotations

import json
import queue
from typing import TYPE_CHECKING, Any

from ..standard_streams import end_with_input, take_standard_streams

if TYPE_CHECKING:
    import SimpleITK as sitk


def main() -> None:
    """Answer requests, one after the other; the process ends with its stdin."""
    descriptor, out = take_standard_streams()
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    end_with_input(descriptor, requests.put, code=0)
    with open(out, "wb") as stream:
        while True:
            answer, image = _answer(json.loads(requests.get()))
            stream.write(json.dumps(answer).encode() + b"\n")
            if image is not None:
                import SimpleITK as sitk

                voxels = sitk.GetArrayViewFromImage(image)  # of memory that is the image's: it has to live until here
                stream.write(voxels.data.cast("B"))
                del voxels, image
            stream.flush()


def _answer(request: dict[str, Any]) -> tuple[dict[str, object], sitk.Image | None]:
    from ..errors import AttentionUNetSegError, BadInput, is_out_of_memory

    try:
        return _read(request)
    except AttentionUNetSegError as error:
        refusal = error
    except Exception as error:  # a library may raise anything about a file that nobody has seen before
        if is_out_of_memory(error):
            refusal = BadInput("There is not enough memory to read it.", "Crop or downsample it first.")
        else:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            return {"error": {"code": "internal", "message": f"Unexpected {type(error).__name__}: {reason}."}}, None
    return {"error": {"code": refusal.code.value, "message": refusal.message, "hint": refusal.hint}}, None


def _read(request: dict[str, Any]) -> tuple[dict[str, object], sitk.Image]:
    import SimpleITK as sitk

    from ..imaging import read_volume
    from .reading import path_of, text_of

    volume = read_volume(path_of(request["path"]), request["series"], self_contained=request["self_contained"])
    image = volume.image
    return {
        "kind": sitk.GetArrayViewFromImage(image).dtype.str,
        "size": image.GetSize(),
        "spacing": image.GetSpacing(),
        "origin": image.GetOrigin(),
        "direction": image.GetDirection(),
        "fields": {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()},
        "name": volume.name,
        "is_phantom": volume.is_phantom,
        "warnings": volume.warnings,
        "dicom_files": [text_of(path) for path in volume.dicom_files],
        "left_out": volume.left_out,
    }, image


if __name__ == "__main__":
    main()
