"""`make screenshots`: the page as a person sees it, from the first screen to a corrected result.

Run as `python Testing/web/take_screenshots.py FOLDER`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from AttentionUNetSegLib.phantom import make_phantom, write_phantom
from conftest import CHROMIUM_OPTIONS, Page, running_server
from PIL import Image
from playwright.sync_api import sync_playwright
from test_page import _outline

MODEL = "pancreas-ct"  # what a person has who installs the tool
SMALL, LARGE = {"width": 1280, "height": 800}, {"width": 1600, "height": 900}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        with running_server(Path(temporary), "--stay", model=MODEL) as server:
            page = Page(browser, server)
            take(page, folder / "page_start.png")
        ct = Path(temporary) / "Phantom.nrrd"
        write_phantom(make_phantom(3, (1.0, 1.0, 2.0)), ct, ct.with_name("label.nrrd"))
        with running_server(Path(temporary), ct, "--stay", model=MODEL) as server:
            page = Page(browser, server)
            page.wait("state('volume_name') !== '' && state('opening') === ''")
            page.button("Segment Pancreas").click()
            page.wait("state('has_result') && state('run') === ''")
            page.tab.set_viewport_size(LARGE)
            take(page, folder / "page_result.png")
            page.choose("Over the CT", "Attention, gate 1 (finest)")
            page.tab.set_viewport_size(SMALL)
            take(page, folder / "page_attention.png", in_all_colours=True)
            page.choose("Over the CT", "None")
            # At a high threshold the head is cut short: a click gives it back.
            page.set_slider("Threshold", 0.9)
            page.tool("Add")
            rows, columns = _outline(page.resting_picture("Green"))
            first = columns.argmin()
            page.view("Green").click(position={"x": float(columns[first] + 1), "y": float(rows[first])})
            page.wait("state('additions') === 1")
            take(page, folder / "page_correction.png")
        browser.close()


def take(page: Page, path: Path, in_all_colours: bool = False) -> None:
    """Save the page once its views rest; in 256 colours a quarter as large, which shows in a colour scale only."""
    page.tab.mouse.move(5, 5)
    page.tab.wait_for_timeout(1500)
    for name in ("Red", "Green", "Yellow", "ThreeD"):
        page.resting_picture(name)
    page.tab.screenshot(path=path)
    picture = Image.open(path).convert("RGB")
    if not in_all_colours:
        picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
