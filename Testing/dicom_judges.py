"""Programs by others that judge DICOM objects: dcmqi reads them, dciodvfy validates them. Tests skip without them."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest


def dcmqi(tool: str) -> str:
    """The path of one of dcmqi's programs, which come with the PyPI package of that name."""
    package = find_spec("dcmqi")
    folders = [] if package is None else [str(Path(package.origin).parent / "bin")]
    path = shutil.which(tool, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    return path or pytest.skip(f"dcmqi's {tool} is not installed (pip install dcmqi)")


def errors_by_dciodvfy(path: Path) -> list[str]:
    """The errors that dciodvfy (Debian: dicom3tools) finds in a DICOM file."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert {"Segmentation", "Comprehensive3DSR"} & set(lines), "it did not know what it was looking at"
    return [line for line in lines if line.startswith(("Error", "Abort"))]
