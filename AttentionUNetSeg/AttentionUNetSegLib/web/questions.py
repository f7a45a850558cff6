"""Questions that the page asks before it does what cannot be taken back."""

from __future__ import annotations

from collections.abc import Callable

from .workspace import Workspace


class Questions:
    """One question at a time; a newer one takes the place of an older one, which counts as declined.

    State: `question`, a dict (title, text, yes, no) or None.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._on_yes: Callable[[], object] = lambda: None
        self._on_no: Callable[[], object] = lambda: None
        workspace.server.state.question = None
        workspace.server.controller.add("answer_question")(self.answer)

    def ask(
        self,
        title: str,
        text: str,
        yes: str,
        on_yes: Callable[[], object],
        no: str = "Cancel",
        on_no: Callable[[], object] = lambda: None,
    ) -> None:
        """Ask; `on_yes` or `on_no` is called with the answer."""
        self.answer(False)
        self._on_yes, self._on_no = on_yes, on_no
        self._workspace.show(question={"title": title, "text": text, "yes": yes, "no": no})

    def ask_before_losing(
        self, what: str, do: Callable[[], object], on_no: Callable[[], object] = lambda: None
    ) -> None:
        """Do something that ends the present result; ask first where it was corrected and not saved since."""
        if not self._workspace.server.state.unsaved:
            do()
            return
        self.ask(
            f"{what} and lose the corrections?",
            "This result was corrected and not saved since. It cannot be brought back.",
            what,
            do,
            no="Keep the result",
            on_no=on_no,
        )

    def answer(self, is_yes: bool) -> None:
        """Take the person's answer."""
        if self._workspace.server.state.question is not None:
            self._workspace.show(question=None)
            with self._workspace.reporting():
                (self._on_yes if is_yes else self._on_no)()
