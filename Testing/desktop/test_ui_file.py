"""The .ui file: loads, explains itself, is reachable by keyboard, and binds to parameters that exist."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import slicer
from AttentionUNetSegLib.contracts import DEFAULT_REACH_MM, FURTHEST, LARGEST_REACH_MM, SMALLEST_REACH_MM
from desktop_double.qt_values import Qt
from desktop_double.strict import listed_classes, names_of

ROOT = Path(__file__).resolve().parents[2]
UI_FILE = ROOT / "AttentionUNetSeg" / "Resources" / "UI" / "AttentionUNetSeg.ui"
PARAMETERS_FILE = ROOT / "AttentionUNetSeg" / "AttentionUNetSegLib" / "desktop" / "parameters.py"
INTERACTIVE = ("Button", "ComboBox", "CheckBox", "SliderWidget", "SpinBox", "LineEdit", "TextEdit")
SECTIONS = ("input", "result", "attention", "correction", "measurements", "start", "advanced")


@pytest.fixture(scope="module")
def widgets() -> list[ET.Element]:
    return list(ET.parse(UI_FILE).getroot().iter("widget"))


def test_it_loads_in_the_double(slicer_app):
    root = slicer.util.loadUI(str(UI_FILE))
    ui = slicer.util.childWidgetVariables(root)
    assert ui.AttentionUNetSeg is root, "the panel passes the scene on by its own name"
    for section in SECTIONS:
        assert getattr(ui, f"{section}CollapsibleButton").parent() is root
        assert getattr(ui, f"{section}CollapsibleButton").collapsed, "sections open when they become useful"
    root.setMRMLScene(slicer.mrmlScene)
    for name, widget in vars(ui).items():
        if hasattr(type(widget), "setMRMLScene"):
            assert widget.mrmlScene() is slicer.mrmlScene, f"{name} gets no scene"


def test_every_class_is_one_of_slicers(widgets):
    for widget in widgets:
        kind = widget.get("class")
        assert any(f"{space}.{kind}" in listed_classes() for space in ("qt", "ctk", "slicer")), kind


def test_every_enumeration_is_one_that_slicer_registers():
    """QUiLoader takes 0 for what it does not find, with a line on the console that nobody reads."""
    values = [element.text for tag in ("enum", "set") for element in ET.parse(UI_FILE).getroot().iter(tag)]
    assert values
    for value in "|".join(values).split("|"):
        kind, _, name = value.partition("::")
        if kind == "Qt":
            assert hasattr(Qt, name), value
        else:
            assert name in names_of(f"{'ctk' if kind.startswith('ctk') else 'qt'}.{kind}"), value


def test_everything_interactive_has_a_tool_tip_and_a_name(widgets):
    for widget in widgets:
        if widget.get("class").endswith(INTERACTIVE):
            assert widget.findtext("property[@name='toolTip']/string"), f"{widget.get('name')} has no tool tip"
            assert re.fullmatch(r"[a-z][A-Za-z0-9]+", widget.get("name")), "a name that Designer made"


def test_labels_lead_to_their_widgets_by_keyboard(widgets):
    names = {widget.get("name") for widget in widgets}
    buddies = [widget.findtext("property[@name='buddy']/cstring") for widget in widgets]
    assert {buddy for buddy in buddies if buddy} <= names
    unreachable = [
        widget.get("name")
        for widget in widgets
        if widget.findtext("property[@name='focusPolicy']/enum", "").endswith("NoFocus")
    ]
    assert not unreachable


def test_parameter_names_are_those_of_the_parameter_node(widgets):
    names = {widget.findtext("property[@name='SlicerParameterName']/string"): widget.get("class") for widget in widgets}
    names.pop(None)
    declared = set(re.findall(r"^    (\w+):", PARAMETERS_FILE.read_text(encoding="utf-8"), re.MULTILINE))
    assert names and set(names) <= declared
    for element in ET.parse(UI_FILE).getroot().iter("property"):
        if element.get("name", "").startswith("Slicer"):
            assert element.get("stdset") == "0", "otherwise Qt looks for a setter"


def test_the_reach_of_clicks_is_that_of_all_front_ends(widgets):
    (slider,) = (widget for widget in widgets if widget.get("name") == "reachSlider")
    lowest, highest, value = (
        float(slider.findtext(f"property[@name='{name}']/double")) for name in ("minimum", "maximum", "value")
    )
    assert (lowest, highest, value) == (SMALLEST_REACH_MM, LARGEST_REACH_MM, DEFAULT_REACH_MM)
    assert FURTHEST == 3 and "up to three times as far" in slider.findtext("property[@name='toolTip']/string")


def test_colours_are_the_themes_own(widgets):
    text = UI_FILE.read_text(encoding="utf-8")
    assert not re.search(r"color\s*:|<palette>", text), "a fixed colour is unreadable in the dark theme"


def test_every_slot_of_a_connection_exists():
    for connection in ET.parse(UI_FILE).getroot().iter("connection"):
        assert connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        assert connection.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
