"""The bar above the views: the tool in hand and its option, undo and redo, window and level, what is shown."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from .measuring import AREA, DISTANCE
from .page_attributes import attributes
from .tools import ADD, BROWSE, ERASE, PAINT, REMOVE

# tool: icon, label, what it does
TOOLS = {
    BROWSE: (
        "mdi-cursor-default-outline",
        "Browse",
        "Wheel: slices. Click: show this point in all views. "
        "Drag: window. Right drag: zoom. Shift or middle drag: move.",
    ),
    ADD: ("mdi-plus-circle-outline", "Add", "Click where pancreas is missing."),
    REMOVE: ("mdi-minus-circle-outline", "Remove", "Click where it is not pancreas."),
    PAINT: ("mdi-brush", "Paint", "Drag to add voxels by hand; they stay when the threshold changes."),
    ERASE: ("mdi-eraser", "Erase", "Drag to remove voxels by hand; they stay removed when the threshold changes."),
    DISTANCE: ("mdi-ruler", "Distance", "Drag to measure a distance; it is saved with the scene."),
    AREA: ("mdi-vector-polygon", "Area", "Drag around something to measure its area; it is saved with the scene."),
}


_OPTION_HINTS = {
    "reach_mm": "About how far a click acts in tissue like the clicked one. Where all is alike it goes further: "
    "nothing changes beyond three times as far.",
    "brush_mm": "The brush's diameter; it is a ball.",
}


def build_tool_bar(server: Server) -> None:
    """Build the bar."""
    controller = server.controller
    with html.Div(classes="tool-bar", **attributes(role="toolbar", aria_label="Tools")):
        with html.Div(classes="tools", **attributes(role="radiogroup", aria_label="What the mouse does in a slice")):
            for tool, (icon, label, hint) in TOOLS.items():
                with html.Button(
                    type="button",
                    classes=(f"['tool', tool === '{tool}' ? 'chosen' : '']",),
                    disabled=(_disabled(tool),),
                    click=f"tool = '{tool}'",
                    title=hint,
                    **attributes(
                        role="radio",
                        aria_checked=(f"tool === '{tool}'",),
                        aria_label=label,
                        data_tool=tool,
                        tabindex=(f"tool === '{tool}' ? 0 : -1",),
                    ),
                ):
                    vuetify.VIcon(icon, size=18)
                    html.Span(label)
        with html.Div(classes="tools"):
            for action, icon, label, enabled in (
                ("undo", "mdi-undo", "Undo", "can_undo"),
                ("redo", "mdi-redo", "Redo", "can_redo"),
            ):
                with html.Button(
                    type="button",
                    classes="tool",
                    disabled=(f"!{enabled}",),
                    click=getattr(controller, action),
                    title=f"{label} a correction",
                    **attributes(data_tool=action, aria_label=label),
                ):
                    vuetify.VIcon(icon, size=18)
                    html.Span(label, classes="wide-only")
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
            with html.Button(
                type="button",
                classes="tool",
                disabled=("!volume_name",),
                click=controller.reset_window,
                title="Back to the abdomen's window",
                **attributes(aria_label="Reset the window", data_tool="window"),
            ):
                vuetify.VIcon("mdi-contrast-circle", size=18)
        with html.Div(classes="tools"):
            with html.Button(
                type="button",
                classes=("['tool', show_segment ? 'chosen' : '']",),
                disabled=("!has_result",),
                click="show_segment = !show_segment",
                title="Show or hide the segment",
                **attributes(aria_pressed=("show_segment",), aria_label="Show the segment", data_tool="segment"),
            ):
                vuetify.VIcon("mdi-eye-outline", size=18)
            with html.Button(
                type="button",
                classes="tool",
                disabled=("!volume_name",),
                click=controller.reset_views,
                title="Show everything again",
                **attributes(aria_label="Reset the views", data_tool="reset"),
            ):
                vuetify.VIcon("mdi-fit-to-screen-outline", size=18)
            for tool, icon, label, title, shown in (
                ("lines", "mdi-crosshairs", "Reference lines", "Draw where the other views lie", "show_lines"),
                ("slices-3d", "mdi-layers-outline", "Slices in 3D", "Show the slices in the 3D view", "slices_in_3d"),
            ):
                with html.Button(
                    type="button",
                    classes=(f"['tool', {shown} ? 'chosen' : '']",),
                    disabled=("!volume_name",),
                    click=f"{shown} = !{shown}; utils.get('attentionUNetSegLines').drawSoon()",
                    title=title,
                    **attributes(aria_pressed=(shown,), aria_label=label, data_tool=tool),
                ):
                    vuetify.VIcon(icon, size=18)
            for tool, icon, label, action in (
                ("screenshot", "mdi-camera-outline", "Save a picture of the views", "screenshot()"),
                ("help", "mdi-help", "Keys and mouse", "help()"),
            ):
                with html.Button(
                    type="button",
                    classes="tool",
                    click=f"utils.get('attentionUNetSegKeys').{action}",
                    title=label,
                    **attributes(aria_label=label, data_tool=tool),
                ):
                    vuetify.VIcon(icon, size=18)


def build_tool_option() -> None:
    """Build the slider of the tool in hand; it has a place of its own, so that the bar never gets too narrow for it."""
    with html.Div(classes="tool-option"):
        for key, label, unit, lowest, highest, tools in (
            ("reach_mm", "Reach", "mm", 5, 40, (ADD, REMOVE)),
            ("brush_mm", "Brush", "mm", 2, 40, (PAINT, ERASE)),
        ):
            with html.Div(
                classes="tool-slider",
                v_if=(f"{list(tools)}.includes(tool)",),
                title=_OPTION_HINTS[key],
            ):
                html.Span(label, classes="label", id=f"{key}-label")
                vuetify.VSlider(
                    v_model=(key,), min=lowest, max=highest, step=1, **attributes(aria_label=f"{label} in {unit}")
                )
                html.Span(f"{{{{ {key} }}}} {unit}", classes="value")


def _disabled(tool: str) -> str:
    return "!volume_name" if tool in (BROWSE, DISTANCE, AREA) else "!has_result || run !== ''"
