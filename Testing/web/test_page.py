"""What a person does in the page, in the order they do it, in a real browser."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.phantom import make_phantom, write_phantom

# What the server tells, however seldom a busy browser would look.
RECORD = """() => {
  window.seen = [];
  const see = (...now) => { window.seen.push(now); };
  window.endRecording = window.trame.state.watch(['run', 'progress'], see);
}"""
# What the page's buttons ask of the server.
RECORD_CALLS = """() => {
  window.calls = [];
  window.triggerOfPage = window.trame.trigger;
  window.trame.trigger = (...words) => {
    window.calls.push(words);
    return window.triggerOfPage.apply(window.trame, words);
  };
}"""


@pytest.fixture(scope="module")
def segmented(page):
    """The page after Segment was pressed, twice, as quickly as a script can; with what it showed meanwhile."""
    page.tab.evaluate(RECORD)
    page.button("Segment Pancreas").evaluate("button => { button.click(); button.click(); }")
    page.wait("state('has_result')")
    page.wait("state('run') === ''")
    page.tab.wait_for_timeout(1000)  # in which a second job would show
    page.seen = page.tab.evaluate("() => { window.endRecording(); return window.seen; }")
    return page


def test_progress_moves_and_two_quick_clicks_start_one_job(segmented):
    runs = [run for n, (run, _) in enumerate(segmented.seen) if n == 0 or segmented.seen[n - 1][0] != run]
    # "starting" may be over before the browser looks: what counts is that no second job follows.
    assert [run for run in runs if run] in (["starting", "running"], ["running"])
    assert runs[-1] == ""
    steps = [progress for run, progress in segmented.seen if run == "running"]
    assert steps == sorted(steps)
    assert len(set(steps)) >= 4
    assert segmented.volume() > 20
    assert segmented.tab.locator("#volume").inner_text() == f"{segmented.volume():.1f}"


def test_all_four_views_show_the_result(segmented):
    for name in ("Red", "Green", "Yellow", "ThreeD"):
        segmented.wait_for_picture(name, lambda now: np.count_nonzero(_is_orange(now)) > 60)


def test_the_threshold_moves_the_contour_while_it_is_dragged(segmented):
    before, volume = segmented.resting_picture("Red"), segmented.volume()
    segmented.set_slider("Threshold", 0.8)
    segmented.wait(f"state('volume_ml') < {volume - 1}")
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) > 100)
    segmented.button("Reset").click()
    segmented.wait("state('threshold') === state('model_threshold')")
    segmented.wait(f"Math.abs(state('volume_ml') - {volume}) < 0.1")
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) == 0)


def test_attention_is_laid_over_the_ct_and_taken_away_again(segmented):
    plain = segmented.resting_picture("Red")
    segmented.choose("Over the CT", "Attention, gate 1 (finest)")
    shown = segmented.wait_for_picture("Red", lambda now: _changed(now, plain) > 300)
    segmented.choose("Colours", "Ocean")
    ocean = segmented.wait_for_picture("Red", lambda now: _changed(now, shown) > 300)
    segmented.set_slider("Opacity", 0.2)
    segmented.wait_for_picture("Red", lambda now: np.abs(now - plain).sum() < 0.7 * np.abs(ocean - plain).sum())
    segmented.choose("Over the CT", "None")
    segmented.wait_for_picture("Red", lambda now: _changed(now, plain) == 0)


def test_a_click_adds_tissue_and_undo_takes_it_back(segmented):
    before, volume = segmented.resting_picture("Red"), segmented.volume()
    segmented.tool("Add")
    segmented.view("Red").click(position=_beside_the_segment(before))
    segmented.wait(f"state('additions') === 1 && state('volume_ml') > {volume}")
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) > 50)
    added = segmented.volume()
    segmented.button("Undo").click()
    segmented.wait("state('additions') === 0")
    assert segmented.volume() == volume
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) == 0)
    segmented.tab.keyboard.press("Control+Shift+Z")
    segmented.wait("state('additions') === 1")
    assert segmented.volume() == added
    segmented.tab.keyboard.press("Control+Z")
    segmented.wait("state('additions') === 0")
    segmented.tool("Browse")


def test_a_click_removes_tissue(segmented):
    volume = segmented.volume()
    segmented.tool("Remove")
    segmented.view("Red").click(position=_inside_the_segment(segmented.resting_picture("Red")))
    segmented.wait("state('removals') === 1")
    assert segmented.volume() < volume
    segmented.button("Undo").click()
    segmented.wait("state('removals') === 0")
    assert segmented.volume() == volume
    segmented.tool("Browse")


def test_paint_survives_the_threshold_and_can_be_undone(segmented):
    volume = segmented.volume()
    segmented.tool("Paint")
    _drag(segmented, _beside_the_segment(segmented.resting_picture("Red")))
    segmented.wait(f"state('volume_ml') > {volume}")
    painted = segmented.volume() - volume
    segmented.set_slider("Threshold", 0.7)
    segmented.wait(f"state('volume_ml') < {volume + painted - 0.5}")
    segmented.resting_picture("Red")  # the last of the slider's steps is through
    with_stroke = segmented.volume()
    segmented.button("Undo").click()
    segmented.wait(f"state('volume_ml') < {with_stroke}")
    # The stroke touches the contour: what the higher threshold takes from the network, it gives back there.
    assert painted * 0.9 < with_stroke - segmented.volume() < painted * 2
    segmented.button("Reset").click()
    segmented.wait(f"Math.abs(state('volume_ml') - {volume}) < 0.1")
    segmented.tool("Browse")


def test_erased_voxels_stay_away_at_a_lower_threshold(segmented):
    volume = segmented.volume()
    segmented.tool("Erase")
    _drag(segmented, _inside_the_segment(segmented.resting_picture("Red")), distance=4)
    segmented.wait(f"state('volume_ml') < {volume}")
    erased = volume - segmented.volume()
    assert erased > 0.1
    segmented.button("Undo").click()
    segmented.wait(f"Math.abs(state('volume_ml') - {volume}) < 0.1")
    segmented.tool("Browse")


def test_the_wheel_and_the_slider_move_through_the_slices(segmented):
    before = segmented.resting_picture("Red")
    offset = segmented.state("Red_offset")
    segmented.view("Red").hover()
    segmented.tab.mouse.wheel(0, 120)
    segmented.wait(f"Math.abs(state('Red_offset') - ({offset})) > 1")
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) > 1000)
    segmented.set_slider("Axial slice", offset)
    segmented.wait(f"Math.abs(state('Red_offset') - ({offset})) < 0.01")
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) == 0)


def test_a_click_while_browsing_shows_the_point_in_the_other_views(segmented):
    offsets = segmented.state("Green_offset"), segmented.state("Yellow_offset")
    box = segmented.view("Red").bounding_box()
    segmented.view("Red").click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.6})
    segmented.wait(f"state('Green_offset') !== {offsets[0]} && state('Yellow_offset') !== {offsets[1]}")


def test_a_view_can_be_enlarged_and_nothing_else_moves(segmented):
    boxes = {name: segmented.view(name).bounding_box() for name in ("Red", "Green", "Yellow", "ThreeD")}
    segmented.button("Enlarge the Axial view").click()
    segmented.wait_for_picture("Red", lambda now: now.shape[1] > 1.9 * boxes["Red"]["width"])
    for name in ("Green", "Yellow", "ThreeD"):
        assert segmented.view(name).bounding_box() == boxes[name]
    segmented.button("Show all views").click()
    segmented.wait_for_picture("Red", lambda now: now.shape[1] < 1.1 * boxes["Red"]["width"])


@pytest.mark.parametrize(
    ("button", "name"),
    [("Segment .seg.nrrd", "abdomen_pancreas.seg.nrrd"), ("Probability .nrrd", "abdomen_probability.nrrd")],
)
def test_downloads_open_in_simpleitk_with_the_right_geometry(segmented, small_ct, tmp_path, button, name):
    with segmented.tab.expect_download() as download:
        segmented.tab.get_by_role("link", name=button, exact=True).click()
    assert download.value.suggested_filename == name
    download.value.save_as(tmp_path / name)
    image, ct = sitk.ReadImage(str(tmp_path / name)), sitk.ReadImage(str(small_ct))
    assert image.GetSpacing() == pytest.approx(ct.GetSpacing())
    assert image.GetDirection() == pytest.approx(ct.GetDirection())
    first = ct.TransformPhysicalPointToContinuousIndex(image.GetOrigin())
    assert np.allclose(first, np.round(first), atol=1e-3)
    voxels = sitk.GetArrayFromImage(image)
    if "seg" in name:
        voxel_ml = float(np.prod(image.GetSpacing())) / 1000
        assert np.count_nonzero(voxels) * voxel_ml == pytest.approx(segmented.volume(), abs=0.1)
    else:
        assert voxels.max() > 200


def test_the_scene_can_be_saved_with_its_parts(segmented, tmp_path):
    names = _saved_scene(segmented, tmp_path)
    assert sum(name.endswith(".mrml") for name in names) == 1
    assert sum(name.endswith(".seg.nrrd") for name in names) == 1


def test_segmenting_again_replaces_the_result_and_its_corrections(segmented, tmp_path):
    volume = segmented.volume()
    segmented.tool("Add")
    segmented.view("Red").click(position=_beside_the_segment(segmented.resting_picture("Red")))
    segmented.wait("state('additions') === 1")
    segmented.button("Segment Pancreas").click()
    segmented.button("Keep the result").click()
    segmented.wait("state('question') === null")
    assert (segmented.state("additions"), segmented.state("run")) == (1, "")
    corrected = _saved_scene(segmented, tmp_path)  # nothing is lost from now on, so nothing is asked
    segmented.button("Segment Pancreas").click()
    segmented.wait("state('run') === '' && state('additions') === 0")
    assert segmented.volume() == pytest.approx(volume, abs=0.1)
    again = _saved_scene(segmented, tmp_path)
    assert sum(name.endswith(".seg.nrrd") for name in again) == 1
    assert len([name for name in again if ".mrk." in name]) < len([name for name in corrected if ".mrk." in name])
    segmented.tool("Browse")


def test_a_measured_run_offers_its_spread_to_see_and_to_save(segmented, tmp_path):
    assert not segmented.state("has_spread")
    measure = segmented.tab.get_by_label("Measure the spread (8 passes)")
    measure.check()
    segmented.button("Segment Pancreas").click()
    segmented.wait("state('run') === '' && state('has_spread')")
    measure.uncheck()
    before = segmented.resting_picture("Red")
    segmented.choose("Over the CT", "Spread (standard deviation)")
    segmented.wait("state('overlay_top') === '0.5'")
    segmented.wait_for_picture("Red", lambda now: _changed(now, before) > 50)
    segmented.choose("Over the CT", "None")
    with segmented.tab.expect_download() as download:
        segmented.tab.get_by_role("link", name="Spread .nrrd", exact=True).click()
    assert download.value.suggested_filename == "abdomen_spread.nrrd"
    download.value.save_as(tmp_path / "spread.nrrd")
    spread = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "spread.nrrd")))
    assert 10 < spread.max() <= 255


def test_cancel_ends_a_run_and_keeps_the_result(segmented):
    # A click that a finished run would take back: so it shows that the run was stopped, not only waited for.
    segmented.tool("Add")
    segmented.view("Red").click(position=_beside_the_segment(segmented.resting_picture("Red")))
    segmented.wait("state('additions') === 1")
    segmented.tool("Browse")
    volume = segmented.volume()
    measure = segmented.tab.get_by_label("Measure the spread (8 passes)")
    measure.check()  # so that the run lasts until it is cancelled
    segmented.tab.evaluate(RECORD_CALLS)
    segmented.button("Segment Pancreas").click()
    segmented.button("Segment again").click()
    segmented.button("Cancel").click()
    segmented.wait("state('run') === ''")
    segmented.tab.evaluate("() => { window.trame.trigger = window.triggerOfPage; }")
    measure.uncheck()
    assert segmented.state("has_result")
    assert (segmented.state("additions"), segmented.volume()) == (1, volume)
    assert segmented.state("notices") == []


def test_cancel_in_the_moment_of_the_start_is_not_lost(segmented):
    """The same three clicks, all of them before the session knows of the run."""
    kept = segmented.state("additions"), segmented.volume()
    segmented.tab.evaluate(RECORD)
    segmented.tab.evaluate("() => { for (const words of window.calls) window.trame.trigger(...words); }")
    segmented.wait("window.seen.some(([run]) => run !== '') && state('run') === ''")
    segmented.tab.evaluate("() => window.endRecording()")
    assert (segmented.state("additions"), segmented.volume()) == kept


def test_another_ct_after_a_result_starts_anew(segmented, tmp_path):
    write_phantom(make_phantom(1, (2.5, 2.5, 4.0)), tmp_path / "second.nrrd")
    segmented.tool("Add")
    segmented.view("Red").click(position=_beside_the_segment(segmented.resting_picture("Red")))
    segmented.wait("state('additions') === 1")
    segmented.tab.locator("#ct-file").set_input_files(tmp_path / "second.nrrd")
    segmented.button("Open another CT").click()
    segmented.wait("state('volume_name') === 'second' && state('opening') === ''")
    assert not segmented.state("has_result")
    assert segmented.state("volume_ml") is None
    assert (segmented.state("tool"), segmented.state("additions"), segmented.state("can_undo")) == ("browse", 0, False)
    segmented.wait_for_picture("Red", lambda now: np.count_nonzero(_is_orange(now)) == 0)
    segmented.button("Segment Pancreas").click()
    segmented.wait("state('has_result') && state('run') === ''")
    assert segmented.volume() > 20
    for name in ("Red", "ThreeD"):
        segmented.wait_for_picture(name, lambda now: np.count_nonzero(_is_orange(now)) > 60)
    volume = segmented.volume()
    segmented.tool("Paint")
    _drag(segmented, _beside_the_segment(segmented.resting_picture("Red")))
    segmented.wait(f"state('volume_ml') > {volume} && state('can_undo')")
    segmented.tool("Browse")


def test_nothing_is_asked_of_another_machine(segmented, server):
    outside = [url for url in segmented.requested if not url.startswith((server.origin, "data:", "blob:"))]
    assert outside == []


def test_controls_have_names_and_the_focus_is_visible(segmented):
    unnamed = segmented.tab.evaluate(
        """() => [...document.querySelectorAll('.page button, .page a, .page input, .page [role=slider]')]
            .filter((each) => each.offsetParent && !each.innerText?.trim() && !each.getAttribute('aria-label')
                && !each.getAttribute('aria-labelledby') && !(each.labels && each.labels.length))
            .map((each) => each.outerHTML.slice(0, 120))"""
    )
    assert unnamed == []
    segmented.button("Open").focus()
    for _ in range(12):
        segmented.tab.keyboard.press("Tab")
        outlines = segmented.tab.evaluate(
            """() => [document.activeElement, document.activeElement.closest('.v-field'),
                      document.activeElement.closest('.v-selection-control__wrapper'),
                      document.activeElement.querySelector('.v-slider-thumb__surface')]
                .map((each) => each && getComputedStyle(each).outlineStyle)"""
        )
        focused = segmented.tab.evaluate("() => document.activeElement.outerHTML.slice(0, 150)")
        assert "solid" in outlines, focused


def _saved_scene(page, folder) -> list[str]:
    """Download the scene and return the names of the files in it."""
    with page.tab.expect_download() as download:
        page.tab.get_by_role("link", name="Scene .mrb", exact=True).click()
    download.value.save_as(folder / "scene.mrb")
    with zipfile.ZipFile(folder / "scene.mrb") as bundle:
        return bundle.namelist()


def _changed(now: np.ndarray, before: np.ndarray) -> int:
    """How many pixels differ, by more than what a picture in motion (JPEG) shows."""
    return int(np.count_nonzero(np.abs(now - before).max(axis=2) > 20)) if now.shape == before.shape else now.size


def _is_orange(picture: np.ndarray) -> np.ndarray:
    """Which pixels have the colour of the segment's outline."""
    red, green, blue = np.moveaxis(picture, 2, 0)
    return (red > 220) & (abs(green - 180) < 30) & (blue < 150)


def _outline(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(_is_orange(picture))
    assert len(rows), "no outline in this view"
    return rows, columns


def _inside_the_segment(picture: np.ndarray) -> dict[str, float]:
    """A point midway between the two edges of the row in which the outline is widest apart."""
    rows, columns = _outline(picture)
    row = max(set(rows), key=lambda each: np.ptp(columns[rows == each]))
    inside = columns[rows == row]
    gaps = np.diff(np.sort(inside))
    left = np.sort(inside)[gaps.argmax()]
    return {"x": float(left + gaps.max() / 2), "y": float(row)}


def _beside_the_segment(picture: np.ndarray) -> dict[str, float]:
    """A point in soft tissue a little to the right of the outline's right end."""
    rows, columns = _outline(picture)
    rightmost = columns.argmax()
    return {"x": float(columns[rightmost] + 9), "y": float(rows[rightmost])}


def _drag(page, spot: dict[str, float], distance: float = 12) -> None:
    box = page.view("Red").bounding_box()
    x, y = box["x"] + spot["x"], box["y"] + spot["y"]
    page.tab.mouse.move(x, y)
    page.tab.wait_for_timeout(200)
    page.tab.mouse.down()
    page.tab.wait_for_timeout(100)
    page.tab.mouse.move(x + distance, y, steps=6)
    page.tab.wait_for_timeout(200)
    page.tab.mouse.up()
