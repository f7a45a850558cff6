"""What the Extensions Index and CMake ask of the repository."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parents[2]
SELF_TESTS = ROOT / "Testing" / "Python"


def cmake_words(path: Path, name: str) -> list[str]:
    """Return what `set(name ...)` of a CMake file holds."""
    return re.search(rf"set\({name}\s(.*?)\)", path.read_text(encoding="utf-8"), re.DOTALL)[1].split()


def test_the_index_entry_follows_the_schema():
    entry = json.loads((ROOT / "AttentionUNetSeg.json").read_text(encoding="utf-8"))
    assert set(entry) == {"$schema", "category", "scm_url", "build_dependencies", "dicom_support_rule"}
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert entry["category"] == "Segmentation"
    assert entry["build_dependencies"] == ["PyTorch"]
    assert entry["dicom_support_rule"] == "Modality == 'CT'"
    address = urlparse(entry["scm_url"])
    assert address.scheme == "https" and address.netloc and address.path.rpartition("/")[2].startswith("AttentionUNet")


def test_the_root_project():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^project\((\w+)", text, re.MULTILINE)[0] == "AttentionUNetSeg"
    settings = dict(re.findall(r'^set\((EXTENSION_\w+) "([^"\n]*)"\)$', text, re.MULTILINE))
    assert {f"EXTENSION_{name}" for name in (
        "HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS", "KEYWORDS",
    )} <= set(settings), "each a single quoted string on one line"  # fmt: skip
    assert settings["EXTENSION_DEPENDS"] == "PyTorch"
    assert settings["EXTENSION_CATEGORY"] == "Segmentation"
    assert "add_subdirectory(AttentionUNetSeg)" in text and "add_subdirectory(Testing)" in text
    assert (ROOT / "LICENSE.txt").is_file()


def test_the_icon_is_a_png_of_128_pixels():
    icons = list((ROOT / "AttentionUNetSeg" / "Resources" / "Icons").glob("AttentionUNetSeg*.png"))
    assert icons
    for icon in icons:
        content = icon.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", content[16:24]) == (128, 128)


def test_cmake_runs_every_self_test():
    assert "add_subdirectory(Python)" in (ROOT / "Testing" / "CMakeLists.txt").read_text(encoding="utf-8")
    listed = cmake_words(SELF_TESTS / "CMakeLists.txt", "TESTS")
    assert listed == sorted(path.stem for path in SELF_TESTS.glob("test_*.py"))


def test_the_module_is_tested_by_reload_and_test():
    text = (ROOT / "AttentionUNetSeg" / "AttentionUNetSeg.py").read_text(encoding="utf-8")
    assert re.search(r"^class AttentionUNetSegTest\(ScriptedLoadableModuleTest\)", text, re.MULTILINE)
    assert re.search(r"^    def runTest\(", text, re.MULTILINE)
