"""`python -m AttentionUNetSegLib.dicom_out REQUEST.json`: write a DICOM SEG, and SR, in a process of its own.

For a caller whose Python has no highdicom (Slicer's): see `worker.dicom_process`, which writes the request and reads
the answer. The answer is one JSON object on stdout; the process ends when its stdin does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..contracts import ModelIdentity
from ..errors import AttentionUNetSegError, BadInput
from ..imaging import Geometry
from ..standard_streams import end_with_input
from .libraries import require_libraries
from .on_source_slices import require_slices_at


def main(arguments: list[str]) -> int:
    """Write what the request file asks for; return the exit code, 0 where it was done."""
    end_with_input()
    out, sys.stdout = sys.stdout, sys.stderr  # no library may write into the answer
    answer: dict[str, Any]
    try:
        path = _write(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
        answer = {"written": path}
    except AttentionUNetSegError as error:
        answer = {"error": {"code": error.code.value, "message": error.message, "hint": error.hint}}
    except Exception as error:
        answer = {"error": {"code": "internal", "message": f"Unexpected {type(error).__name__}: {error}.", "hint": ""}}
    out.write(json.dumps(answer) + "\n")
    out.flush()
    return int("error" in answer)


def _write(request: dict[str, Any]) -> str:
    import SimpleITK as sitk

    from . import SegmentLabel, write_dicom_seg

    require_libraries()
    if request.get("ct"):
        grid = Geometry(**{key: tuple(value) for key, value in request["ct"].items()})
        require_slices_at(grid, request["dicom_files"])
    model = ModelIdentity.of(request["model"])
    try:
        segment = sitk.ReadImage(request["segment"])
    except RuntimeError as error:
        raise BadInput(f"The segment {request['segment']} cannot be read.") from error
    write_dicom_seg(
        request["path"],
        segment,
        request["dicom_files"],
        model,
        fractional=request.get("fractional", False),
        semiautomatic=request.get("semiautomatic", False),
        threshold=request.get("threshold"),
        label=SegmentLabel.of_manifest(request.get("label") or {}),
    )
    if request.get("report") and _write_report(request, model):
        return f"{request['path']}\n{request['report']}"
    return request["path"]


def _write_report(request: dict[str, Any], model: ModelIdentity) -> bool:
    """Measure, and write the report; return whether there was anything to report."""
    from ..measure import measure_masks
    from ..measure.apart import read_masks
    from . import coded_measurements, write_measurement_report

    coded = coded_measurements(measure_masks(*read_masks(request["masks"])))
    if coded:
        write_measurement_report(request["report"], coded, request["path"], request["dicom_files"], model)
    return bool(coded)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
