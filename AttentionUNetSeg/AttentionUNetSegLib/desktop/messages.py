"""What happened and what to do, below the button that it concerns: one line a run, none erases another's."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from ..errors import AttentionUNetSegError

_LOG = logging.getLogger(__name__)


@dataclass
class Notice:
    """One message.

    Attributes
    ----------
    subject : what it is about; a newer notice of the same subject takes its place. None: the person's last action.
    is_error : whether it goes away as soon as an action of the person succeeds.
    retry : what Retry does; None without Retry.
    has_details : whether the log is offered.
    folder : a job folder that was kept. The notice stays until somebody has opened or deleted it.
    action : a label and what the button of this label does; None without.
    node : the notice is gone when this node has left its scene.
    """

    text: str
    subject: object = None
    is_error: bool = False
    retry: Callable[[], None] | None = None
    has_details: bool = False
    folder: Path | None = None
    action: tuple[str, Callable[[], None]] | None = None
    node: Any = None


class Messages:
    """Shows notices, the newest first. Nothing pops up and nothing blocks.

    Parameters
    ----------
    on_folder_deleted : called when a folder that was kept of a failed run is gone.
    """

    def __init__(self, ui: Any, on_folder_deleted: Callable[[], None]) -> None:
        self._ui, self._on_folder_deleted = ui, on_folder_deleted
        self._notices: list[Notice] = []  # newest first
        self._shown = 0
        ui.retryButton.clicked.connect(self._on_retry)
        ui.detailsButton.clicked.connect(self._on_details)
        ui.folderButton.clicked.connect(self._on_folder)
        ui.deleteFolderButton.clicked.connect(self._on_delete_folder)
        ui.actionButton.clicked.connect(self._on_action)
        ui.nextMessageButton.clicked.connect(self._on_next)
        ui.dismissButton.clicked.connect(self._on_dismiss)
        self._update()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Everything that is not dealt with yet, the newest first."""
        return tuple(self._notices)

    def show(self, text: str, **options: Any) -> None:
        """Show a text; the options are the fields of `Notice`."""
        notice = Notice(text, **options)
        self._notices = [notice, *(each for each in self._notices if not _is_replaced(each, notice))]
        self._shown = 0
        self._update()

    def report(self, error: Exception, retry: Callable[[], None] | None = None, **options: Any) -> None:
        """Show an error; the options are those of a notice. What nobody foresaw goes into the log as well."""
        if not isinstance(error, AttentionUNetSegError):
            _LOG.error("Unexpected error", exc_info=error)
            options["has_details"] = True
            self._ui.logText.appendPlainText(f"{type(error).__name__}: {error}")
        text = str(error) or type(error).__name__
        self.show(text, retry=retry, is_error=True, **options)

    @contextmanager
    def errors(self, is_action: bool = True, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Show what goes wrong inside, instead of letting it vanish in Qt's event loop; `but` these pass through.

        Where nothing does and it `is_action`, something that a person did, an earlier error is over.
        """
        try:
            yield
        except but:
            raise
        except Exception as error:
            self.report(error)
        else:
            if is_action:
                self.drop_errors()

    def clear(self, subject: object = None) -> None:
        """Drop what is said about a subject (default: the last action), unless a folder was kept."""
        self._keep(lambda notice: notice.subject != subject or notice.folder is not None)

    def clear_all(self) -> None:
        """Drop everything but what was kept on the disk."""
        self._keep(lambda notice: notice.folder is not None)

    def drop_errors(self) -> None:
        """An action of the person has succeeded: what went wrong with an earlier one is over."""
        self._keep(lambda notice: notice.subject is not None or not notice.is_error)

    def drop_gone(self) -> None:
        """Drop what is about nodes that have left their scene."""
        self._keep(lambda notice: notice.node is None or notice.node.GetScene() is not None)

    def drop_folders(self) -> None:
        """Drop what is about kept folders that are no longer there."""
        self._keep(lambda notice: notice.folder is None or notice.folder.exists())

    # --- What the person does ---

    def _on_retry(self) -> None:
        notice = self._take_shown()
        if notice is not None and notice.retry is not None:
            notice.retry()

    def _on_action(self) -> None:
        notice = self._take_shown()
        if notice is not None and notice.action is not None:
            with self.errors(is_action=False):
                notice.action[1]()

    def _on_details(self) -> None:
        self._ui.advancedCollapsibleButton.collapsed = False
        self._ui.logText.setFocus()

    def _on_folder(self) -> None:
        notice = self._notices[self._shown]
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(notice.folder)))
        self._ui.dismissButton.visible = True  # it was dealt with

    def _on_delete_folder(self) -> None:
        notice = self._notices[self._shown]
        if notice.folder is None:
            return
        shutil.rmtree(notice.folder, ignore_errors=True)
        if notice.folder.exists():
            self.show(_("The folder {path} could not be deleted.").format(path=notice.folder), is_error=True)
            return
        self._notices.remove(notice)
        self._shown = 0
        self._update()
        self._on_folder_deleted()

    def _on_next(self) -> None:
        self._shown = (self._shown + 1) % len(self._notices)
        self._update()

    def _on_dismiss(self) -> None:
        self._take_shown(even_with_folder=True)

    # --- helpers ---

    def _take_shown(self, even_with_folder: bool = False) -> Notice | None:
        """Return the shown notice, which goes away unless a folder was kept."""
        if not self._notices:
            return None
        notice = self._notices[self._shown]
        if notice.folder is None or even_with_folder:
            self._notices.remove(notice)
            self._shown = 0
            self._update()
        return notice

    def _keep(self, is_kept: Callable[[Notice], bool]) -> None:
        kept = [notice for notice in self._notices if is_kept(notice)]
        if len(kept) != len(self._notices):
            self._notices, self._shown = kept, 0
            self._update()

    def _update(self) -> None:
        ui = self._ui
        ui.messageWidget.visible = bool(self._notices)
        if not self._notices:
            ui.messageLabel.text = ""
            return
        notice = self._notices[self._shown]
        ui.messageLabel.text = notice.text
        ui.retryButton.visible = notice.retry is not None
        ui.detailsButton.visible = notice.has_details
        ui.folderButton.visible = ui.deleteFolderButton.visible = notice.folder is not None
        ui.actionButton.visible = notice.action is not None
        ui.actionButton.text = notice.action[0] if notice.action is not None else ""
        ui.nextMessageButton.visible = len(self._notices) > 1
        ui.nextMessageButton.text = _("{number} of {count}").format(number=self._shown + 1, count=len(self._notices))
        ui.dismissButton.visible = notice.folder is None


def _is_replaced(old: Notice, new: Notice) -> bool:
    return old.subject == new.subject and old.folder is None
