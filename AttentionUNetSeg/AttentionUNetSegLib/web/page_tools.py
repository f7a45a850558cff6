"""The bar above the views: the tool in hand and its option, undo and redo, window and level, what is shown."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from ..contracts import FURTHEST, LARGEST_REACH_MM, SMALLEST_REACH_MM
from .correction_tools import ADD, BROWSE, ERASE, PAINT, REMOVE
from .page_attributes import attributes
from .page_buttons import any_of, build_button, build_radio, radio_group
from .ruler import AREA, DISTANCE
from .shape_drawing import BOX, CLICK, LASSO

# tool: icon, label, what it does
TOOLS = {
    BROWSE: (
        "mdi-cursor-default-outline",
        "Browse",
        "Wheel: slices. Click: show this point in all views. "
        "Drag: window. Right drag: zoom. Shift or middle drag: move.",
    ),
    ADD: ("mdi-plus-circle-outline", "Add", "Click where pancreas is missing, or draw around it (keys 1, 2, 3)."),
    REMOVE: ("mdi-minus-circle-outline", "Remove", "Click where it is not pancreas, or draw around it (keys 1, 2, 3)."),
    PAINT: ("mdi-brush", "Paint", "Drag to add voxels by hand; they stay when the threshold changes."),
    ERASE: ("mdi-eraser", "Erase", "Drag to remove voxels by hand; they stay removed when the threshold changes."),
    DISTANCE: ("mdi-ruler", "Distance", "Drag to measure a distance; it is saved with the scene."),
    AREA: ("mdi-vector-polygon", "Area", "Drag around something to measure its area; it is saved with the scene."),
}
# shape: icon, label, what it does
_SHAPES = {
    CLICK: ("mdi-cursor-pointer", "Click", "A click acts around itself, in tissue like the clicked one. Key: 1"),
    LASSO: ("mdi-lasso", "Lasso", "Draw around a missed or a wrong part. Key: 2"),
    BOX: ("mdi-crop-free", "Box", "Draw a box from corner to corner; nothing changes outside of it. Key: 3"),
}
# state: label, unit, lowest, highest, where it is shown, what it means
_OPTIONS = {
    "reach_mm": (
        "Reach", "mm", SMALLEST_REACH_MM, LARGEST_REACH_MM, f"{any_of('tool', (ADD, REMOVE))} && shape !== '{BOX}'",
        "About how far a click or lasso acts in tissue like the marked one. Where all is alike it goes further: "
        f"nothing changes beyond {FURTHEST:g} times as far.",
    ),
    "box_mm": (
        "Depth", "mm", 2, 100, f"{any_of('tool', (ADD, REMOVE))} && shape === '{BOX}'",
        "How deep the box is, half of it to either side of the slice.",
    ),
    "brush_mm": ("Brush", "mm", 2, 40, any_of("tool", (PAINT, ERASE)), "The brush's diameter; it is a ball."),
}  # fmt: skip


def build_tool_bar(server: Server) -> None:
    """Build the bar."""
    controller = server.controller
    with html.Div(classes="tool-bar", **attributes(role="toolbar", aria_label="Tools")):
        with radio_group("What the mouse does in a slice"):
            for tool, (icon, label, hint) in TOOLS.items():
                build_radio("tool", tool, icon, label, hint, _disabled(tool), tool)
        with html.Div(classes="tools"):
            for action, icon, label in (("undo", "mdi-undo", "Undo"), ("redo", "mdi-redo", "Redo")):
                build_button(
                    action, icon, label, getattr(controller, action), f"{label} a correction", f"!can_{action}",
                    text=label,
                )  # fmt: skip
        _build_window(server)
        with html.Div(classes="tools"):
            build_button(
                "segment", "mdi-eye-outline", "Show the segment", "show_segment = !show_segment",
                "Show or hide the segment", "!has_result", "show_segment",
            )  # fmt: skip
            build_button(
                "reset", "mdi-fit-to-screen-outline", "Reset the views", controller.reset_views,
                "Show everything again", "!volume_name",
            )  # fmt: skip
            for mark, icon, label, title, shown in (
                ("lines", "mdi-crosshairs", "Reference lines", "Draw where the other views lie", "show_lines"),
                ("slices-3d", "mdi-layers-outline", "Slices in 3D", "Show the slices in the 3D view", "slices_in_3d"),
            ):
                click = f"{shown} = !{shown}; utils.get('attentionUNetSegLines').drawSoon()"
                build_button(mark, icon, label, click, title, "!volume_name", shown)
            for mark, icon, label, action in (
                ("screenshot", "mdi-camera-outline", "Save a picture of the views", "screenshot()"),
                ("help", "mdi-help", "Keys and mouse", "help()"),
            ):
                build_button(mark, icon, label, f"utils.get('attentionUNetSegKeys').{action}")


def _build_window(server: Server) -> None:
    with html.Div(classes="window"):
        vuetify.VSelect(
            v_model=("window",),
            items=("windows",),
            label="Window",
            disabled=("!volume_name",),
        )
        for name, label in (("window_width", "Window width"), ("window_center", "Window level")):
            html.Input(
                type="number",
                classes="window-number",
                disabled=("!volume_name",),
                value=(name,),
                change=f"{name} = Number($event.target.value)",
                title=f"{label} in HU",
                **attributes(aria_label=f"{label} in HU"),
            )
        build_button(
            "window", "mdi-contrast-circle", "Reset the window", server.controller.reset_window,
            "Back to the abdomen's window", "!volume_name",
        )  # fmt: skip


def build_tool_option() -> None:
    """Build what the tool in hand can be set to; it has a place of its own, so that the bar never gets too narrow."""
    with html.Div(classes="tool-option"):
        with radio_group("What Add and Remove draw", v_if=(any_of("tool", (ADD, REMOVE)),)):
            for shape, (icon, label, hint) in _SHAPES.items():
                build_radio("shape", shape, icon, label, hint, "false", f"shape-{shape}")
        with html.Div(classes="tools", v_if=(any_of("tool", (PAINT, ERASE)),)):
            build_button(
                "teach", "mdi-school-outline", "Strokes teach", "teach = !teach",
                "A stroke acts beyond its own voxels, as a row of clicks would", pressed="teach",
            )  # fmt: skip
        for key, (label, unit, lowest, highest, shown, hint) in _OPTIONS.items():
            with html.Div(classes="tool-slider", v_if=(shown,), title=hint):
                html.Span(label, classes="label", id=f"{key}-label")
                vuetify.VSlider(
                    v_model=(key,), min=lowest, max=highest, step=1, **attributes(aria_label=f"{label} in {unit}")
                )
                html.Span(f"{{{{ {key} }}}} {unit}", classes="value")


def _disabled(tool: str) -> str:
    return "!volume_name" if tool in (BROWSE, DISTANCE, AREA) else "!has_result || run !== ''"
