"""`correct --refine`: the network hears of the clicks, in a worker that lives for it alone."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress

from ..session import Event, Progressed, RefinementFailed, ResultEditor, Session, Warned
from .chosen_model import chosen_model
from .terminal import ProgressLine, Terminal

_SECONDS_BETWEEN_LOOKS = 0.2


def refine(
    editor: ResultEditor, options: Namespace, terminal: Terminal, line: ProgressLine, start: float, stop: float
) -> None:
    """Adapt the network to the editor's clicks and make that a part of the result.

    Progress is shown from `start` to `stop`.

    Raises
    ------
    AttentionUNetSegError : whatever makes it impossible; `BadModel` where the model that made the result is missing.
    """

    def show(event: Event) -> None:
        if isinstance(event, Progressed):
            line.show(start + event.fraction * (stop - start), event.stage)
        elif isinstance(event, Warned):
            terminal.note(event.text)
        elif isinstance(event, RefinementFailed):
            terminal.note(str(event.error))

    with Session(on_event=show) as session:
        with terminal.interrupts.deferred():
            package = None if options.model is None else chosen_model(options.model)
            job = session.refine(editor, package, options.device)
        done = None
        while done is None:
            with terminal.interrupts.deferred(), suppress(TimeoutError):
                done = session.wait(job, _SECONDS_BETWEEN_LOOKS)
