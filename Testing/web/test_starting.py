"""A result that starts from a segmentation of elsewhere, and what hands do to it: regions, strokes, walls, keys."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.phantom.tissues import Label
from dicom_segments import dicom_segments

from .conftest import Page

ORGANS = {"Spleen": Label.SPLEEN, "Pancreas": Label.PANCREAS}


@pytest.fixture(scope="module")
def truth(small_ct) -> sitk.Image:
    """The organs of the phantom that is open, by their numbers."""
    return sitk.ReadImage(str(small_ct.with_name("abdomen_label.nrrd")))


@pytest.fixture(scope="module")
def half(truth, tmp_path_factory):
    """A pancreas without its tail, on another grid than the CT's, as another tool would write it."""
    grid = sitk.Image([120, 100, 75], sitk.sitkUInt8)
    grid.SetSpacing((3.0, 3.0, 3.0))
    grid.SetOrigin([edge + 1.3 for edge in truth.GetOrigin()])
    gland = sitk.Resample(truth == int(Label.PANCREAS), grid, sitk.Transform(), sitk.sitkNearestNeighbor)
    voxels = sitk.GetArrayFromImage(gland)
    columns = np.nonzero(voxels)[2]
    voxels[:, :, int(np.quantile(columns, 0.6)) :] = 0
    image = sitk.GetImageFromArray(voxels)
    image.CopyInformation(gland)
    path = tmp_path_factory.mktemp("elsewhere") / "colleague.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def gland(truth) -> np.ndarray:
    """The voxels of the whole gland, world RAS in mm (n, 3)."""
    gland = np.argwhere(sitk.GetArrayFromImage(truth) == int(Label.PANCREAS))[:, ::-1]
    lps = gland * np.array(truth.GetSpacing()) + np.array(truth.GetOrigin())
    return lps * (-1, -1, 1)


@pytest.fixture(scope="module")
def missing(gland) -> np.ndarray:
    """The tail, on the patient's left."""
    return gland[gland[:, 0] < np.quantile(gland[:, 0], 0.35)]


@pytest.fixture(scope="module")
def started(page, half):
    """The page after it was sent the file."""
    start_from(page, "A segmentation file", half)
    return page


def start_from(page: Page, what: str, path) -> None:
    page.button("Start from a segmentation instead").click()
    with page.tab.expect_file_chooser() as chooser:
        page.button(what).click()
    chooser.value.set_files(path)
    page.wait("state('has_result') && state('opening') === ''")


def drag(page: Page, places) -> None:
    page.tab.mouse.move(*places[0])
    page.tab.wait_for_timeout(200)
    page.tab.mouse.down()
    for place in places[1:]:
        page.tab.mouse.move(*place, steps=3)
    page.tab.wait_for_timeout(200)
    page.tab.mouse.up()


def around(page: Page, region: np.ndarray, room_mm: float = 5.0) -> list[tuple[float, float]]:
    """Go to the slice where a region is largest; return the corners of a rectangle around it there, on the screen."""
    levels, counts = np.unique(region[:, 2], return_counts=True)
    level = float(levels[counts.argmax()])
    page.tab.evaluate("offset => window.trame.state.set('Red_offset', offset)", level)
    page.wait(f"Math.abs(state('Red_offset') - ({level})) < 2.1")
    there = region[region[:, 2] == level]
    low, high = there.min(axis=0) - room_mm, there.max(axis=0) + room_mm
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    return page.on_screen(*[(*corner, level) for corner in corners])


def undo(page: Page, volume: float) -> None:
    page.button("Undo").click()
    page.wait(f"Math.abs(state('volume_ml') - {volume}) < 0.011")


def test_untouched_the_segment_that_comes_out_is_the_one_that_went_in(started, half, tmp_path):
    assert started.state("started_from") == "Started from colleague (mask) of colleague.nii.gz"
    assert started.state("attention_levels") == []
    given = sitk.ReadImage(str(half))
    expected = np.count_nonzero(sitk.GetArrayFromImage(given)) * 0.027
    assert started.volume() == pytest.approx(expected, rel=0.05)
    started.save("On its own grid .nrrd", tmp_path / "own.nrrd")
    own = sitk.ReadImage(str(tmp_path / "own.nrrd"))
    assert own.GetOrigin() == pytest.approx(given.GetOrigin(), abs=1e-4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(own), sitk.GetArrayFromImage(given))


def test_a_lasso_adds_the_missed_tail_a_box_too_and_both_are_undone(started, missing):
    volume = started.volume()
    started.tool("Add")
    corners = around(started, missing)
    gains = {}
    for key, shape, places in (("2", "lasso", [*corners, corners[0]]), ("3", "box", [corners[0], corners[2]])):
        started.tab.keyboard.press(key)
        started.wait(f"state('shape') === '{shape}'")
        drag(started, places)
        started.wait(f"state('marks') === 1 && state('volume_ml') > {volume + 1}")
        gains[shape] = started.volume() - volume
        assert "mL" in started.tab.locator("#counts").inner_text()
        undo(started, volume)
        assert started.state("marks") == 0
    tail_ml = len(missing) * 0.025
    for gain in gains.values():
        assert 0.2 * tail_ml < gain < 1.6 * tail_ml


def test_a_lasso_removes_what_it_encloses(started, gland):
    volume = started.volume()
    started.tool("Remove")
    started.tab.keyboard.press("2")
    started.wait("state('shape') === 'lasso'")
    corners = around(started, gland[gland[:, 0] > np.quantile(gland[:, 0], 0.7)])
    drag(started, [*corners, corners[0]])
    started.wait(f"state('marks') === 1 && state('volume_ml') < {volume - 1}")
    undo(started, volume)


def test_a_stroke_that_teaches_adds_more_than_its_own_voxels(started, missing):
    volume = started.volume()
    started.tool("Paint")
    corners = around(started, missing, room_mm=-8.0)
    gains = []
    for teach in (False, True):
        if teach:
            started.tab.keyboard.press("t")
            started.wait("state('teach')")
        drag(started, [corners[0], corners[2]])
        started.wait(f"state('volume_ml') > {volume} && state('can_undo')")
        gains.append(started.volume() - volume)
        assert started.state("marks") == int(teach)
        undo(started, volume)
    started.tab.keyboard.press("t")
    started.wait("!state('teach')")
    assert gains[1] > 1.3 * gains[0]


def test_a_wall_is_not_entered_and_can_be_opened_again(started, truth, missing, tmp_path):
    """The half of the tail that lies higher is walled off, in a file that holds another segment too."""
    voxels = sitk.GetArrayFromImage(truth)
    organs = np.where(voxels == int(Label.PANCREAS), 0, np.minimum(voxels, 2)).astype(np.uint8)
    tail = np.zeros(voxels.shape, bool)
    index = np.rint((missing * (-1, -1, 1) - truth.GetOrigin()) / truth.GetSpacing()).astype(int)
    tail[tuple(index.T[::-1])] = True
    tail[:, :, : int(np.median(index[:, 0]))] = False
    organs[tail] = 7
    image = sitk.GetImageFromArray(organs)
    image.CopyInformation(truth)
    sitk.WriteImage(image, str(tmp_path / "organs.nii.gz"))
    with started.tab.expect_file_chooser() as chooser:
        started.tab.get_by_role("button", name="From a file", exact=True).click()
    chooser.value.set_files(tmp_path / "organs.nii.gz")
    started.tab.get_by_role("checkbox", name=re.compile("^Label 7 ")).check()
    started.button("Do not enter these").click()
    started.wait("state('walls').length === 1 && state('opening') === ''")
    assert started.state("walls")[0]["name"] == "organs 7"
    volume = started.volume()
    gains = []
    for is_wall in (True, False):
        if not is_wall:
            started.tab.get_by_role("checkbox", name="organs 7").uncheck()
            started.wait("!state('walls')[0].is_wall")
        started.tool("Add")
        started.tab.keyboard.press("3")
        started.wait("state('shape') === 'box'")
        corners = around(started, missing)
        drag(started, [corners[0], corners[2]])
        started.wait(f"state('marks') === 1 && state('volume_ml') > {volume}")
        gains.append(started.volume() - volume)
        undo(started, volume)
    assert gains[0] < 0.8 * gains[1]


def test_keys_move_the_threshold_and_the_overlay_and_accept(started):
    started.tab.keyboard.press("Escape")
    started.wait("state('tool') === 'browse'")
    volume, threshold = started.volume(), started.state("threshold")
    started.tab.keyboard.press("+")
    started.wait(f"state('threshold') > {threshold} && state('volume_ml') < {volume}")
    started.tab.keyboard.press("-")
    started.wait(f"Math.abs(state('volume_ml') - {volume}) < 0.011")
    started.tab.keyboard.press("o")
    started.wait("state('overlay') === 'probability'")
    started.tab.get_by_text("The segmentation that this began with").wait_for()
    started.tab.keyboard.press("o")
    started.wait("state('overlay') === 'off'")
    with started.tab.expect_download() as download:
        started.tab.keyboard.press("Control+s")
    assert download.value.suggested_filename == "abdomen_pancreas.seg.nrrd"


def test_what_started_from_a_mask_is_measured_without_a_range(started):
    started.button("Measure").click()
    started.wait("state('numbers_state') === 'ready'")
    numbers = {each["key"]: each for each in started.state("numbers")}
    assert float(numbers["volume"]["value"].split()[0]) == pytest.approx(started.volume(), rel=0.01)
    assert {each["range"] for each in numbers.values()} == {""}


def test_a_file_that_is_no_segmentation_is_refused_by_its_own_name(started, small_ct, tmp_path):
    volume = started.volume()
    noise = sitk.GetImageFromArray(np.random.default_rng(1).normal(size=(9, 9, 9)))
    sitk.WriteImage(noise, str(tmp_path / "noise.nrrd"))
    started.button("Start from a segmentation instead").click()
    with started.tab.expect_file_chooser() as chooser:
        started.button("A segmentation file").click()
    chooser.value.set_files(tmp_path / "noise.nrrd")
    alert = started.tab.get_by_role("alert").last
    alert.wait_for()
    assert "noise.nrrd holds fractions" in alert.inner_text()
    started.button("Dismiss").last.click()
    assert started.volume() == volume


def test_a_segment_of_the_scene_is_a_start_too(started):
    volume = started.volume()
    started.button("Start from a segmentation instead").click()
    started.tab.get_by_role("button", name="colleague (").click()
    started.wait("state('started_from').startsWith('Started from colleague') && !state('started_from').includes('nii')")
    assert started.volume() == pytest.approx(volume, abs=0.02)
    assert started.state("walls") == []


def test_one_of_several_dicom_segments_is_chosen_by_name_and_volume(started, server, truth, tmp_path):
    """Declined once: then nothing of the file is left on the server; its pixels are read when one is chosen."""
    organs = {name: sitk.Cast(truth == int(label), sitk.sitkUInt8) for name, label in ORGANS.items()}
    path = dicom_segments(tmp_path / "organs.dcm", organs)
    volumes = {name: 0.025 * int(sitk.GetArrayFromImage(organ).sum()) for name, organ in organs.items()}
    for choice in ("None of them", f"Spleen ({volumes['Spleen']:.1f} mL)"):
        started.button("Start from a segmentation instead").click()
        with started.tab.expect_file_chooser() as chooser:
            started.button("A segmentation file").click()
        chooser.value.set_files(path)
        started.button(f"Pancreas ({volumes['Pancreas']:.1f} mL)").wait_for()
        started.button(choice).click()
    started.wait("state('started_from') === 'Started from Spleen (mask) of organs.dcm' && state('opening') === ''")
    assert started.volume() == pytest.approx(volumes["Spleen"], abs=0.02)
    assert not list(server.temporary.rglob("*.dcm"))


def test_a_probability_of_elsewhere_is_a_start_whose_threshold_means_it(started, truth, tmp_path):
    """The last test: it takes the place of what the others began with."""
    inside = sitk.GetArrayFromImage(truth) == int(Label.PANCREAS)
    probability = sitk.GetImageFromArray((0.52 * inside).astype(np.float32))
    probability.CopyInformation(truth)
    sitk.WriteImage(probability, str(tmp_path / "net.nii.gz"))
    start_from(started, "A probability file", tmp_path / "net.nii.gz")
    whole = inside.sum() * np.prod(truth.GetSpacing()) / 1000
    is_whole = f"Math.abs(state('volume_ml') - {whole}) < {0.02 * whole}"
    started.wait(f"state('question') !== null || ({is_whole})")
    if started.state("question") is not None:  # what the other tests corrected is not saved
        started.tab.get_by_role("button", name="Start from a segmentation", exact=True).click()
    started.wait(is_whole)
    started.set_slider("Threshold", 0.55)
    started.wait("state('volume_ml') === 0")
    started.set_slider("Threshold", 0.5)
    started.wait(is_whole)
