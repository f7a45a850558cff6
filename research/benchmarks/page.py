"""How soon a person sees what they did in the page: wheel, threshold and drag, in a real browser.

    python -m research.benchmarks.page [--slices 150] [--repeats 20] [--write]

A server of its own serves a phantom CT of 512 x 512 x `slices` voxels to headless Chromium, where it is segmented.
Then, all in the page: a notch of the wheel until the axial view shows another slice; twenty notches, and how many
pictures of each view they cost; a step of the threshold until the axial view shows another contour; a drag that moves
a slice, and how many pictures of it come per second. Nothing else should run meanwhile. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from . import TESTING

sys.path.insert(0, str(TESTING / "web"))

VIEWS = ("Red", "Green", "Yellow", "ThreeD")
# In the page: pictures are counted, and the time of a view's next one is told.
WATCH = """() => {
  window.counts = { Red: 0, Green: 0, Yellow: 0, ThreeD: 0 };
  window.waiting = null;
  document.addEventListener("picture", ({ detail }) => {
    window.counts[detail.name] += 1;
    if (window.waiting && detail.name === window.waiting.name) {
      window.waiting.resolve(performance.now() - window.waiting.began);
      window.waiting = null;
    }
  });
  window.until = (name, act) => new Promise((resolve) => {
    window.waiting = { name, resolve, began: performance.now() };
    act();
  });
}"""
NOTCH = """() => window.until("Red", () => {
  const root = document.querySelector("[data-stream=Red]");
  const box = root.getBoundingClientRect();
  root.dispatchEvent(new WheelEvent("wheel", {
    deltaY: -100, bubbles: true, cancelable: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2,
  }));
})"""
THRESHOLD = """(value) => window.until("Red", () => window.trame.state.set("threshold", value))"""


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/page.json")
    arguments = parser.parse_args()
    result = measure(arguments)
    for name in ("wheel_to_picture_ms", "threshold_to_contour_ms"):
        print(f"{name}: median {result[name]['median']:.0f}, slowest {result[name]['largest']:.0f}")
    print(f"pictures for 20 notches: {result['pictures_for_20_notches']}")
    print(f"pictures per second of a drag: {result['drag_pictures_per_second']:.1f}")
    if arguments.write:
        from .machine import write_results

        print("written to", write_results("page", result))


def measure(arguments: argparse.Namespace) -> dict:
    """Return medians and slowest of all steps, in milliseconds, and the numbers of pictures."""
    from AttentionUNetSegLib.phantom import make_phantom, write_phantom
    from conftest import CHROMIUM_OPTIONS, Page, running_server
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        ct = Path(temporary, "ct.nrrd")
        phantom = make_phantom(1, (0.8, 0.8, 1.5), "portal_venous", (409.6, 409.6, 1.5 * arguments.slices))
        write_phantom(phantom, ct, ct.with_name("label.nrrd"))
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        with running_server(Path(temporary), ct, "--stay") as server:
            page = Page(browser, server)
            page.tab.set_default_timeout(600_000)
            page.wait("state('volume_name') !== '' && state('opening') === ''")
            page.button("Segment Pancreas").click()
            page.wait("state('has_result') && state('run') === ''")
            page.tab.wait_for_timeout(3000)
            page.tab.evaluate(WATCH)
            result = _measure_page(page, arguments)
        browser.close()
    return {"slices": arguments.slices, "view_pixels": result.pop("view_pixels"), **result}


def _measure_page(page, arguments: argparse.Namespace) -> dict:
    wheel, threshold = [], []
    for _ in range(arguments.repeats):
        wheel.append(page.tab.evaluate(NOTCH))
        page.tab.wait_for_timeout(600)
    for n in range(arguments.repeats):
        threshold.append(page.tab.evaluate(THRESHOLD, 0.3 if n % 2 else 0.7))
        page.tab.wait_for_timeout(900)
    before = page.tab.evaluate("() => ({ ...window.counts })")
    page.view("Red").hover()
    for _ in range(20):
        page.tab.mouse.wheel(0, 100)
        page.tab.wait_for_timeout(40)
    page.tab.wait_for_timeout(2000)
    after = page.tab.evaluate("() => ({ ...window.counts })")
    box = page.view("Red").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.tab.mouse.move(x, y)
    page.tab.mouse.down(button="middle")
    began, first = page.tab.evaluate("() => [performance.now(), window.counts.Red]")
    for n in range(100):
        page.tab.mouse.move(x + 40 * ((n % 20) / 10 - 1), y + n % 7)
        page.tab.wait_for_timeout(20)
    ended, last = page.tab.evaluate("() => [performance.now(), window.counts.Red]")
    page.tab.mouse.up(button="middle")
    return {
        "view_pixels": [int(box["width"]), int(box["height"])],
        "wheel_to_picture_ms": _spread(wheel),
        "threshold_to_contour_ms": _spread(threshold),
        "pictures_for_20_notches": {name: after[name] - before[name] for name in VIEWS},
        "drag_pictures_per_second": 1000 * (last - first) / (ended - began),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "largest": max(values), "n": len(values)}


if __name__ == "__main__":
    main()
