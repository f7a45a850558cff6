"""`attention-unet-seg serve`: the tool in a browser, on this machine."""

from __future__ import annotations

import html
import os
import shutil
import sys
import threading
import webbrowser
from argparse import Namespace
from pathlib import Path

from ..errors import InternalError
from ..temporary_folder import make_folder
from .terminal import Terminal


def run(options: Namespace, terminal: Terminal) -> None:
    """Serve the page until its last tab is closed or Ctrl-C, and print its address.

    Raises
    ------
    BadInput : no such CT, or the page would be open to others without a token.
    InternalError : trame-slicer is not installed.
    """
    try:
        from ..web import ServeOptions, serve
    except ModuleNotFoundError as error:
        raise InternalError(
            f"The page cannot be served: the Python module {error.name} is not installed.",
            "Install it with: pip install 'attention-unet-seg[standalone]'.",
        ) from error

    folder = make_folder("open")

    def on_ready(address: str) -> None:
        ending = "Ctrl-C ends it." if options.stay else "It ends when the last tab is closed, or with Ctrl-C."
        terminal.answer({"url": address}, f"Open {address}\n{ending}")
        if not options.no_browser and _has_display():
            # Some browsers return only when they are closed.
            place = write_redirection(folder, address).as_uri()
            threading.Thread(target=webbrowser.open, args=(place,), daemon=True).start()

    try:
        serve(
            ServeOptions(
                path=options.input,
                series=options.series,
                model=options.model,
                host=options.host,
                port=options.port,
                token=options.token,
                upload_limit_mb=options.upload_limit,
                linger_seconds=None if options.stay else options.linger,
            ),
            on_ready,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_redirection(folder: Path, address: str) -> Path:
    """Write a page that leads to an address, and return it.

    Every user of the machine can read a browser's command line, and the address ends with the token; the file is for
    its owner alone.
    """
    path = folder / "open.html"
    shown = html.escape(address, quote=True)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html><meta charset="utf-8"><title>AttentionUNetSeg</title>'
            f'<meta http-equiv="refresh" content="0;url={shown}"><a href="{shown}">Open AttentionUNetSeg</a>\n'
        )
    return path


def _has_display() -> bool:
    """Whether a browser that opens would be seen; otherwise a text browser could take over the terminal."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
