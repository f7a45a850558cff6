"""A server of the page in a process of its own, a real browser, and a page with a segmented phantom in it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from AttentionUNetSegLib.models import Catalogue
from AttentionUNetSegLib.phantom import make_phantom, write_phantom
from phantom_package import PHANTOM_MODEL, PHANTOM_MODEL_ID
from PIL import Image

CHROMIUM_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A run of 8 passes took 19 s on a processor without AVX-512, and 45 were too few beside three other tests.
PATIENCE_SECONDS = float(os.environ.get("ATTENTIONUNETSEG_PATIENCE", "120"))


@pytest.fixture(scope="session")
def small_ct(tmp_path_factory) -> Path:
    """A coarse phantom as a file: opened at once, segmented in a second or two."""
    folder = tmp_path_factory.mktemp("ct")
    write_phantom(make_phantom(3, (2.5, 2.5, 4.0)), folder / "abdomen.nrrd", folder / "abdomen_label.nrrd")
    return folder / "abdomen.nrrd"


class Server:
    """A running `attention-unet-seg serve`: its address, its process and its private temporary folder."""

    def __init__(self, process: subprocess.Popen, url: str, temporary: Path) -> None:
        self.process = process
        self.url = url
        self.temporary = temporary

    @property
    def origin(self) -> str:
        return self.url.split("/?")[0]

    @property
    def token(self) -> str:
        return self.url.split("token=")[1]

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Let it take in nothing, as where it is busy: what a person does meanwhile reaches it all at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_server(temporary: Path, *arguments: object, model: str = PHANTOM_MODEL_ID) -> Iterator[Server]:
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "PYTHONFAULTHANDLER": "1",
        "ATTENTIONUNETSEG_MODELS": str(temporary / "models"),
        "ATTENTIONUNETSEG_KEPT": str(temporary / "kept"),
    }
    # Without another one, the page begins with the model that finds something in phantoms, whatever else is installed.
    Catalogue(user=temporary / "models").add(PHANTOM_MODEL)
    command = [sys.executable, "-m", "AttentionUNetSegLib.cli", "serve", "--no-browser", "--json", "--verbose"]
    command += ["--model", model]
    with open(temporary / "server.log", "w") as log:
        process = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
    try:
        answer = ""
        while not answer.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                pytest.fail(f"the server did not start: {(temporary / 'server.log').read_text()}")
            answer += line
        yield Server(process, json.loads(answer)["url"], temporary)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            pytest.fail("the server did not end within 30 s of being asked to")


@pytest.fixture
def start_server(tmp_path) -> Iterator[Callable[..., Server]]:
    """Starts servers that are ended with the test; their temporary files go to `tmp_path`."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(running_server(tmp_path, *arguments))


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install '.[test]'")
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        pytest.skip("no Chromium here, so the page cannot be tried: on Debian, apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


class Page:
    """A tab on the tool."""

    def __init__(self, browser, server: Server) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.requested: list[str] = []
        self.faults: list[str] = []
        self.tab.on("request", lambda request: self.requested.append(request.url))
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        self.tab.goto(server.url)
        self.tab.get_by_role("button", name="Phantom", exact=True).wait_for()

    def state(self, name: str):
        return self.tab.evaluate("name => window.trame.state.get(name)", name)

    def wait(self, condition: str, patience: float = 1.0) -> None:
        """Wait for a JavaScript expression over `state(name)` to become true, `patience` times as long as usual."""
        self.tab.wait_for_function(
            f"() => {{ const state = (n) => window.trame.state.get(n); return {condition}; }}",
            timeout=patience * PATIENCE_SECONDS * 1000,
        )

    def button(self, name: str):
        return self.tab.get_by_role("button", name=name, exact=True)

    def tool(self, name: str) -> None:
        self.tab.get_by_role("radio", name=name, exact=True).click()
        self.wait(f"state('tool') === '{name.lower()}'")

    def set_slider(self, name: str, value: float) -> None:
        """Move a slider as its keys do, one step at a time, until it shows the value."""
        thumb = self.tab.get_by_role("slider", name=name, exact=True)
        thumb.focus()
        while abs((now := float(thumb.get_attribute("aria-valuenow"))) - value) > 1e-6:
            thumb.press("ArrowRight" if now < value else "ArrowLeft")
            assert float(thumb.get_attribute("aria-valuenow")) != now, "the slider does not move"

    def choose(self, label: str, option: str) -> None:
        """Choose an entry of a drop-down list."""
        self.tab.get_by_role("combobox", name=re.compile(rf"^{re.escape(label)}(\s|$)")).press("Enter")
        self.tab.get_by_role("option", name=option, exact=True).click()

    def save(self, name: str, path: Path) -> str:
        """Press a link of the section Save, keep the file, and return the name that it came under."""
        with self.tab.expect_download() as download:
            self.tab.get_by_role("link", name=name, exact=True).click()
        download.value.save_as(path)
        return download.value.suggested_filename

    def on_screen(self, *positions, view: str = "Red") -> list[tuple[float, float]]:
        """Where world positions (RAS, mm) lie in a slice view, in pixels of the window."""
        self.resting_picture(view)
        shown = self.tab.evaluate("name => window.attentionUNetSegPanes.panes[name].shown", view)
        from_ras = np.linalg.inv(np.reshape(shown["matrix"], (4, 4)))
        box = self.view(view).bounding_box()
        places = [(from_ras @ [*ras, 1.0])[:2] for ras in positions]
        return [(box["x"] + x + 0.5, box["y"] + shown["height"] - y - 0.5) for x, y in places]

    def view(self, name: str):
        return self.tab.locator(f"[data-view={name}]")

    def settle(self) -> None:
        """Wait until the server has done what was done in the page, however long that takes it."""
        self.tab.evaluate("window.trame.trigger('settled')")

    def picture(self, name: str) -> np.ndarray:
        """The pixels of a view now: rows, columns, RGB."""
        return np.asarray(Image.open(io.BytesIO(self.view(name).screenshot())).convert("RGB")).astype(int)

    def resting_picture(self, name: str, is_asked_for: bool = True) -> np.ndarray:
        """The pixels of a view when they have come to rest: the exact picture has come, and no other for a while.

        Where the machine is busy, what was done may not have been drawn yet when the last picture has been there for a
        while: a new one is asked for, unless the test looks at what is drawn unasked.
        """
        self.settle()
        self.tab.evaluate(
            """([name, isAskedFor]) => {
                const pane = window.attentionUNetSegPanes.panes[name];
                window.restOf = { number: null, since: 0, after: isAskedFor ? pane.shown?.number || 0 : 0 };
                if (isAskedFor) {
                    pane.tellSize();
                }
            }""",
            [name, is_asked_for],
        )
        self.tab.wait_for_function(
            """name => {
                const shown = window.attentionUNetSegPanes.panes[name].shown;
                const isNew = shown && shown.number > window.restOf.after && shown.type === "image/png";
                if (!isNew || shown.number !== window.restOf.number) {
                    Object.assign(window.restOf, { number: shown && shown.number, since: performance.now() });
                }
                return performance.now() - window.restOf.since > 400;
            }""",
            arg=name,
        )
        return self.picture(name)

    def wait_for_picture(self, name: str, is_as_expected: Callable[[np.ndarray], bool]) -> np.ndarray:
        """The pixels of a view as soon as they are as expected; drawing and sending them takes its time."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            now = self.picture(name)
            if is_as_expected(now):
                return now
            self.tab.wait_for_timeout(150)
        pytest.fail(f"the view {name} never looked as expected")

    def volume(self) -> float:
        """The segment's volume in mL once it has come to rest, as the page holds it."""
        self.wait("state('volume_ml') !== null")
        self.settle()
        before = None
        while (now := self.state("volume_ml")) != before:
            before = now
            self.tab.wait_for_timeout(400)
        return now


@pytest.fixture(scope="module")
def server(tmp_path_factory, small_ct) -> Iterator[Server]:
    """One server for a module's tests, with the small phantom open."""
    with running_server(tmp_path_factory.mktemp("server"), small_ct) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, server) -> Iterator[Page]:
    """One tab for a module's tests; no script in it may fail."""
    page = Page(browser, server)
    page.wait("state('volume_name') !== '' && state('opening') === ''")
    yield page
    faults = page.faults
    page.context.close()
    assert faults == []
