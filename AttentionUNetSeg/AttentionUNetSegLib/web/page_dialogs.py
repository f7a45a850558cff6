"""What opens over the page: the model's card, a choice between series or segments, a question, the help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from .page_attributes import attributes

_CLOSE = "Close"


@contextmanager
def _dialog(
    name: str, title: str, width: int, shown: dict[str, Any], buttons: Sequence[Callable[[], object]]
) -> Iterator[None]:
    """Make a context for what stands in a dialog, below its title and above its buttons.

    `shown` is Vuetify's `v_model` of a dialog that a person may close at will, or `model_value` of one that the state
    opens and only its buttons close.
    """
    persistent = {"persistent": True} if "model_value" in shown else {}
    with (
        vuetify.VDialog(max_width=width, scrollable=True, **shown, **persistent, **attributes(aria_label=name)),
        vuetify.VCard(classes="dialog"),
    ):
        vuetify.VCardTitle(title)
        with vuetify.VCardText():
            yield
        with vuetify.VCardActions():
            vuetify.VSpacer()
            for build in buttons:
                build()


def _button(text: str, click: Any, **values: Any) -> Callable[[], object]:
    return lambda: vuetify.VBtn(text, click=click, **values)


def _main_button(text: str, click: Any, **values: Any) -> Callable[[], object]:
    return _button(text, click, color="primary", variant="flat", **values)


def build_dialogs(server: Server) -> None:
    """Build all dialogs."""
    _build_card()
    _build_series(server)
    _build_start(server)
    _build_offered(server)
    _build_question(server)
    _build_help()


def _build_card() -> None:
    title = "{{ (models.find((each) => each.value === model) || {}).title }}"
    shown = {"v_model": ("show_card", False)}
    with _dialog("About the model", title, 640, shown, [_button(_CLOSE, "show_card = false")]):
        html.P("{{ model_note }}", classes="measured-line")
        with html.Div(v_for="section in model_card", key="section.title"):
            html.H3("{{ section.title }}", v_if=("section.title",))
            with html.Table(classes="measured", v_if=("section.head.length > 0",)):
                with html.Thead(), html.Tr():
                    html.Th("{{ cell }}", v_for="cell in section.head", key="cell", scope="col")
                with html.Tbody(), html.Tr(v_for="(row, index) in section.rows", key="index"):
                    html.Td("{{ cell }}", v_for="(cell, column) in row", key="column")
            html.P("{{ line }}", v_for="(line, index) in section.lines", key="index")


def _build_series(server: Server) -> None:
    shown = {"model_value": ("series.length > 0",)}
    none = _button("None of them", server.controller.forget_series)
    with (
        _dialog("Choose a series", "Which is the CT to segment?", 640, shown, [none]),
        vuetify.VBtn(
            v_for="each in series",
            key="each.value",
            block=True,
            classes="series",
            click=(server.controller.open_series, "[each.value]"),
        ),
    ):
        html.Span("{{ each.title }}", classes="series-title")
        html.Span("{{ detail }}", v_for="detail in each.details", key="detail", classes="small")


def _build_start(server: Server) -> None:
    shown = {"v_model": ("show_start", False)}
    with _dialog("Start from", "Start from a segmentation", 520, shown, [_button("Cancel", "show_start = false")]):
        html.P(
            "Correct what another tool or a colleague made, on any grid. Threshold, clicks, strokes and undo act on it "
            "as on the network's own result. A mask counts as certain from 3 mm inside and outside its border on."
        )
        with html.Div(classes="buttons"):
            for text, purpose in (("A segmentation file", "mask"), ("A probability file", "probability")):
                vuetify.VBtn(
                    text,
                    classes="file",
                    click=f"show_start = false; utils.get('attentionUNetSeg').chooseSegmentation('{purpose}')",
                )
        html.P("NIfTI, NRRD, MHA, .seg.nrrd or DICOM SEG", classes="small")
        with html.Div(v_if=("start_choices.length > 0",)):
            html.H3("In the scene")
            vuetify.VBtn(
                "{{ each.title }}",
                v_for="each in start_choices",
                key="each.value",
                block=True,
                classes="series",
                click=("show_start = false; trigger('start_from_node', [each.value])"),
            )


def _build_offered(server: Server) -> None:
    controller = server.controller
    shown = {"model_value": ("offered !== null",)}
    title = "{{ offered && offered.purpose === 'wall' ? 'Which are not to be entered?' : 'Which one to start from?' }}"
    buttons = [
        _button("None of them", controller.forget_offered),
        _main_button(
            "Do not enter these",
            (controller.use_offered, "[picked]"),
            v_if=("offered && offered.purpose === 'wall'",),
            disabled=("picked.length === 0",),
        ),
    ]
    with _dialog("Choose a segment", title, 480, shown, buttons):
        html.P("{{ offered ? offered.name : '' }}", classes="small")
        with html.Div(v_for="each in (offered ? offered.choices : [])", key="each.value"):
            vuetify.VCheckbox(
                v_if=("offered.purpose === 'wall'",),
                v_model=("picked",),
                value=("each.value",),
                label=("each.title",),
                classes="check",
            )
            vuetify.VBtn(
                "{{ each.title }}",
                v_else=True,
                block=True,
                classes="series",
                click=(controller.use_offered, "[[each.value]]"),
            )


def _build_question(server: Server) -> None:
    answer = server.controller.answer_question
    buttons = [
        _button("{{ question ? question.no : '' }}", (answer, "[false]"), autofocus=True),
        _main_button("{{ question ? question.yes : '' }}", (answer, "[true]")),
    ]
    shown = {"model_value": ("question !== null",)}
    with _dialog("Question", "{{ question ? question.title : '' }}", 480, shown, buttons):
        html.P("{{ question ? question.text : '' }}")


_HELP = (
    ("Arrow keys, wheel", "next slice, in the view under the mouse"),
    ("Page Up, Page Down", "ten slices further"),
    ("Home, End", "first and last slice"),
    ("Click (Browse)", "show this point in all views"),
    ("Drag (Browse)", "window and level; W brings them back"),
    ("Right drag, Shift + drag", "zoom, move; F shows everything again"),
    ("Shift + mouse", "the other views follow"),
    ("B A R P E", "Browse, Add, Remove, Paint, Erase"),
    ("1 2 3", "add and remove by click, lasso, box"),
    ("T", "strokes of the brush teach, or do not"),
    ("D M", "measure a distance, an area"),
    ("Drag a click's marker", "move the click; the segment follows"),
    ("Delete, right button", "remove the click under the mouse"),
    ("Ctrl+Z, Ctrl+Y", "undo, redo"),
    ("+ −", "threshold up, down"),
    ("O", "next overlay: probability, spread, one gate after the other"),
    ("C (held)", "see what there was before corrections"),
    ("S L", "hide or show the segment, the reference lines"),
    ("Ctrl+S", "accept: save the segment"),
    ("Escape", "close what is open, back to Browse"),
)


def _build_help() -> None:
    shown = {"v_model": ("show_help", False)}
    with (
        _dialog("Keys and mouse", "Keys and mouse", 560, shown, [_button(_CLOSE, "show_help = false")]),
        html.Dl(classes="help"),
    ):
        for keys, what in _HELP:
            html.Dt(keys)
            html.Dd(what)
