"""What happened and what to do, below the button that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .panel import Panel


class Message:
    """One message at a time, with Retry where trying again makes sense. Nothing pops up and nothing blocks."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._retry: Callable[[], None] | None = None
        self._ui.retryButton.clicked.connect(self._on_retry)
        self._ui.detailsButton.clicked.connect(self._on_details)
        self.clear()

    def show(self, text: str, retry: Callable[[], None] | None = None, has_details: bool = False) -> None:
        """Show a text; Retry calls `retry`, and `has_details` offers the log."""
        self._retry = retry
        self._ui.messageLabel.text = text
        self._ui.retryButton.visible = retry is not None
        self._ui.detailsButton.visible = has_details
        self._ui.messageWidget.visible = True

    def clear(self) -> None:
        """Show nothing."""
        self._retry = None
        self._ui.messageLabel.text = ""
        self._ui.messageWidget.visible = False

    def _on_retry(self) -> None:
        retry = self._retry
        self.clear()
        if retry is not None:
            retry()

    def _on_details(self) -> None:
        self._ui.advancedCollapsibleButton.collapsed = False
        self._ui.logText.setFocus()
