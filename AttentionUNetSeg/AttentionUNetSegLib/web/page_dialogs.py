"""What opens over the page: the model's card, the choice between series, a question, the help."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from .page_attributes import attributes


def build_dialogs(server: Server) -> None:
    """Build what opens over the page: the model's card, and the choice between the series of a DICOM folder."""
    with (
        vuetify.VDialog(
            v_model=("show_card", False), max_width=640, scrollable=True, **attributes(aria_label="About the model")
        ),
        vuetify.VCard(classes="dialog"),
    ):
        vuetify.VCardTitle("{{ (models.find((each) => each.value === model) || {}).title }}")
        with vuetify.VCardText():
            html.P("{{ model_note }}", classes="measured-line")
            with html.Table(classes="measured", v_if=("model_table.length > 0",)):
                with html.Thead(), html.Tr():
                    for title in ("Metric", "Mean", "n", "Against"):
                        html.Th(title, scope="col")
                with html.Tbody(), html.Tr(v_for="(row, index) in model_table", key="index", title=("row.data",)):
                    for column in ("metric", "mean", "n", "against"):
                        html.Td(f"{{{{ row.{column} }}}}")
            with html.Div(v_for="section in model_card", key="section.title"):
                html.H3("{{ section.title }}", v_if=("section.title",))
                html.P("{{ line }}", v_for="line in section.lines", key="line")
        with vuetify.VCardActions():
            vuetify.VSpacer()
            vuetify.VBtn("Close", click="show_card = false")
    with (
        vuetify.VDialog(
            model_value=("series.length > 0",),
            max_width=640,
            persistent=True,
            **attributes(aria_label="Choose a series"),
        ),
        vuetify.VCard(classes="dialog"),
    ):
        vuetify.VCardTitle("Which is the CT to segment?")
        with vuetify.VCardText(), vuetify.VBtn(
            v_for="each in series",
            key="each.value",
            block=True,
            classes="series",
            click=(server.controller.open_series, "[each.value]"),
        ):
            html.Span("{{ each.title }}", classes="series-title")
            html.Span("{{ detail }}", v_for="detail in each.details", key="detail", classes="small")
        with vuetify.VCardActions():
            vuetify.VSpacer()
            vuetify.VBtn("None of them", click=server.controller.forget_series)
    _build_question(server)
    _build_help()


def _build_question(server: Server) -> None:
    answer = server.controller.answer_question
    with (
        vuetify.VDialog(
            model_value=("question !== null",),
            max_width=480,
            persistent=True,
            **attributes(aria_label="Question"),
        ),
        vuetify.VCard(classes="dialog"),
    ):
        vuetify.VCardTitle("{{ question ? question.title : '' }}")
        with vuetify.VCardText():
            html.P("{{ question ? question.text : '' }}")
        with vuetify.VCardActions():
            vuetify.VSpacer()
            vuetify.VBtn("{{ question ? question.no : '' }}", click=(answer, "[false]"), autofocus=True)
            vuetify.VBtn(
                "{{ question ? question.yes : '' }}", click=(answer, "[true]"), color="primary", variant="flat"
            )


_HELP = (
    ("Arrow keys, wheel", "next slice, in the view under the mouse"),
    ("Page Up, Page Down", "ten slices further"),
    ("Home, End", "first and last slice"),
    ("Click (Browse)", "show this point in all views"),
    ("Drag (Browse)", "window and level; W brings them back"),
    ("Right drag, Shift + drag", "zoom, move; F shows everything again"),
    ("Shift + mouse", "the other views follow"),
    ("B A R P E", "Browse, Add, Remove, Paint, Erase"),
    ("D M", "measure a distance, an area"),
    ("Drag a click's marker", "move the click; the segment follows"),
    ("Delete, right button", "remove the click under the mouse"),
    ("Ctrl+Z, Ctrl+Y", "undo, redo"),
    ("C (held)", "see the network's own answer, before corrections"),
    ("S L", "show the segment, the reference lines"),
    ("Escape", "close what is open, back to Browse"),
)


def _build_help() -> None:
    with (
        vuetify.VDialog(v_model=("show_help", False), max_width=560, **attributes(aria_label="Keys and mouse")),
        vuetify.VCard(classes="dialog"),
    ):
        vuetify.VCardTitle("Keys and mouse")
        with vuetify.VCardText(), html.Dl(classes="help"):
            for keys, what in _HELP:
                html.Dt(keys)
                html.Dd(what)
        with vuetify.VCardActions():
            vuetify.VSpacer()
            vuetify.VBtn("Close", click="show_help = false")
