"""The page: panel on the left, tools above the views, four views, and what lies over them (start, notices)."""

from __future__ import annotations

from typing import Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html
from trame_server import Server

from .page_attributes import attributes
from .page_dialogs import build_dialogs
from .page_panel import build_panel
from .page_panes import build_menu, build_panes
from .page_start import build_notices, build_start
from .page_tools import TOOLS, build_tool_bar, build_tool_option
from .uploads import ACCEPT

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

# Never sent: how far a tab's own upload is, which view it has enlarged, what it has opened over the page.
_OF_ONE_TAB: dict[str, Any] = {
    "upload_fraction": 0,
    "maximized": None,
    "show_card": False,
    "show_help": False,
    "show_start": False,
    "picked": [],
    "menu": None,
    "show_lines": False,
}

# What trame shows in place of the page when the server is gone, or does not answer any more.
_GONE = (
    "<div class='gone'><h1>There is no connection to the server</h1>"
    "<p>Reload this page: where the server still runs, all is as you left it. Where it has ended, start it again "
    "with <code>attention-unet-seg serve</code> and open the address that it prints.</p></div>"
)


def build_page(server: Server, upload_limit_mb: int) -> VAppLayout:
    """Build the page's template; all of its values and actions are in the server's state and controller."""
    server.state.update(
        {
            "trame__title": "AttentionUNetSeg: pancreas on CT",
            "trame__favicon": "",
            "trame__template_error": _GONE,
            "upload_limit_mb": upload_limit_mb,
            "trame__client_only": [*server.state.trame__client_only, *_OF_ONE_TAB],
            **_OF_ONE_TAB,
            "tool_hints": {tool: hint for tool, (_, _, hint) in TOOLS.items()},
        }
    )
    with VAppLayout(server, template_name="main", vuetify_config=_VUETIFY, theme="calm") as page:
        html.Input(
            type="file",
            id="ct-file",
            classes="visually-hidden",
            accept=ACCEPT,
            multiple=True,
            tabindex=-1,
            change="utils.get('attentionUNetSeg').chosen($event)",
            **attributes(aria_label="CT file"),
        )
        html.Input(
            type="file",
            id="ct-folder",
            classes="visually-hidden",
            tabindex=-1,
            change="utils.get('attentionUNetSeg').chosen($event)",
            **attributes(aria_label="DICOM folder", webkitdirectory=""),
        )
        html.Input(
            type="file",
            id="segmentation-file",
            classes="visually-hidden",
            tabindex=-1,
            change="utils.get('attentionUNetSeg').chosenSegmentation($event)",
            **attributes(aria_label="Segmentation file"),
        )
        with html.Div(classes="page"):
            with html.Aside(classes="panel", **attributes(aria_label="Segmentation")):
                build_panel(server)
            with html.Main(classes="stage"):
                build_tool_bar(server)
                build_notices(server)
                with html.Div(classes="views", **attributes(data_maximized=("maximized || ''",))):
                    build_panes()
                    build_start(server)
                _build_status_bar()
        build_dialogs(server)
        build_menu(server)
    return page


def _build_status_bar() -> None:
    with html.Footer(classes="status-bar"):
        build_tool_option()
        html.Span("{{ volume_name ? tool_hints[tool] : '' }}", classes="ellipsis")
        html.Span(id="under-mouse", classes="under-mouse")
        html.Span(
            "{{ [last_change, additions + removals > 0 ? additions + ' added, ' + removals + ' removed by clicks' "
            ": '', marks > 0 ? marks + (marks === 1 ? ' region' : ' regions') : ''].filter(Boolean).join(' · ') }}",
            classes="counts",
            id="counts",
            **attributes(role="status"),
        )
        html.Span("Research software: not a medical device", classes="status-end")
