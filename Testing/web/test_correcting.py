"""A click's marker in the page: dragged, deleted, undone; the segment follows it, and the scene that is kept too."""

from __future__ import annotations

import shutil

import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.scene import find_results, load_scene, open_standalone_scene, read_clicks

from .conftest import Page, running_server
from .test_page import _beside_the_segment


@pytest.fixture(scope="module")
def clicked(page):
    """The page with a result and one click, and the place of the click in the axial view."""
    page.button("Segment Pancreas").click()
    page.wait("state('has_result') && state('run') === ''")
    page.plain_volume = page.volume()
    page.tool("Add")
    page.spot = _beside_the_segment(page.resting_picture("Red"))
    page.view("Red").click(position=page.spot)
    page.wait("state('additions') === 1")
    page.volume()
    return page


def at_marker(page: Page, x: float = 0, y: float = 0) -> tuple[float, float]:
    """Bring the mouse over the click's marker, or off it, and wait until the page knows."""
    box = page.view("Red").bounding_box()
    place = box["x"] + page.spot["x"] + x, box["y"] + page.spot["y"] + y
    page.resting_picture("Red")
    page.tab.mouse.move(place[0] + 1, place[1])
    page.tab.mouse.move(*place)
    page.tab.wait_for_function("document.querySelector('[data-stream=Red].over-click')")
    return place


def test_the_place_under_the_mouse_is_read_out(clicked):
    at_marker(clicked)
    text = clicked.tab.locator("#under-mouse").inner_text()
    assert " HU" in text
    assert "probability 1.00" in text  # that is what an Add click says
    assert "attention" in text


def test_a_marker_that_is_dragged_takes_the_segment_with_it_and_back(clicked):
    before = clicked.volume()
    x, y = at_marker(clicked)
    clicked.tab.mouse.down()
    clicked.tab.mouse.move(x + 14, y - 10, steps=4)
    clicked.tab.mouse.up()
    clicked.wait(f"state('volume_ml') !== {before}")
    at_marker(clicked, 14, -10)  # it has arrived
    moved = clicked.volume()
    assert clicked.state("additions") == 1
    clicked.button("Undo").click()
    clicked.wait(f"Math.abs(state('volume_ml') - {before}) < 0.01")
    clicked.tab.keyboard.press("Control+Y")
    clicked.wait(f"Math.abs(state('volume_ml') - {moved}) < 0.01")
    clicked.button("Undo").click()
    clicked.wait(f"Math.abs(state('volume_ml') - {before}) < 0.01")


def test_undo_right_after_a_drag_takes_back_this_drag_and_not_the_click_before(clicked, server):
    before = clicked.volume()
    x, y = at_marker(clicked)
    with server.held_up():
        clicked.tab.mouse.down()
        clicked.tab.mouse.move(x + 14, y - 10, steps=4)
        clicked.tab.mouse.up()
        clicked.tab.keyboard.press("Control+Z")
    at_marker(clicked)
    assert clicked.volume() == before
    assert clicked.state("additions") == 1


def test_the_delete_key_and_the_menu_remove_a_click_and_undo_brings_it_back(clicked):
    at_marker(clicked)
    clicked.tab.keyboard.press("Delete")
    clicked.wait("state('additions') === 0")
    assert clicked.volume() == clicked.plain_volume
    clicked.button("Undo").click()
    clicked.wait("state('additions') === 1")
    for item in ("Remove this click", "Remove all clicks"):
        x, y = at_marker(clicked)
        clicked.tab.mouse.click(x, y, button="right")
        clicked.tab.get_by_role("menuitem", name=item).click()
        clicked.wait("state('additions') === 0")
        clicked.button("Undo").click()
        clicked.wait("state('additions') === 1")


def test_a_click_into_air_is_asked_about(clicked, small_ct):
    ct = sitk.ReadImage(str(small_ct))
    x, y, _ = ct.TransformIndexToPhysicalPoint((4, 4, 0))
    (place,) = clicked.on_screen((-x, -y, clicked.state("Red_offset")))
    volume = clicked.volume()
    for answer, additions in (("Leave it out", 1), ("Let it act", 2)):
        clicked.tab.mouse.click(*place)
        clicked.wait("state('question') !== null")
        assert "There is air or padding" in clicked.state("question")["text"]
        clicked.button(answer).click()
        clicked.wait(f"state('question') === null && state('additions') === {additions}")
        clicked.tab.get_by_role("dialog").wait_for(state="hidden")  # until then it catches what is clicked
    clicked.button("Undo").click()
    clicked.wait("state('additions') === 1")
    assert clicked.volume() == volume


def test_a_segment_that_a_hand_touched_says_so(clicked, tmp_path):
    clicked.save("Segment .seg.nrrd", tmp_path / "corrected.seg.nrrd")
    tags = sitk.ReadImage(str(tmp_path / "corrected.seg.nrrd")).GetMetaData("Segment0_Tags")
    assert "DICOM.SegmentAlgorithmType:SEMIAUTOMATIC" in tags


def test_closing_the_tab_with_unsaved_corrections_is_asked_about(clicked):
    asked = []

    def stay(dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    clicked.tab.once("dialog", stay)
    clicked.tab.close(run_before_unload=True)
    clicked.wait("state('additions') === 1")
    for _ in range(100):
        if asked:
            break
        clicked.tab.wait_for_timeout(50)
    assert asked == ["beforeunload"]


def test_what_cannot_be_written_is_told_and_the_page_goes_on(clicked, server):
    """Neither the folder of kept results nor that of files to be sent can be used; the next test keeps again."""
    kept, (private,) = server.temporary / "kept", server.temporary.glob("attention-unet-seg-page-*")
    shutil.rmtree(kept, ignore_errors=True)
    kept.write_text("no folder")
    clicked.tab.keyboard.press("+")
    private.rename(private.with_name("away"))
    answer = clicked.tab.request.get(f"{server.origin}/download/nifti")
    private.with_name("away").rename(private)
    assert (answer.status, answer.text()[:43]) == (409, "The file was not saved. A file cannot be us")
    clicked.wait("state('notices').some((each) => each.title.startsWith('Your corrections are not kept'))")
    kept.unlink()
    clicked.tab.keyboard.press("-")
    assert clicked.tab.request.get(f"{server.origin}/download/nifti").status == 200


def test_what_was_corrected_outlives_the_server(clicked, browser, server):
    """Its last words write the newest corrections; the next server offers them, and goes on where they ended.

    A threshold with more digits than the slider has steps, as a model or a script gives, is not rounded either.
    """
    before = clicked.volume()
    clicked.tab.evaluate("window.trame.state.set('threshold', 0.0567)")
    clicked.wait(f"state('volume_ml') > {before}")
    volume = clicked.volume()
    assert clicked.state("unsaved")
    cube = clicked.resting_picture("ThreeD")[-90:, -90:]
    assert cube.std() > 10
    clicked.tab.goto("about:blank")
    server.process.terminate()
    server.process.wait(60)
    with running_server(server.temporary) as running:
        page = Page(browser, running)
        page.button("Go on with it").click()
        page.wait("state('has_result') && state('opening') === ''")
        assert (page.state("volume_name"), page.state("additions")) == ("abdomen", 1)
        # A voxel has 0.025 mL: a sum on the verge of two hundredths may be told as either.
        assert page.volume() == pytest.approx(volume, abs=0.011)
        assert page.state("threshold") == 0.0567
        assert page.resting_picture("ThreeD")[-90:, -90:].std() > 10  # the orientation cube is there again
        page.save("Scene .mrb", server.temporary / "scene.mrb")
        page.context.close()
    _app, scene = open_standalone_scene()
    load_scene(scene, server.temporary / "scene.mrb")
    assert len(read_clicks(find_results(scene)[0])) == 1
    with running_server(server.temporary) as running:
        page = Page(browser, running)
        page.button("Discard it").click()
        page.wait("state('kept') === null")
        page.context.close()
    assert list((server.temporary / "kept").iterdir()) == []
