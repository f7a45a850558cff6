"""What a person does in quick succession, before the server takes in the first of it: the end is what they meant."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from .conftest import Page
from .test_page import _beside_the_segment, _changed


@pytest.fixture(scope="module")
def result(page):
    """The page with a result, the slice that it begins with, and a place beside the segment there."""
    page.button("Segment Pancreas").click()
    page.wait("state('has_result') && state('run') === ''")
    page.spot = _beside_the_segment(page.resting_picture("Red"))
    page.plain_volume = page.volume()
    return page


@pytest.fixture
def plain(result):
    """The result without corrections and the tool Browse; so it is left, too."""
    yield result
    result.tab.mouse.move(5, 5)
    result.tab.evaluate("window.trame.state.update({ tool: 'browse', shape: 'click' })")
    while result.volume() and result.state("can_undo"):
        result.button("Undo").click()
        result.settle()
    assert result.volume() == result.plain_volume


def place(page: Page, x: float = 0, y: float = 0) -> tuple[float, float]:
    """A place beside the segment, on the screen."""
    box = page.view("Red").bounding_box()
    return box["x"] + page.spot["x"] + x, box["y"] + page.spot["y"] + y


def draw(page: Page, *places: tuple[float, float]) -> None:
    page.tab.mouse.move(*places[0])
    page.tab.mouse.down()
    for each in places[1:]:
        page.tab.mouse.move(*each, steps=4)
    page.tab.mouse.up()


def around(page: Page) -> list[tuple[float, float]]:
    return [place(page, x, y) for x, y in ((-12, -12), (12, -12), (12, 12), (-12, 12), (-12, -12))]


def stroke(page: Page) -> list[tuple[float, float]]:
    return [place(page), place(page, 14, 0)]


def test_a_tool_is_in_hand_before_what_is_done_with_it(plain, server):
    plain.resting_picture("Red")
    with server.held_up():
        plain.tab.mouse.move(*place(plain))
        plain.tab.keyboard.press("+")
        plain.tab.keyboard.press("-")
        plain.tab.keyboard.press("a")
        plain.tab.keyboard.press("2")
        draw(plain, *around(plain))
    plain.wait("state('marks') === 1")


def test_a_key_is_for_the_view_under_the_mouse_before_the_server_knows(plain, server):
    plain.tab.mouse.move(*place(plain))
    plain.resting_picture("Red")
    red, number = plain.state("Red_offset"), plain.state("Green_pane")["number"]
    box = plain.view("Green").bounding_box()
    with server.held_up():
        plain.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        plain.tab.keyboard.press("ArrowUp")
    plain.wait(f"state('Green_pane').number === {number + 1} || state('Red_offset') !== {red}")
    assert plain.state("Red_offset") == red


def test_what_is_ticked_counts_for_the_run_that_is_started_then(plain, server):
    plain.resting_picture("Red")
    with server.held_up():
        plain.tab.mouse.move(*place(plain))
        plain.tab.keyboard.press("+")
        plain.tab.get_by_label("Measure the spread (8 passes)").check()
        plain.button("Segment Pancreas").click()
    plain.wait("state('run') !== ''")
    plain.wait("state('run') === ''")
    plain.tab.get_by_label("Measure the spread (8 passes)").uncheck()
    assert plain.state("has_spread")
    plain.plain_volume = plain.volume()


def test_a_stroke_is_not_lost_to_a_run_that_is_started_at_once(plain, server):
    plain.tool("Paint")
    plain.resting_picture("Red")
    with server.held_up():
        draw(plain, *stroke(plain))
        plain.button("Segment Pancreas").click()
    plain.wait("state('question') !== null || state('run') !== ''")
    assert plain.state("question") is not None
    plain.button("Keep the result").click()
    plain.wait("state('question') === null")
    assert plain.state("can_undo")


def test_the_first_click_is_undone_and_done_again_at_once(plain, server):
    plain.tool("Add")
    plain.resting_picture("Red")
    with server.held_up():
        draw(plain, place(plain))
        plain.tab.keyboard.press("Control+Z")
    plain.wait("state('can_redo')")
    assert plain.state("additions") == 0
    with server.held_up():
        plain.tab.keyboard.press("Control+Y")
        plain.tab.keyboard.press("Control+Z")
        plain.tab.keyboard.press("Control+Y")
    plain.wait("state('additions') === 1")


def over_click(page: Page) -> None:
    page.tool("Add")
    page.resting_picture("Red")
    draw(page, place(page))
    page.wait("state('additions') === 1")
    page.tab.keyboard.press("Escape")
    page.wait("state('tool') === 'browse'")
    page.resting_picture("Red")
    page.tab.mouse.move(*place(page, 1, 0))
    page.tab.mouse.move(*place(page))
    page.tab.wait_for_function("document.querySelector('[data-stream=Red].over-click')")


def test_delete_means_the_click_under_the_mouse_now(plain, server):
    over_click(plain)
    with server.held_up():
        plain.tab.mouse.move(*place(plain, 40, 0), steps=3)
        plain.tab.keyboard.press("Delete")
    plain.tab.wait_for_function("!document.querySelector('[data-stream=Red].over-click')")
    plain.volume()
    assert plain.state("additions") == 1
    with server.held_up():
        plain.tab.mouse.move(*place(plain), steps=3)
        plain.tab.keyboard.press("Delete")
    plain.wait("state('additions') === 0")


def test_right_click_with_a_trembling_hand_offers_to_remove_the_click(plain, server):
    over_click(plain)
    plain.tab.mouse.down(button="right")
    plain.tab.mouse.move(*place(plain, 2, 1))
    plain.settle()
    plain.tab.mouse.up(button="right")
    plain.tab.get_by_role("menuitem", name="Remove this click").click()
    plain.wait("state('additions') === 0")


def paints_no_more(page: Page) -> None:
    page.resting_picture("Red")
    page.wait("state('can_undo')")
    volume = page.volume()
    page.tab.mouse.move(*place(page, 60, 30), steps=5)
    page.tab.mouse.move(*place(page, 5, 30), steps=5)
    page.settle()
    page.tab.keyboard.press("Escape")
    page.wait("state('tool') === 'browse'")
    assert page.volume() == volume


def test_two_buttons_at_once_end_with_none(plain):
    plain.tool("Paint")
    plain.tab.mouse.move(*place(plain))
    plain.tab.mouse.down()
    plain.tab.mouse.move(*place(plain, 10, 0), steps=3)
    plain.tab.mouse.down(button="right")
    plain.tab.mouse.up()
    plain.tab.mouse.move(*place(plain, 12, 0))
    plain.tab.mouse.up(button="right")
    paints_no_more(plain)


def test_a_stroke_that_the_system_takes_away_ends_there(plain):
    plain.tool("Paint")
    plain.tab.mouse.move(*place(plain))
    plain.tab.mouse.down()
    plain.tab.mouse.move(*place(plain, 10, 0), steps=3)
    plain.tab.evaluate(
        """() => document.querySelector("[data-stream=Red]").dispatchEvent(
            new PointerEvent("pointercancel", { pointerId: 1, bubbles: true }))"""
    )
    plain.settle()
    plain.wait("state('can_undo')")
    plain.tab.mouse.up()
    paints_no_more(plain)


def test_a_lasso_that_the_system_takes_away_is_none(plain):
    plain.tool("Add")
    plain.tab.keyboard.press("2")
    plain.wait("state('shape') === 'lasso'")
    places = around(plain)
    plain.tab.mouse.move(*places[0])
    plain.tab.mouse.down()
    for each in places[1:3]:
        plain.tab.mouse.move(*each, steps=4)
    plain.tab.evaluate(
        """() => document.querySelector("[data-stream=Red]").dispatchEvent(
            new PointerEvent("pointercancel", { pointerId: 1, bubbles: true }))"""
    )
    for each in places[3:]:
        plain.tab.mouse.move(*each, steps=4)
    plain.tab.mouse.up()
    plain.settle()
    assert plain.state("marks") == 0


def test_another_tool_during_a_stroke(plain):
    plain.tool("Paint")
    plain.tab.mouse.move(*place(plain))
    plain.tab.mouse.down()
    plain.tab.mouse.move(*place(plain, 10, 0), steps=3)
    plain.tab.keyboard.press("b")
    plain.wait("state('tool') === 'browse'")
    plain.settle()
    plain.tab.mouse.up()
    plain.settle()
    plain.wait("state('can_undo') && state('unsaved')")
    assert plain.volume() > plain.plain_volume


def test_a_page_closed_in_the_middle_of_a_stroke(plain, browser, server):
    other = Page(browser, server)
    other.spot = plain.spot
    other.tool("Paint")
    other.resting_picture("Red")
    other.tab.mouse.move(*place(other))
    other.tab.mouse.down()
    other.tab.mouse.move(*place(other, 10, 0), steps=3)
    other.settle()
    other.context.close()
    paints_no_more(plain)


def test_a_comparison_is_not_held_by_a_page_that_has_gone(plain, browser, server):
    before = plain.resting_picture("Red")
    other = Page(browser, server)
    other.view("Red").hover()
    other.tab.keyboard.down("c")
    plain.wait_for_picture("Red", lambda now: _changed(now, before) > 60)
    other.context.close()
    plain.wait_for_picture("Red", lambda now: _changed(now, before) == 0)


def test_a_file_holds_what_was_set_before_it_was_asked_for(plain, server, tmp_path):
    """The page too is busy, so that what it holds back reaches the server long after the request for the file."""
    plain.tab.mouse.move(*place(plain))
    plain.resting_picture("Red")
    threshold = plain.state("threshold")
    with plain.tab.expect_download() as download, server.held_up():
        for _ in range(4):
            plain.tab.keyboard.press("+")
        plain.tab.get_by_role("link", name="Segment .nii.gz", exact=True).click()
        plain.tab.evaluate(
            """() => window.setTimeout(() => {
                const end = performance.now() + 2000;
                while (performance.now() < end) {}
            }, 0)"""
        )
    download.value.save_as(tmp_path / "segment.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "segment.nii.gz"))
    volume = np.count_nonzero(sitk.GetArrayFromImage(image)) * float(np.prod(image.GetSpacing())) / 1000
    shown = plain.volume()
    assert plain.state("threshold") == pytest.approx(threshold + 0.2)
    plain.tab.evaluate("threshold => window.trame.state.set('threshold', threshold)", threshold)
    plain.wait(f"state('volume_ml') === {plain.plain_volume}")
    assert volume == pytest.approx(shown, abs=0.011)


def test_nothing_is_corrected_while_a_run_goes_on_that_would_take_it_away(plain, small_ct):
    plain.tool("Add")
    plain.resting_picture("Red")
    plain.tab.get_by_label("Measure the spread (8 passes)").check()  # so that the run lasts
    plain.button("Segment Pancreas").click()
    plain.wait("state('run') === 'running'")
    draw(plain, place(plain))
    plain.tab.get_by_text("Wait for the segmentation to end, or cancel it, before you correct").wait_for()
    assert plain.state("additions") == 0
    plain.tab.locator("#ct-file").set_input_files(small_ct)
    plain.tab.get_by_text("abdomen.nrrd was not opened.").wait_for()
    plain.button("Cancel").click()
    plain.wait("state('run') === ''")
    for left in (1, 0):
        plain.button("Dismiss").first.click()
        plain.wait(f"state('notices').length === {left}")
    plain.tab.get_by_label("Measure the spread (8 passes)").uncheck()
    draw(plain, place(plain))
    plain.wait("state('additions') === 1")


def test_two_clicks_on_phantom_draw_one(result, server, page):
    with server.held_up():
        page.button("Phantom").click()
        page.button("Phantom").click()
    page.wait("state('volume_name').startsWith('Phantom') && state('opening') === ''")
    assert page.state("volume_name") == "Phantom 1"
    page.button("Phantom").click()
    page.wait("state('volume_name') === 'Phantom 2' && state('opening') === ''")
