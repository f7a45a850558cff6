"""Dialogs: nobody is there to answer, so each must be foreseen by the test that opens it."""

from __future__ import annotations

from collections import deque
from enum import IntFlag
from typing import Any

from .qt_objects import QObject
from .qt_widgets import QWidget
from .signals import Signal
from .strict import Property, setter


class Answers:
    """What the person will answer to the next dialogs, and what they were shown."""

    def __init__(self) -> None:
        self._prepared: deque[Any] = deque()
        self.shown: list[str] = []

    def prepare(self, *answers: Any) -> None:
        """Answer the next dialogs so: a button of a message box, or the path(s) that a file dialog returns."""
        self._prepared.extend(answers)

    def take(self, text: str) -> Any:
        """Return the next answer.

        Raises
        ------
        AssertionError : a dialog opened that no test expected; a person's Slicer would stand still.
        """
        self.shown.append(text)
        if not self._prepared:
            raise AssertionError(f"A dialog opened that nobody expected: {text}")
        return self._prepared.popleft()

    def clear(self) -> None:
        """Forget everything; raise if an answer was not asked for."""
        left, self._prepared, self.shown = list(self._prepared), deque(), []
        assert not left, f"The dialogs that should have been answered by {left} never opened."


answers = Answers()


class StandardButton(IntFlag):
    """QMessageBox::StandardButton; values of https://doc.qt.io/qt-6/qmessagebox.html."""

    NoButton, Ok, Yes, No, Retry, Close, Cancel = 0, 0x400, 0x4000, 0x10000, 0x80000, 0x200000, 0x400000


class QMessageBox(QWidget, listed_as="qt.QMessageBox"):
    """A message with buttons."""

    StandardButton = StandardButton
    NoButton, Ok, Yes, No = (StandardButton[name] for name in ("NoButton", "Ok", "Yes", "No"))
    Retry, Close, Cancel = (StandardButton[name] for name in ("Retry", "Close", "Cancel"))
    Information, Warning, Critical, Question = range(1, 5)

    text = Property("")
    informativeText = Property("")
    detailedText = Property("")
    icon = Property(0)
    standardButtons = Property(StandardButton.NoButton, int)
    finished = Signal("finished(int)")
    setText, setIcon, setStandardButtons = setter("text"), setter("icon"), setter("standardButtons")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.clicked = None
        self._d.buttons = []
        self._d.is_modal = False

    def setModal(self, is_modal: bool) -> None:
        self._d.is_modal = bool(is_modal)

    @property
    def modal(self) -> bool:
        return self._d.is_modal

    def exec_(self) -> int:
        answer = self._answer()
        if isinstance(answer, str):  # the text of a button of our own
            self._d.clicked = next(button for button in self._d.buttons if button.text == answer)
            answer = self._d.buttons.index(self._d.clicked)
        self.finished.emit(int(answer))
        return answer

    exec = exec_

    def _answer(self) -> Any:
        return answers.take(f"{self.windowTitle}: {self.text}\n{self.informativeText}".strip())

    @staticmethod
    def question(parent: Any, title: str, text: str, *buttons: Any) -> Any:
        return answers.take(f"{title}: {text}")

    information = warning = critical = question


class QFileDialog(QWidget, listed_as="qt.QFileDialog"):
    """File dialogs; the answer is what the person chose, "" for Cancel."""

    @staticmethod
    def getOpenFileName(parent: Any = None, caption: str = "", folder: str = "", filter: str = "") -> str:
        return answers.take(caption)

    @staticmethod
    def getExistingDirectory(parent: Any = None, caption: str = "", folder: str = "", options: Any = None) -> str:
        return answers.take(caption)
