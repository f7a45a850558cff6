"""Every Qt, CTK and Slicer name that the product's source uses exists in a running Slicer, executed or not."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import SimpleITK
import slicer
import vtk
from desktop_double.installed import acted_out
from desktop_double.qt_values import Qt
from desktop_double.strict import Property, listed_classes, names_of

from .receivers import Receivers

ROOT = Path(__file__).resolve().parents[2]
MODULE_FOLDER = ROOT / "AttentionUNetSeg"
MODULE_FILE = MODULE_FOLDER / "AttentionUNetSeg.py"
UI_FILE = MODULE_FOLDER / "Resources" / "UI" / "AttentionUNetSeg.ui"
QT_FILES = [MODULE_FILE, *sorted((MODULE_FOLDER / "AttentionUNetSegLib" / "desktop").glob("*.py"))]
SELF_TESTS = sorted((ROOT / "Testing" / "Python").glob("*.py"))
FILES = [*QT_FILES, *SELF_TESTS]

# `slicer.X` beside MRML classes and the classes of the list; from Base/Python/slicer/__init__.py and slicerqt.py.
SLICER_NAMES = {"app", "modules", "mrmlScene", "util", "i18n", "parameterNodeWrapper", "ScriptedLoadableModule",
                "packaging"}  # fmt: skip
MRML_METHOD = "(Get|Set|Add|Remove|Has|Is|Create|Copy|Invoke|Update|Reset|Start|End|Apply|Jump|Fit|Unset)[A-Z]"
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


@functools.cache
def receivers(path: Path) -> Receivers:
    return Receivers(path, {name: qualified(kind) for name, kind in widget_classes().items()})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_attributes_exist(path):
    unknown = [
        f"line {use.line}: {use.owner}.{use.name}"
        for use in receivers(path).uses()
        if use.owner not in listed_classes() or use.name not in names_of(use.owner)
    ]
    assert not unknown


def test_no_name_of_slicers_is_used_on_an_object_of_which_nothing_is_known():
    others = {name for kind in (str, bytes, list, dict, set, tuple, Path) for name in dir(kind)}
    for name in dir(slicer):
        if name.startswith("vtk"):
            others |= {each for each in dir(getattr(slicer, name)) if not each[0].islower()}  # MRML's; Qt's begin small
    for path in [*(MODULE_FOLDER / "AttentionUNetSegLib").rglob("*.py"), *FILES]:
        others |= own_names(ast.parse(path.read_text(encoding="utf-8")))
    untold = {path.name: receivers(path).untold(frozenset(others)) for path in FILES}
    assert not {name: uses for name, uses in untold.items() if uses}, "tell in receivers.py what these objects are"


def test_methods_of_mrml_are_some_class_s():
    """Whether executed or not; of which class, the tests on the real MRML library tell."""
    known = set(dir(SimpleITK)) | set(dir(SimpleITK.Image))
    for library in (slicer, vtk):
        for name in dir(library):
            if name.startswith("vtk"):
                known |= set(dir(getattr(library, name)))
    for path in FILES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert not {name for name in names if re.match(MRML_METHOD, name)} - known, path.name
    assert re.match(MRML_METHOD, "GetNthControlPointPositionStatus") and not re.match(MRML_METHOD, "Settings")


def own_names(tree: ast.Module) -> set[str]:
    """Names of functions, classes, fields and attributes that a file of ours defines."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            found.add(node.attr)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_properties_are_attributes_and_methods_are_called(path):
    """PythonQt takes a method that is not called for true, and calling a property is an error."""
    wrong = []
    for use in receivers(path).uses():
        member = inspect.getattr_static(acted_out().get(use.owner), use.name, None)
        is_property = isinstance(member, (Property, property))
        is_method = inspect.isfunction(member) and not use.is_passed
        if (is_property and use.is_called) or (is_method and not use.is_called):
            wrong.append(f"line {use.line}: {use.owner}.{use.name}")
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_methods_of_qt_get_no_keywords(path):
    """PythonQt knows the places of a slot's arguments, not their names."""
    with_keywords = [use for use in receivers(path).uses() if use.keywords]
    assert not [use for use in with_keywords if use.owner.startswith(("qt.", "ctk.", "slicer.q", "slicer.app"))]


def test_the_look_at_the_source_sees_something():
    found = {(use.owner, use.name) for path in FILES for use in receivers(path).uses()}
    assert len(found) > 180
    assert {
        ("qt.QProcess", "readyReadStandardOutput"), ("qt.QPushButton", "clicked"), ("slicer.util", "loadUI"),
        ("ctk.ctkSliderWidget", "value"), ("ctk.ctkSliderWidget", "singleStep"), ("slicer.app", "applicationLogic"),
        ("qt.QKeySequence", "toString"), ("qt.QSize", "height"), ("qt.QVBoxLayout", "spacing"),
        ("slicer.qMRMLSegmentEditorWidget", "undo"), ("slicer.qMRMLNodeComboBox", "nodeFromIndex"),
        ("qt.QAction", "setChecked"), ("qt.QMessageBox", "detailedText"), ("qt.QShortcut", "activatedAmbiguously"),
    } <= found  # fmt: skip


def test_the_look_at_the_source_finds_what_is_wrong(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(
        "def show(widget):\n    widget.tooltip = ''\n    return widget.isHidden, widget.text()\n\n\n"
        "def setup(ui, mystery):\n    show(ui.undoButton)\n    timer = qt.QTimer()\n    timer.start(msec=5)\n"
        "    mystery.setCurrentIndex(1)\n"
    )
    found = receivers(path).uses()
    assert ("tooltip", 2) in {(use.name, use.line) for use in found if use.name not in names_of(use.owner)}
    assert {use.name for use in found if use.is_called} == {"text", "QTimer", "start"} - {"QTimer"}
    assert {use.name for use in found if use.keywords} == {"start"}
    assert receivers(path).untold(frozenset()) == ["line 10: mystery.setCurrentIndex"]
    with pytest.raises(AssertionError):
        test_attributes_exist(path)
    with pytest.raises(AssertionError):
        test_properties_are_attributes_and_methods_are_called(path)
    with pytest.raises(AssertionError):
        test_methods_of_qt_get_no_keywords(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
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
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and re.search(r"(^|\.)_?ui$", dotted(node.value) or ""):
                assert node.attr in widgets, f"{path.name}, line {node.lineno}: the .ui file has no {node.attr}."


def test_imports_at_file_scope_of_the_module():
    allowed = {*sys.stdlib_module_names, "slicer", "vtk", "qt", "ctk", "numpy"}
    for node in ast.parse(MODULE_FILE.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module]
            assert {module.split(".")[0] for module in modules} <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_syntax_of_every_python(path):
    for minor in (10, 11, 12, 13):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, minor))


def test_scripts_for_slicer_are_ascii():
    """Slicer reads the file of --python-script in the system's encoding, which on Windows is not UTF-8."""
    assert (ROOT / "Testing" / "Python" / "run_all.py").read_text(encoding="utf-8").isascii()


def test_constants_of_qt_are_real():
    used = {
        dotted(node).split(".")[2]
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (dotted(node) or "").startswith("qt.Qt.")
    }
    assert all(hasattr(Qt, name) for name in used), used
