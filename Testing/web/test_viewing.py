"""What people expect of a viewer: keys, window, lines, measurements, a comparison, pictures, and output for others."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from .conftest import Page
from .test_page import _changed, _is_orange

COUNT = """() => {
  window.counts = { Red: 0, Green: 0, Yellow: 0, ThreeD: 0 };
  document.addEventListener("picture", ({ detail }) => { window.counts[detail.name] += 1; });
}"""


@pytest.fixture(scope="module")
def viewed(page):
    page.button("Segment Pancreas").click()
    page.wait("state('has_result') && state('run') === ''")
    page.volume()
    page.offset_of_gland = page.state("Red_offset")
    return page


def show_gland(page) -> None:
    """Bring the axial view back to the slice through the middle of the segment."""
    page.tab.evaluate("offset => window.trame.state.set('Red_offset', offset)", page.offset_of_gland)
    page.wait_for_picture("Red", lambda now: np.count_nonzero(_is_orange(now)) > 60)


def middle_of(page, name: str = "Red") -> tuple[float, float]:
    box = page.view(name).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, *places: tuple[float, float]) -> None:
    x, y = middle_of(page)
    page.tab.mouse.move(x + places[0][0], y + places[0][1])
    page.tab.mouse.down()
    for place in places[1:]:
        page.tab.mouse.move(x + place[0], y + place[1], steps=5)
    page.tab.mouse.up()


def test_a_notch_of_the_wheel_draws_the_view_that_it_moves_and_no_other(viewed):
    viewed.tab.mouse.move(*middle_of(viewed))
    # What the result and the mouse bring about is drawn first; it is the wheel that is looked at.
    for name in 2 * ("Red", "Green", "Yellow", "ThreeD"):
        viewed.resting_picture(name)
    viewed.tab.evaluate(COUNT)
    offset = viewed.state("Red_offset")
    for _ in range(5):
        viewed.tab.mouse.wheel(0, -100)
        viewed.tab.wait_for_timeout(30)
    viewed.wait(f"Math.abs(state('Red_offset') - {offset} - 20) < 0.1")
    viewed.resting_picture("Red", is_asked_for=False)
    counts = viewed.tab.evaluate("() => window.counts")
    assert counts["Red"] > 0
    assert (counts["Green"], counts["Yellow"], counts["ThreeD"]) == (0, 0, 0)


def test_keys_move_through_the_slices_of_the_view_under_the_mouse(viewed):
    viewed.tab.mouse.move(*middle_of(viewed, "Green"))
    count, red = viewed.state("Green_pane")["count"], viewed.state("Red_offset")
    for key, number in (("Home", 1), ("ArrowUp", 2), ("PageUp", 12), ("ArrowDown", 11), ("End", count)):
        viewed.tab.keyboard.press(key)
        viewed.wait(f"state('Green_pane').number === {number}")
    assert f"{count} of {count}" in viewed.view("Green").locator("..").inner_text()
    assert viewed.state("Red_offset") == red
    viewed.tab.keyboard.press("a")
    viewed.wait("state('tool') === 'add'")
    viewed.tab.keyboard.press("Escape")
    viewed.wait("state('tool') === 'browse'")
    viewed.tab.keyboard.press("?")
    viewed.tab.get_by_role("dialog").get_by_text("Page Up, Page Down").wait_for()
    viewed.button("Close").click()
    viewed.tab.get_by_role("dialog").wait_for(state="hidden")


def test_a_dragged_window_shows_its_numbers_and_can_be_brought_back(viewed):
    before = viewed.resting_picture("Red")
    drag(viewed, (0, 0), (60, 20))
    viewed.wait("state('window') === 'Own' && state('window_width') !== 400")
    width = viewed.tab.get_by_label("Window width in HU")
    # The last steps of the drag may still be on their way.
    shown = "Number(document.querySelector('[aria-label=\"Window width in HU\"]').value)"
    viewed.wait(f"{shown} !== 400 && {shown} === state('window_width')")
    viewed.button("Reset the window").click()
    viewed.wait("state('window') === 'Abdomen 400 / 40' && state('window_width') === 400")
    viewed.wait_for_picture("Red", lambda now: _changed(now, before) == 0)
    width.fill("250")
    width.press("Tab")
    viewed.wait("state('window_width') === 250")
    viewed.wait_for_picture("Red", lambda now: _changed(now, before) > 300)
    viewed.button("Reset the window").click()


def test_a_button_does_not_overtake_the_drag_before_it(viewed, server):
    before = viewed.resting_picture("Red")
    drag(viewed, (0, 0), (60, 20))
    viewed.wait("state('window') === 'Own'")
    viewed.resting_picture("Red")
    with server.held_up():
        drag(viewed, (0, 0), (-30, 10))
        viewed.button("Reset the window").click()
    viewed.wait("state('window') !== 'Own'")
    viewed.wait_for_picture("Red", lambda now: _changed(now, before) == 0)
    assert (viewed.state("window"), viewed.state("window_width")) == ("Abdomen 400 / 40", 400)


def test_reference_lines_meet_where_a_click_was_made(viewed):
    viewed.button("Reference lines").click()
    box = viewed.view("Red").bounding_box()
    viewed.view("Red").click(position={"x": box["width"] / 2 + 30, "y": box["height"] / 2 - 25})
    lines = "[...document.querySelectorAll('[data-stream=Red] line')].map((each) => ['x1', 'x2', 'y1', 'y2'].map("
    lines += "(name) => Number(each.getAttribute(name))))"
    viewed.tab.wait_for_function(f"() => {{ const [a, b] = {lines}; return a && b; }}")
    viewed.resting_picture("Green")
    drawn = viewed.tab.evaluate(f"() => {lines}")
    upright = next(line for line in drawn if line[0] == pytest.approx(line[1]))
    level = next(line for line in drawn if line[2] == pytest.approx(line[3]))
    assert upright[0] == pytest.approx(box["width"] / 2 + 30, abs=2.5)
    assert level[2] == pytest.approx(box["height"] / 2 - 25, abs=2.5)
    viewed.button("Reference lines").click()


def test_a_distance_and_an_area_are_measured_in_mm(viewed):
    drag_mm = viewed.tab.evaluate(
        "() => { const m = window.attentionUNetSegPanes.panes.Red.shown.matrix; return Math.hypot(m[0], m[4], m[8]); }"
    )
    viewed.tool("Distance")
    drag(viewed, (-50, 0), (50, 0))
    viewed.wait("state('measurements').length === 1")
    viewed.tool("Area")
    drag(viewed, (-40, -40), (40, -40), (40, 40), (-40, 40), (-40, -34))
    viewed.wait("state('measurements').length === 2")
    distance, area = (each["text"] for each in viewed.state("measurements"))
    assert float(distance.split(": ")[1].split()[0]) == pytest.approx(100 * drag_mm, abs=1.5 * drag_mm)
    assert float(area.split(": ")[1].split()[0]) == pytest.approx((80 * drag_mm) ** 2 / 100, rel=0.06)
    viewed.button("Remove all").click()
    viewed.wait("state('measurements').length === 0")
    viewed.tool("Browse")


def test_a_second_threshold_is_compared_and_a_held_key_shows_the_network_alone(viewed):
    before = viewed.resting_picture("Red")
    viewed.choose("Compare with", "Another threshold")
    viewed.set_slider("Its threshold", 0.55)
    viewed.wait(f"state('compare_ml') !== null && state('compare_ml') < {viewed.volume()}")
    viewed.choose("Compare with", "Nothing")
    viewed.wait("state('compare_ml') === null")
    viewed.wait_for_picture("Red", lambda now: _changed(now, before) == 0)
    viewed.tab.mouse.move(*middle_of(viewed))
    viewed.tab.wait_for_function("!document.activeElement.closest('.v-select')")
    viewed.tab.keyboard.down("c")
    viewed.wait_for_picture("Green", lambda now: np.count_nonzero(_is_orange(now)) == 0)
    viewed.tab.keyboard.up("c")
    viewed.wait_for_picture("Red", lambda now: _changed(now, before) == 0)


def test_an_overlay_says_what_it_is_and_shows_its_scale(viewed):
    plain = viewed.resting_picture("Red")
    viewed.choose("Over the CT", "Attention, gate 1 (finest)")
    viewed.tab.get_by_text("It is no probability of pancreas").wait_for()
    shown = viewed.wait_for_picture("Red", lambda now: _changed(now, plain) > 300)
    height, width = shown.shape[:2]
    edge = shown[height // 4 : 3 * height // 4, int(0.84 * width) :]  # the bar runs from black to Inferno's pale yellow
    assert ((edge[..., 0] > 230) & (edge[..., 1] > 230) & (edge[..., 2] < 190)).any()
    viewed.choose("Over the CT", "None")
    viewed.wait_for_picture("Red", lambda now: _changed(now, plain) == 0)


def test_the_contour_can_have_another_colour_width_and_fill(viewed):
    show_gland(viewed)
    before = viewed.resting_picture("Red")
    viewed.choose("Colour", "Green")
    green = viewed.wait_for_picture("Red", lambda now: _green(now) > 60)
    assert np.count_nonzero(_is_orange(green)) == 0
    viewed.set_slider("Width", 5)
    viewed.wait_for_picture("Red", lambda now: _green(now) > 1.5 * _green(green))
    viewed.set_slider("Width", 2)
    viewed.set_slider("Fill", 1.0)
    viewed.wait_for_picture("Red", lambda now: _green(now) > 3 * _green(green))
    viewed.set_slider("Fill", 0.15)
    viewed.choose("Colour", "Orange")
    viewed.wait_for_picture("Red", lambda now: _changed(now, before) == 0)


def _green(picture: np.ndarray) -> int:
    """How many pixels have the colour of a green outline, faint or full."""
    red, green, blue = np.moveaxis(picture, 2, 0)
    return int(np.count_nonzero((green > red + 80) & (green > blue + 80)))


def test_measurements_have_a_range_and_are_marked_old_when_the_segment_changes(viewed, tmp_path):
    viewed.button("Measure").click()
    viewed.wait("state('numbers_state') === 'ready'")
    numbers = {each["key"]: each for each in viewed.state("numbers")}
    low, high = map(float, numbers["volume"]["range"].split(" to "))
    assert low < viewed.volume() < high
    assert numbers["length"]["value"].endswith(" mm")
    viewed.tab.get_by_text("Contrast phase, a guess: ").wait_for()
    threshold = viewed.state("threshold")
    viewed.set_slider("Threshold", threshold + 0.1)
    viewed.wait("state('numbers_state') === 'old'")
    viewed.tab.get_by_text("These are old").wait_for()
    volume = viewed.volume()
    name = viewed.save("Table .csv", tmp_path / "numbers.csv")  # what is saved is measured anew
    assert name == "abdomen_measurements.csv"
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO((tmp_path / "numbers.csv").read_text()))}
    assert float(rows["volume"]["value"]) == pytest.approx(volume, rel=0.002)
    viewed.wait("state('numbers_state') === 'ready'")
    viewed.save("Table .json", tmp_path / "numbers.json")
    told = json.loads((tmp_path / "numbers.json").read_text())
    assert told["measurements"]["quantities"]["volume"]["value"] == float(rows["volume"]["value"])
    assert told["model"]["id"] and told["measurements"]["contrast_phase"]["grounds"]
    viewed.set_slider("Threshold", threshold)
    viewed.wait("state('numbers_state') === 'old'")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Segment .nii.gz", "abdomen_pancreas.nii.gz"),
        ("Surface .stl", "abdomen_pancreas.stl"),
        ("Surface .obj", "abdomen_pancreas.obj"),
        ("Report .json", "abdomen_report.json"),
        ("Report .csv", "abdomen_report.csv"),
    ],
)
def test_results_leave_in_the_formats_of_others(viewed, small_ct, tmp_path, name, file):
    path = tmp_path / file
    assert viewed.save(name, path) == file
    ct, volume = sitk.ReadImage(str(small_ct)), viewed.volume()
    if file.endswith(".nii.gz"):
        image = sitk.ReadImage(str(path))
        assert image.GetSize() == ct.GetSize()
        assert image.GetOrigin() == pytest.approx(ct.GetOrigin(), abs=1e-3)
        voxel_ml = float(np.prod(image.GetSpacing())) / 1000
        assert np.count_nonzero(sitk.GetArrayFromImage(image)) * voxel_ml == pytest.approx(volume, abs=0.1)
    elif file.endswith(".stl"):
        assert b"SPACE=LPS" in path.read_bytes()[:80]
    elif file.endswith(".obj"):
        points = np.array([line.split()[1:4] for line in path.read_text().splitlines() if line[:2] == "v "], float)
        low, high = ct.GetOrigin(), ct.TransformIndexToPhysicalPoint([size - 1 for size in ct.GetSize()])
        assert (points.min(axis=0) > np.minimum(low, high) - 3).all()
        assert (points.max(axis=0) < np.maximum(low, high) + 3).all()
        assert np.ptp(points, axis=0).min() > 15
    elif file.endswith(".json"):
        report = json.loads(path.read_text())
        assert report["volume_ml"] == pytest.approx(volume, abs=0.01)
        assert report["model"]["id"]
    else:
        fields = dict(csv.reader(io.StringIO(path.read_text())))
        assert float(fields["volume_ml"]) == pytest.approx(volume, abs=0.01)


def test_the_views_are_saved_as_one_picture(viewed, tmp_path):
    with viewed.tab.expect_download() as download:
        viewed.button("Save a picture of the views").click()
    assert download.value.suggested_filename == "abdomen_views.png"
    download.value.save_as(tmp_path / "views.png")
    picture = np.asarray(Image.open(tmp_path / "views.png").convert("RGB")).astype(int)
    assert np.count_nonzero(_is_orange(picture)) > 200


@pytest.mark.parametrize("size", [(1024, 700), (1280, 800), (1920, 1080)])
def test_nothing_is_cut_off_in_a_window_of_this_size(viewed, size):
    viewed.tab.set_viewport_size({"width": size[0], "height": size[1]})
    viewed.tool("Add")  # its slider needs room too
    viewed.tab.wait_for_timeout(300)
    bad = viewed.tab.evaluate(
        """() => [...document.querySelectorAll('.tool-bar button, .tool-bar input, .tool-bar .v-slider, .pane-bar *')]
            .filter((each) => each.offsetParent !== null || each.getClientRects().length)
            .filter((each) => !each.closest('.v-icon') && !each.closest('.v-slider') || each.matches('.v-slider'))
            .map((each) => [each, each.getBoundingClientRect()])
            .filter(([each, box]) => box.width < 8 || box.left < 0 || box.right > window.innerWidth + 1)
            .map(([each, box]) => each.outerHTML.slice(0, 90) + JSON.stringify(box))"""
    )
    assert bad == []
    bar = viewed.tab.locator(".tool-bar")
    assert bar.evaluate("(bar) => bar.scrollWidth <= bar.clientWidth + 1")
    viewed.tool("Browse")
    viewed.tab.set_viewport_size({"width": 1280, "height": 800})


def test_the_tools_are_one_stop_of_the_tab_key_and_arrows_choose_among_them(viewed):
    browse = viewed.tab.get_by_role("radio", name="Browse", exact=True)
    browse.focus()
    viewed.tab.keyboard.press("ArrowRight")
    viewed.wait("state('tool') === 'add'")
    assert viewed.tab.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Add"
    assert viewed.tab.locator(".tool-bar [role=radio][tabindex='0']").count() == 1
    viewed.tab.keyboard.press("ArrowLeft")
    viewed.wait("state('tool') === 'browse'")


@pytest.fixture
def other_page(browser, server):
    other = Page(browser, server)
    other.tab.set_viewport_size({"width": 1600, "height": 700})
    yield other
    other.context.close()


def test_clicks_land_where_they_are_made_while_another_window_is_open_and_after(viewed, other_page):
    """Two windows of different sizes on one server."""
    show_gland(viewed)
    for window in (viewed, other_page, viewed):
        window.tool("Remove")
        # The picture still has the other window's shape: nothing has told the server that the mouse is here now.
        before = _outline_box(window)
        spot = {"x": before[1] + 20.0, "y": before[2] - 12.0}
        window.view("Red").click(position=spot)
        window.button("Let it act").click()  # there is nothing to remove, so the page asks
        window.wait("state('removals') === 1")
        window.wait_for_picture("Red", lambda now: np.count_nonzero(_is_red(now)) > 10)
        window.resting_picture("Red", is_asked_for=False)
        # So far from the segment it changes nothing, and by now the view has taken this window's size.
        after = _outline_box(window)
        scale = (after[1] - after[0]) / (before[1] - before[0])
        rows, columns = np.nonzero(_is_red(window.picture("Red")))
        assert abs((np.median(columns) - after[1]) - 20.0 * scale) < 3
        assert abs((np.median(rows) - after[2]) + 12.0 * scale) < 3
        window.button("Undo").click()
        window.wait("state('removals') === 0")


def _outline_box(page: Page) -> tuple[float, float, float]:
    """Leftmost and rightmost column, and the highest row, of the segment in the axial view."""
    rows, columns = np.nonzero(_is_orange(page.resting_picture("Red", is_asked_for=False)))
    return float(columns.min()), float(columns.max()), float(rows.min())


def _is_red(picture: np.ndarray) -> np.ndarray:
    """Which pixels have the colour of the marker of a click that removes."""
    red, green, blue = np.moveaxis(picture, 2, 0)
    return (red > 190) & (green < 110) & (blue < 110)
