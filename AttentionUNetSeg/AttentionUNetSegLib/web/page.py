"""The page: panel on the left, tools above the views, four views, and what lies over them (start, notices)."""

from __future__ import annotations

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import client, html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from . import page_panel
from .page_attributes import attributes
from .tools import ADD, BROWSE, ERASE, PAINT, REMOVE
from .views import SLICE_VIEWS, THREE_D_VIEW, TITLES

_THEME = {
    "dark": True,
    "colors": {
        "background": "#0d1013",
        "surface": "#15191e",
        "primary": "#7db4f0",
        "secondary": "#9aa6b2",
        "error": "#ff8a80",
        "warning": "#f2c26b",
        "success": "#8fd19e",
    },
}
_VUETIFY = {
    "theme": {"defaultTheme": "calm", "themes": {"calm": _THEME}},
    "defaults": {
        "VBtn": {"variant": "tonal", "ripple": False},
        "VSelect": {"density": "compact", "variant": "outlined", "hideDetails": True},
        "VSlider": {"density": "compact", "hideDetails": True, "color": "primary", "thumbSize": 14, "trackSize": 3},
        "VCheckbox": {"density": "compact", "hideDetails": True, "color": "primary"},
    },
}

# tool: icon, label, what it does
_TOOLS = {
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
}


# What trame shows in place of the page when the server is gone.
_GONE = (
    "<div class='gone'><h1>The server has ended</h1>"
    "<p>Start it again with <code>attention-unet-seg serve</code> and open the address that it prints.</p></div>"
)


def build_page(server: Server, upload_limit_mb: int) -> VAppLayout:
    """Build the page's template; all of its values and actions are in the server's state and controller."""
    server.state.update(
        {
            "trame__title": "AttentionUNetSeg: pancreas on CT",
            "trame__favicon": "",
            "trame__template_error": _GONE,
            "upload_limit_mb": upload_limit_mb,
            # Of one tab each, and never sent: how far its own upload is, and which view it has enlarged.
            "trame__client_only": [*server.state.trame__client_only, "upload_fraction", "maximized", "show_card"],
            "upload_fraction": 0,
            "maximized": None,
            "tool_hints": {tool: hint for tool, (_, _, hint) in _TOOLS.items()},
        }
    )
    with VAppLayout(server, template_name="main", vuetify_config=_VUETIFY, theme="calm") as page:
        html.Input(
            type="file",
            id="ct-file",
            classes="visually-hidden",
            accept=".nii,.gz,.nrrd,.mha,.zip",
            tabindex=-1,
            change="utils.get('attentionUNetSeg').chosen($event)",
            **attributes(aria_label="CT file"),
        )
        with html.Div(classes="page"):
            with html.Aside(classes="panel", **attributes(aria_label="Segmentation")):
                page_panel.build_panel(server)
            with html.Main(classes="stage"):
                _build_tool_bar(server)
                with html.Div(classes="views", **attributes(data_maximized=("maximized || ''",))):
                    for name in (*SLICE_VIEWS[:1], THREE_D_VIEW, *SLICE_VIEWS[1:]):
                        _build_pane(name)
                    _build_start(server)
                    _build_notices(server)
                _build_status_bar()
        page_panel.build_dialogs(server)
    return page


def _build_tool_bar(server: Server) -> None:
    controller = server.controller
    with html.Div(classes="tool-bar", **attributes(role="toolbar", aria_label="Tools")):
        with html.Div(classes="tools", **attributes(role="radiogroup", aria_label="What the mouse does in a slice")):
            for tool, (icon, label, hint) in _TOOLS.items():
                with html.Button(
                    type="button",
                    classes=(f"['tool', tool === '{tool}' ? 'chosen' : '']",),
                    disabled=(_disabled(tool),),
                    click=f"tool = '{tool}'",
                    title=hint,
                    **attributes(role="radio", aria_checked=(f"tool === '{tool}'",), data_tool=tool),
                ):
                    vuetify.VIcon(icon, size=18)
                    html.Span(label)
        with html.Div(classes="tool-option"):
            for key, label, unit, lowest, highest, tools in (
                ("reach_mm", "Reach", "mm", 5, 40, (ADD, REMOVE)),
                ("brush_mm", "Brush", "mm", 2, 40, (PAINT, ERASE)),
            ):
                with html.Div(classes="tool-slider", v_if=(f"{list(tools)}.includes(tool)",)):
                    html.Span(label, classes="label", id=f"{key}-label")
                    vuetify.VSlider(
                        v_model=(key,), min=lowest, max=highest, step=1, **attributes(aria_label=f"{label} in {unit}")
                    )
                    html.Span(f"{{{{ {key} }}}} {unit}", classes="value")
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
            with html.Button(
                type="button",
                classes=("['tool', refine_clicks ? 'chosen' : '']",),
                disabled=("!has_result",),
                click="refine_clicks = !refine_clicks",
                title="After every click the network adapts itself to the clicks and looks again, in the background",
                **attributes(
                    aria_pressed=("refine_clicks",), aria_label="Refine with the network", data_tool="refine"
                ),
            ):
                vuetify.VIcon("mdi-auto-fix", size=18)
                html.Span("{{ refining ? 'Refining' : 'Refine' }}", classes="wide-only")
        vuetify.VSelect(
            v_model=("window",),
            items=("windows",),
            label="Window / level",
            classes="window",
            disabled=("!volume_name",),
        )
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


def _build_status_bar() -> None:
    with html.Footer(classes="status-bar"):
        html.Span("{{ volume_name ? tool_hints[tool] : '' }}", classes="ellipsis")
        html.Span(
            "{{ additions + removals > 0 ? additions + ' added, ' + removals + ' removed by clicks' : '' }}",
            classes="counts",
        )
        html.Span("Research software: not a medical device")


def _disabled(tool: str) -> str:
    return "!volume_name" if tool == BROWSE else "!has_result || run !== ''"


def _build_pane(name: str) -> None:
    """Build one view with its title, letters, slice slider and a button that enlarges it."""
    title = TITLES[name]
    with html.Section(
        classes=(f"['pane', 'pane-{name}', maximized === '{name}' ? 'maximized' : '', 'tool-' + tool]",),
        **attributes(aria_label=f"{title} view"),
    ):
        with html.Div(classes="pane-bar"):
            html.Span(title, classes="pane-title")
            if name in SLICE_VIEWS:
                vuetify.VSlider(
                    v_model=(f"{name}_offset",),
                    min=(f"{name}_pane.min",),
                    max=(f"{name}_pane.max",),
                    step=(f"{name}_pane.step",),
                    disabled=("!volume_name",),
                    **attributes(aria_label=f"{title} slice"),
                )
                html.Span(f"{{{{ volume_name ? {name}_pane.position : '' }}}}", classes="pane-position")
            else:
                html.Span("{{ has_result ? 'Pancreas surface' : '' }}", classes="pane-note")
            with html.Button(
                type="button",
                classes="pane-enlarge",
                click=f"maximized = maximized === '{name}' ? null : '{name}'",
                title="Enlarge, or show all views",
                **attributes(aria_label=(f"maximized === '{name}' ? 'Show all views' : 'Enlarge the {title} view'",)),
            ):
                vuetify.VIcon(f"{{{{ maximized === '{name}' ? 'mdi-arrow-collapse' : 'mdi-arrow-expand' }}}}", size=16)
        with html.Div(classes="pane-content", **attributes(data_view=name)):
            client.ServerTemplate(name=name)
            if name in SLICE_VIEWS:
                for side in ("left", "right", "top", "bottom"):
                    html.Span(f"{{{{ volume_name ? {name}_pane.{side} : '' }}}}", classes=f"letter letter-{side}")


def _build_start(server: Server) -> None:
    """Build what a person sees before there is a CT, and while one is being opened."""
    browse = "utils.get('attentionUNetSeg').choose()"
    with html.Div(classes="start", v_if=("!volume_name || opening",)):
        with html.Div(classes="start-card", v_if=("!opening && upload_fraction === 0",)):
            html.H1("Segment the pancreas on an abdominal CT")
            with html.Ol(classes="steps"):
                for what, how in (
                    ("Open a CT.", "A file, or a DICOM folder as a .zip."),
                    ("Press Segment Pancreas.", "The network runs on this computer."),
                    ("Check and correct.", "Threshold, clicks and brush; then save."),
                ):
                    with html.Li():
                        html.B(what)
                        html.Span(f" {how}")
            with html.Div(classes="drop"):
                vuetify.VIcon("mdi-tray-arrow-down", size=30, color="secondary")
                html.P("Drop a CT here")
                with html.Div(classes="drop-buttons"):
                    vuetify.VBtn("Choose a file", color="primary", variant="flat", click=browse)
                    vuetify.VBtn("Use a phantom", click=server.controller.open_phantom)
                html.P("NIfTI, NRRD, MHA or zipped DICOM, up to {{ upload_limit_mb }} MB", classes="small")
            html.P("Nothing leaves this computer. Research software: not for diagnosis or treatment.", classes="small")
        with html.Div(classes="start-card busy", v_else=True, **attributes(role="status")):
            html.P("{{ opening || 'Receiving the file' }}", classes="busy-text")
            vuetify.VProgressLinear(
                indeterminate=("!!opening",),
                model_value=("100 * upload_fraction",),
                color="primary",
                height=4,
                **attributes(aria_label="Progress"),
            )


def _build_notices(server: Server) -> None:
    """Build the sentences of errors and warnings, over the views so that nothing moves."""
    with (
        html.Div(classes="notices", **attributes(aria_live="assertive")),
        html.Div(
            v_for="notice in notices",
            key="notice.id",
            classes=("['notice', 'notice-' + notice.kind]",),
            **attributes(role="alert"),
        ),
    ):
        vuetify.VIcon(
            "{{ notice.kind === 'error' ? 'mdi-alert-circle-outline' : 'mdi-alert-outline' }}",
            size=20,
            classes="notice-icon",
        )
        with html.Div(classes="notice-text"):
            html.B("{{ notice.title + ' ' }}", v_if=("notice.title",))
            html.Span("{{ notice.text }}")
        with html.Button(
            type="button",
            classes="notice-close",
            click=(server.controller.dismiss_notice, "[notice.id]"),
            **attributes(aria_label="Dismiss"),
        ):
            vuetify.VIcon("mdi-close", size=18)
