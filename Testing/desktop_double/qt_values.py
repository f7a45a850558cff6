"""Qt's small values (colours, icons, sizes, addresses, key sequences) and its namespaces of constants."""

from __future__ import annotations

from pathlib import Path

from .strict import Strict


class QIcon(Strict, listed_as="qt.QIcon"):
    """An icon of a file. Qt shows nothing for a missing file and says nothing; the double says so."""

    def __init__(self, path: str | None = None) -> None:
        super().__init__()
        if isinstance(path, QIcon):
            path = path._d.path
        if path is not None and not path.startswith(":") and not Path(path).is_file():
            raise FileNotFoundError(f"qt.QIcon: there is no file {path}.")
        self._d.path = path


class QSize(Strict, listed_as="qt.QSize"):
    """Width and height in pixels."""

    def __init__(self, width: int = -1, height: int = -1) -> None:
        super().__init__()
        self._d.size = (width, height)

    def width(self) -> int:
        return self._d.size[0]

    def height(self) -> int:
        return self._d.size[1]


class QKeySequence(Strict, listed_as="qt.QKeySequence"):
    """A key combination by its text."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._d.text = str(text)

    def toString(self) -> str:
        return self._d.text


class QUrl(Strict, listed_as="qt.QUrl"):
    """An address."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        if not isinstance(text, str):
            raise TypeError(f"qt.QUrl takes str, not {text!r}.")
        self._d.text = text

    @classmethod
    def fromLocalFile(cls, path: str) -> QUrl:
        if not isinstance(path, str):
            raise TypeError(f"qt.QUrl.fromLocalFile takes str, not {path!r}.")
        return cls(Path(path).absolute().as_uri())

    def toString(self) -> str:
        return self._d.text


opened_addresses: list[str] = []


class QDesktopServices(Strict, listed_as="qt.QDesktopServices"):
    """Notes what would have been opened in a browser or a file manager."""

    @staticmethod
    def openUrl(url: QUrl) -> bool:
        if not isinstance(url, QUrl):
            raise TypeError(f"qt.QDesktopServices.openUrl takes qt.QUrl, not {url!r}.")
        opened_addresses.append(url.toString())
        return True


class Qt:
    """The namespace `qt.Qt`. It is not in the list: these are documented in https://doc.qt.io/qt-6/qt.html."""

    PlainText, RichText = 0, 1
    TextSelectableByMouse, TextSelectableByKeyboard = 1, 2
    Vertical, WaitCursor = 2, 3
