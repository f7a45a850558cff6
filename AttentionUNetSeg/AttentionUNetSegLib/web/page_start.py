"""What lies over the views: the first screen, what is going on while a CT is opened, and sentences to the person."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from .page_attributes import attributes


def build_start(server: Server) -> None:
    """Build what a person sees before there is a CT, and while one is being opened."""
    browse = "utils.get('attentionUNetSeg').choose()"
    with html.Div(classes="start", v_if=("!volume_name || opening || upload_fraction > 0",)):
        with html.Div(classes="start-card", v_if=("!opening && upload_fraction === 0",)):
            html.H1("Segment the pancreas on an abdominal CT")
            with html.Ol(classes="steps"):
                for what, how in (
                    ("Open a CT.", "A file, or a DICOM folder."),
                    ("Press Segment Pancreas.", "The network runs on this computer."),
                    ("Check and correct.", "Threshold, clicks and brush; then save."),
                ):
                    with html.Li():
                        html.B(what)
                        html.Span(f" {how}")
            with html.Div(classes="kept", v_if=("kept",), **attributes(role="region", aria_label="Kept session")):
                html.P("An earlier session was kept: {{ kept.name }}, {{ kept.text }}, {{ kept.when }}.")
                with html.Div(classes="drop-buttons"):
                    vuetify.VBtn("Go on with it", color="primary", variant="flat", click=server.controller.open_kept)
                    vuetify.VBtn("Discard it", click=server.controller.discard_kept)
            with html.Div(classes="drop"):
                vuetify.VIcon("mdi-tray-arrow-down", size=30, color="secondary")
                html.P("Drop a CT here")
                with html.Div(classes="drop-buttons"):
                    vuetify.VBtn("Choose a file", color="primary", variant="flat", click=browse)
                    vuetify.VBtn("Choose a folder", click="utils.get('attentionUNetSeg').chooseFolder()")
                    vuetify.VBtn("Use a phantom", click=server.controller.open_phantom)
                html.P("NIfTI, NRRD, MHA, a DICOM folder or a .zip, up to {{ upload_limit_mb }} MB", classes="small")
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
            vuetify.VBtn(
                "Cancel",
                classes="busy-cancel",
                click="utils.get('attentionUNetSeg').stopSending(); trigger('cancel_opening')",
            )


def build_notices(server: Server) -> None:
    """Build the sentences of errors and warnings, above the views, so that they hide nothing of the pictures."""
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
