"""The process behind the page: it listens, lets in who may come in, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from trame_server import Server
from wslink.websocket import LinkProtocol

from ..errors import BadInput
from ..models import Catalogue
from ..temporary_folder import make_folder
from .access import Access, check_host_and_token, is_loopback, new_token
from .application import Application
from .uploads import DEFAULT_LIMIT_MB

# A reload of the page takes less.
_SHORTEST_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class ServeOptions:
    """How to serve.

    Attributes
    ----------
    path : a CT to open at the start: file or DICOM folder; `series` chooses in a folder that holds several.
    model : id of the model to begin with; None: the catalogue's default.
    host, port : where to listen; port 0: any free one.
    token : what the address ends with; None makes a random one, allowed on loopback only.
    upload_limit_mb : the largest upload.
    linger_seconds : how long to go on after the last page was closed; None: until interrupted.
    """

    path: Path | None = None
    series: str | None = None
    model: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    upload_limit_mb: int = DEFAULT_LIMIT_MB
    linger_seconds: float | None = 600.0


def serve(options: ServeOptions, on_ready: Callable[[str], None], catalogue: Catalogue | None = None) -> None:
    """Serve the page until it is closed for good or the process is asked to end.

    Parameters
    ----------
    on_ready : called with the whole address of the page, token included, once it can be opened.

    Raises
    ------
    BadInput : the options are unsafe or cannot be followed.
    BadModel : there is no such model.
    """
    check_host_and_token(options.host, options.token)
    if options.path is not None and not options.path.exists():
        raise BadInput(f"There is no file or folder {options.path}.")
    if not 0 <= options.port <= 65535:
        raise BadInput(f"There is no port {options.port}.", "Use 1 to 65535, or leave --port out for any free one.")
    if options.upload_limit_mb <= 0:
        raise BadInput(f"The upload limit must be above 0 MB, not {options.upload_limit_mb}.")
    if options.model is not None:
        (catalogue or Catalogue()).get(options.model)
    folder = make_folder("page")
    try:
        asyncio.run(_serve(options, on_ready, catalogue, folder))
    except OSError as error:
        raise BadInput(
            f"The page cannot be served at {options.host} port {options.port} ({error.strerror or error}).",
            "Choose another with --port.",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _serve(
    options: ServeOptions, on_ready: Callable[[str], None], catalogue: Catalogue | None, folder: Path
) -> None:
    token = options.token or new_token()
    server = Server("AttentionUNetSeg")
    server.client_type = "vue3"
    application = Application(server, folder, options.upload_limit_mb, catalogue, options.model)
    ending = asyncio.Event()
    presence = _Presence(options.linger_seconds, ending.set)
    for each in (presence, application.workspace.views.protocol):
        server.add_protocol_to_configure(lambda protocol, each=each: protocol.registerLinkProtocol(each))

    websocket_secret = new_token()

    async def tell_where(request: web.Request) -> web.Response:
        """Answer the page's question how to reach the websocket: only who passed the gate learns its secret."""
        return web.json_response({"sessionURL": "ws://USE_HOST/ws", "secret": websocket_secret})

    def bind(web_server: Any) -> None:
        Access(token, options.host).protect(web_server.app)
        for handler in web_server._ws_handlers:  # there is no public way to what it says of an error
            _keep_details_back(handler)
        web_server.app.router.add_post("/paraview/", tell_where)
        web_server.app.router.add_post("/upload", application.uploads.receive)
        web_server.app.router.add_get("/download/{what}", application.downloads.send)

    server.controller.add("on_server_bind")(bind)
    # Otherwise trame would take our own command line for its own.
    os.environ["TRAME_ARGS"] = f"--authKey={websocket_secret}"
    serving = asyncio.ensure_future(
        server.start(
            host=options.host,
            port=options.port,
            exec_mode="coroutine",
            thread=True,  # trame's word for: leave the signals alone
            open_browser=False,
            show_connection_info=False,
            disable_logging=True,
            timeout=0,  # otherwise wslink ends after five minutes without a page
        )
    )
    del os.environ["TRAME_ARGS"]  # no other process shall inherit it
    stopping = asyncio.ensure_future(ending.wait())
    try:
        _end_on_signals(ending)
        ready = asyncio.ensure_future(_wait_until_ready(server))
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            ready.cancel()
            serving.result()
        on_ready(_address(options.host, server.port, token))
        application.start(options.path, options.series)
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await application.close()
        stopping.cancel()
        if not serving.done():
            await server.stop()
        with suppress(asyncio.CancelledError):
            await serving


async def _wait_until_ready(server: Server) -> None:
    await server.ready


def _keep_details_back(handler: Any) -> None:
    """Make the websocket's handler say that something failed, not where: tracebacks are for the log."""
    send = handler.sendWrappedError

    async def send_without_details(rpc: str, code: int, message: str, data: Any = None, client_id: Any = None) -> None:
        await send(rpc, code, message, None, client_id)

    handler.sendWrappedError = send_without_details


def _end_on_signals(ending: asyncio.Event) -> None:
    """End in good order when asked to; where the loop cannot do that (Windows), KeyboardInterrupt ends it."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            with suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), ending.set)


def _address(host: str, port: int, token: str) -> str:
    shown = "127.0.0.1" if is_loopback(host) and host != "::1" else host
    shown = f"[{shown.strip('[]')}]" if ":" in shown else shown
    return f"http://{shown}:{port}/?token={token}"


class _Presence(LinkProtocol):
    """Notices when the last page has gone, and did not come back."""

    def __init__(self, linger_seconds: float | None, on_gone: Callable[[], None]) -> None:
        super().__init__()
        self._linger = None if linger_seconds is None else max(linger_seconds, _SHORTEST_WAIT_SECONDS)
        self._on_gone = on_gone
        self._pages: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def onConnect(self, request: Any, client_id: str) -> None:  # noqa: N802 (wslink's name)
        """Called by wslink with every page that comes."""
        self._pages.add(client_id)
        if self._timer is not None:
            self._timer.cancel()

    def onClose(self, client_id: str) -> None:  # noqa: N802 (wslink's name)
        """Called by wslink with every page that goes."""
        self._pages.discard(client_id)
        if not self._pages and self._linger is not None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._on_gone)
