"""The buttons of the bars: with an icon, a name for screen readers, and a mark that keys and styles find them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify

from .page_attributes import attributes


def build_button(
    mark: str,
    icon: str,
    label: str,
    click: str | Callable[[], object],
    title: str = "",
    disabled: str = "false",
    pressed: str | None = None,
    text: str = "",
) -> None:
    """Build one button.

    Parameters
    ----------
    mark : what `static/keys.js` calls it.
    click : an expression, or what is called.
    disabled, pressed : expressions over the page's state; a button without `pressed` is no switch.
    text : beside the icon where there is room; an expression in double braces, or words.
    """
    state = {} if pressed is None else {"aria_pressed": (pressed,)}
    with html.Button(
        type="button",
        classes="tool" if pressed is None else (f"['tool', {pressed} ? 'chosen' : '']",),
        disabled=(disabled,),
        click=click,
        title=title or label,
        **attributes(aria_label=label, data_tool=mark, **state),
    ):
        vuetify.VIcon(icon, size=18)
        if text:
            html.Span(text, classes="wide-only")


@contextmanager
def radio_group(label: str, **values: str | tuple[str]) -> Iterator[None]:
    """Make a context for buttons of which one is chosen."""
    with html.Div(classes="tools", **values, **attributes(role="radiogroup", aria_label=label)):
        yield


def build_radio(state: str, value: str, icon: str, label: str, title: str, disabled: str, mark: str) -> None:
    """Build a button of a group: it sets the page's `state` to a value."""
    with html.Button(
        type="button",
        classes=(f"['tool', {state} === '{value}' ? 'chosen' : '']",),
        disabled=(disabled,),
        click=f"{state} = '{value}'",
        title=title,
        **attributes(
            role="radio",
            aria_checked=(f"{state} === '{value}'",),
            aria_label=label,
            data_tool=mark,
            tabindex=(f"{state} === '{value}' ? 0 : -1",),
        ),
    ):
        vuetify.VIcon(icon, size=18)
        html.Span(label)


def any_of(name: str, values: Iterable[str]) -> str:
    """Return the expression that a state has one of these values."""
    return f"{list(values)}.includes({name})"
