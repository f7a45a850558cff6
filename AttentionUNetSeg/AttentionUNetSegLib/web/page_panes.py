"""The four views, each with its title, slider and letters, and the menu of the right mouse button."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from .page_attributes import attributes
from .views import SLICE_VIEWS, THREE_D_VIEW, TITLES


def build_menu(server: Server) -> None:
    """Build what the right mouse button opens in a slice; `menu` is {x, y, click} or null."""
    controller = server.controller
    with html.Div(
        classes="menu",
        v_if=("menu !== null",),
        id="slice-menu",
        style=("{ left: menu.x + 'px', top: menu.y + 'px' }",),
        **attributes(role="menu", aria_label="In this slice"),
    ):
        for text, click, shown in (
            ("Remove this click", (controller.remove_click, "[menu.click]"), "menu.click"),
            ("Remove all clicks", controller.clear_clicks, "additions + removals > 0"),
            ("Remove all corrections", controller.clear_corrections, "additions + removals + marks > 0 || can_undo"),
            ("Show everything again", controller.reset_views, "true"),
        ):
            html.Button(
                text,
                type="button",
                classes="menu-item",
                v_if=(shown,),
                click=click,
                **attributes(role="menuitem"),
            )


def build_panes() -> None:
    """Build the views, axial and 3D above coronal and sagittal."""
    for name in (*SLICE_VIEWS[:1], THREE_D_VIEW, *SLICE_VIEWS[1:]):
        _build_pane(name)


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
                    **attributes(
                        aria_label=f"{title} slice",
                        aria_valuetext=(f"{name}_pane.spoken + ', ' + {name}_pane.position",),
                    ),
                )
                html.Span(
                    f"{{{{ volume_name ? {name}_pane.number + ' of ' + {name}_pane.count + ' · ' + {name}_pane.position"
                    " : '' }}",
                    classes="pane-position",
                )
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
            html.Div(
                classes="pane-picture",
                tabindex=0,
                **attributes(
                    data_stream=name,
                    role="application",
                    aria_roledescription="slice view" if name in SLICE_VIEWS else "3D view",
                    aria_label=_spoken(name),
                ),
            )
            if name in SLICE_VIEWS:
                for side in ("left", "right", "top", "bottom"):
                    html.Span(f"{{{{ volume_name ? {name}_pane.{side} : '' }}}}", classes=f"letter letter-{side}")


def _spoken(name: str) -> str | tuple[str]:
    """What a screen reader says of a view."""
    if name == THREE_D_VIEW:
        return "3D view of the pancreas surface"
    return (f"volume_name ? '{TITLES[name]} view, ' + {name}_pane.spoken : '{TITLES[name]} view, no CT is open'",)
