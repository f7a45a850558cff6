"""Every Qt, CTK and Slicer name that the product's source uses exists in a running Slicer, executed or not."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import slicer
from desktop_double.qt_values import Qt
from desktop_double.strict import listed_classes, names_of

ROOT = Path(__file__).resolve().parents[2]
MODULE_FOLDER = ROOT / "AttentionUNetSeg"
MODULE_FILE = MODULE_FOLDER / "AttentionUNetSeg.py"
UI_FILE = MODULE_FOLDER / "Resources" / "UI" / "AttentionUNetSeg.ui"
QT_FILES = [MODULE_FILE, *sorted((MODULE_FOLDER / "AttentionUNetSegLib" / "desktop").glob("*.py"))]
SELF_TESTS = sorted((ROOT / "Testing" / "Python").glob("*.py"))

# `slicer.X` beside MRML classes and the classes of the list; from Base/Python/slicer/__init__.py and slicerqt.py.
SLICER_NAMES = {"app", "modules", "mrmlScene", "util", "i18n", "parameterNodeWrapper", "ScriptedLoadableModule",
                "packaging"}  # fmt: skip
# What a variable of that name holds, wherever the desktop's files and the tests use it.
KNOWN_VARIABLES = {
    "parent": None,
    "process": "qt.QProcess",
    "_process": "qt.QProcess",
    "environment": "qt.QProcessEnvironment",
    "timer": "qt.QTimer",
    "_timer": "qt.QTimer",
}
SLICER_FUNCTIONS_RETURN = {
    "slicer.app.layoutManager": "slicer.qSlicerLayoutManager",
    "slicer.app.applicationLogic": "slicer.app.applicationLogic()",
    "slicer.app.moduleManager": "slicer.app.moduleManager()",
    "slicer.app.coreIOManager": "slicer.qSlicerIOManager",
}
BESIDE_THE_LIST = {"qt.QFileInfo"}  # run_all.py loads the module as many scripts do: registerModule(qt.QFileInfo(...))


def widget_classes() -> dict[str, str]:
    """Object name -> class of every widget and layout of the .ui file."""
    root = ET.parse(UI_FILE).getroot()
    return {e.get("name"): e.get("class") for e in root.iter() if e.tag in ("widget", "layout") and e.get("name")}


def qualified(class_name: str) -> str:
    """`QLabel` -> `qt.QLabel`."""
    space = "qt" if class_name.startswith("Q") else "ctk" if class_name.startswith("ctk") else "slicer"
    return f"{space}.{class_name}"


def dotted(node: ast.AST) -> str | None:
    """Return `a.b.c` of nested attributes, else None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def uses(path: Path) -> list[tuple[int, str, str]]:
    """Return (line, class of the list, attribute) of every use that can be told from the source."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    widgets = widget_classes()
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value
        name = dotted(owner)
        if isinstance(owner, ast.Call) and dotted(owner.func) in SLICER_FUNCTIONS_RETURN:
            found.append((node.lineno, SLICER_FUNCTIONS_RETURN[dotted(owner.func)], node.attr))
        elif isinstance(owner, ast.Call) and (dotted(owner.func) or "") in listed_classes():
            found.append((node.lineno, dotted(owner.func), node.attr))
        elif name in listed_classes() and name != "slicer.parameterNodeWrapper":
            found.append((node.lineno, name, node.attr))
        elif name is not None and (match := re.fullmatch(r"(?:.*\.)?_?ui\.(\w+)", name)) and match[1] in widgets:
            found.append((node.lineno, qualified(widgets[match[1]]), node.attr))
        elif name is not None and KNOWN_VARIABLES.get(name.rpartition(".")[2]):
            found.append((node.lineno, KNOWN_VARIABLES[name.rpartition(".")[2]], node.attr))
    return found


@pytest.mark.parametrize("path", [*QT_FILES, *SELF_TESTS], ids=lambda path: path.name)
def test_attributes_exist(path):
    found = uses(path)
    unknown = [
        f"line {line}: {owner}.{attribute}"
        for line, owner, attribute in found
        if owner not in listed_classes() or attribute.rstrip("_") not in names_of(owner)
    ]
    assert not unknown


def test_the_look_at_the_source_sees_something():
    found = {(owner, attribute) for path in QT_FILES for _, owner, attribute in uses(path)}
    assert len(found) > 80
    assert {("qt.QProcess", "readyReadStandardOutput"), ("qt.QPushButton", "clicked"),
            ("slicer.util", "loadUI"), ("ctk.ctkSliderWidget", "value"),
            ("slicer.app", "applicationLogic")} <= found  # fmt: skip


@pytest.mark.parametrize("path", [*QT_FILES, *SELF_TESTS], ids=lambda path: path.name)
def test_classes_exist(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = dotted(node)
        if name is not None and name.count(".") >= 1 and name.split(".")[0] in ("qt", "ctk", "slicer"):
            names.add(".".join(name.split(".")[:2]))
    for name in names:
        space, _, member = name.partition(".")
        if name in listed_classes() or name in BESIDE_THE_LIST:
            continue
        if name == "qt.Qt":
            continue
        assert space == "slicer", f"{path.name} uses {name}, which is not in the list."
        known = member in SLICER_NAMES or (member.startswith("vtk") and hasattr(slicer, member))
        assert known, f"{path.name} uses {name}, which Slicer does not have."


def test_every_object_name_is_in_the_ui_file():
    widgets = widget_classes()
    for path in [*QT_FILES, *SELF_TESTS]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and re.search(r"(^|\.)_?ui$", dotted(node.value) or ""):
                assert node.attr in widgets, f"{path.name}, line {node.lineno}: the .ui file has no {node.attr}."


def test_imports_at_file_scope_of_the_module():
    allowed = {*sys.stdlib_module_names, "slicer", "vtk", "qt", "ctk", "numpy"}
    for node in ast.parse(MODULE_FILE.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module]
            assert {module.split(".")[0] for module in modules} <= allowed


@pytest.mark.parametrize("path", [*QT_FILES, *SELF_TESTS], ids=lambda path: path.name)
def test_syntax_of_every_python(path):
    for minor in (10, 11, 12, 13):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, minor))


def test_scripts_for_slicer_are_ascii():
    """Slicer reads the file of --python-script in the system's encoding, which on Windows is not UTF-8."""
    assert (ROOT / "Testing" / "Python" / "run_all.py").read_text(encoding="utf-8").isascii()


def test_constants_of_qt_are_real():
    used = {
        dotted(node).split(".")[2]
        for path in [*QT_FILES, *SELF_TESTS]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (dotted(node) or "").startswith("qt.Qt.")
    }
    assert all(hasattr(Qt, name) for name in used), used
