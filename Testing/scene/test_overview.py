"""The overview picture, looked at pixel by pixel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import read_volume
from AttentionUNetSegLib.scene import (
    RenderingUnavailable,
    add_volume,
    import_result,
    render_overview,
    set_threshold,
)
from AttentionUNetSegLib.scene.overview.offscreen import require_offscreen_rendering
from PIL import Image
from scipy import ndimage

SIZE = (1200, 700)
CONTOUR = np.array([249, 180, 111])


@pytest.fixture(autouse=True, scope="module")
def a_machine_that_can_draw():
    try:
        require_offscreen_rendering()
    except RenderingUnavailable as error:
        pytest.skip(str(error))


def picture(nodes, path: Path) -> np.ndarray:
    render_overview(nodes, path, SIZE)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert pixels.shape == (SIZE[1], SIZE[0], 3)
    return pixels


def panels(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The six slices without their margins, where the letters are."""
    width, height = (SIZE[0] - 16) // 3, (SIZE[1] - 58 - 12) // 2
    names = ["axial", "coronal", "sagittal", "axial attention", "coronal attention", "sagittal attention"]
    margin = 32
    return {
        name: pixels[
            4 + (index // 3) * (height + 4) + margin : 4 + (index // 3) * (height + 4) + height - margin,
            4 + (index % 3) * (width + 4) + margin : 4 + (index % 3) * (width + 4) + width - margin,
        ]
        for index, name in enumerate(names)
    }


def contour(pixels: np.ndarray) -> np.ndarray:
    return np.abs(pixels - CONTOUR).max(axis=-1) < 40


def centre(mask: np.ndarray) -> np.ndarray:
    """Row and column of the middle of a mask, from -1 (top, left) to 1."""
    return 2 * np.argwhere(mask).mean(axis=0) / mask.shape - 1


def test_the_contour_is_in_every_plane_and_goes_when_the_segment_is_hidden(nodes, tmp_path):
    shown = panels(picture(nodes, tmp_path / "shown.png"))
    for name in ("axial", "coronal", "sagittal"):
        assert contour(shown[name]).sum() > 50, name
    nodes.segmentation.GetDisplayNode().SetSegmentVisibility("Pancreas", False)
    hidden = panels(picture(nodes, tmp_path / "hidden.png"))
    for name in ("axial", "coronal", "sagittal"):
        assert contour(hidden[name]).sum() == 0, name


def test_the_contour_is_where_the_segment_is(nodes, tmp_path):
    set_threshold(nodes, 0.5, keep_largest=True)
    axial = contour(panels(picture(nodes, tmp_path / "out.png"))["axial"])
    rows, columns = np.nonzero(axial)
    # The large blob is about 7.6 voxels across at a probability of one half: 3.0 and 3.6 mm each.
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(3.0 / 3.6, abs=0.2)
    set_threshold(nodes, 0.9, keep_largest=True)
    smaller = contour(panels(picture(nodes, tmp_path / "smaller.png"))["axial"])
    assert np.ptp(np.nonzero(smaller)[1]) < 0.6 * np.ptp(columns)


def test_attention_is_in_the_lower_row_only(nodes, tmp_path):
    shown = panels(picture(nodes, tmp_path / "out.png"))
    for plane in ("axial", "coronal", "sagittal"):
        colourful = np.ptp(shown[plane], axis=-1) > 60
        assert not (colourful & ~contour(shown[plane])).sum() > 0.2 * contour(shown[plane]).sum()
        overlaid = shown[f"{plane} attention"]
        assert (np.ptp(overlaid, axis=-1) > 60).sum() > 5 * colourful.sum()


def test_attention_outside_of_the_body_is_not_drawn(nodes, tmp_path):
    """Neither in the air nor in the table; gas within the body is within it."""
    ct = slicer.util.arrayFromVolume(nodes.volume)
    ct[:, -3:, 10:50] = 40  # a table
    ct[:, 20:24, 30:34] = -1000  # gas
    slicer.util.arrayFromVolume(nodes.attention[0])[:] = 200
    shown = panels(picture(nodes, tmp_path / "out.png"))
    tissue = shown["axial"].max(axis=-1) > 60
    labels, _ = ndimage.label(tissue | contour(shown["axial"]))
    body = ndimage.binary_fill_holes(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
    colourful = np.ptp(shown["axial attention"], axis=-1) > 60
    assert colourful[body].mean() > 0.95
    assert (tissue & ~body).sum() > 400, "the table is in the picture"
    assert colourful[~ndimage.binary_dilation(body, iterations=8)].sum() == 0


def test_left_front_and_top_are_where_radiologists_expect_them(scene, ct_node, job, tmp_path):
    """The planes go through the bright cube at the patient's left, front, top."""
    cube = sitk.Cast(job.ct > 500, sitk.sitkUInt8) * 255
    sitk.WriteImage(cube, str(job.folder / "probability.nrrd"))
    shown = panels(picture(import_result(scene, ct_node, job.result, job.folder), tmp_path / "out.png"))
    row, column = centre(shown["axial"].min(axis=-1) > 240)
    assert row < -0.1 < 0.1 < column
    row, column = centre(shown["coronal"].min(axis=-1) > 240)
    assert row < -0.1 < 0.1 < column
    row, column = centre(shown["sagittal"].min(axis=-1) > 240)
    assert row < -0.1
    assert column < -0.1


def test_a_network_without_gates_shows_its_probability(scene, ct_node, job, tmp_path):
    for path in job.folder.glob("attention_*"):
        path.unlink()
    nodes = import_result(scene, ct_node, {"threshold": 0.5}, job.folder)
    shown = panels(picture(nodes, tmp_path / "out.png"))
    assert (np.ptp(shown["axial attention"], axis=-1) > 60).sum() > 100


def test_an_empty_segment_still_gives_a_picture(nodes, tmp_path):
    slicer.util.arrayFromVolume(nodes.probability)[:] = 0
    set_threshold(nodes, 0.5)
    shown = panels(picture(nodes, tmp_path / "out.png"))
    assert contour(shown["axial"]).sum() == 0
    assert shown["axial"].max() > 60


def test_the_picture_follows_the_parent_transform(scene, ct_node, job, move, tmp_path):
    plain = import_result(scene, ct_node, job.result, job.folder)
    before = contour(panels(picture(plain, tmp_path / "plain.png"))["axial"])
    move(ct_node)
    moved = import_result(scene, ct_node, job.result, job.folder)
    after = contour(panels(picture(moved, tmp_path / "moved.png"))["axial"])
    assert after.sum() > 50
    assert (before != after).sum() > 50


def test_the_scene_is_as_before(scene, nodes, tmp_path):
    def state() -> list:
        return [(node.GetID(), node.GetMTime()) for node in slicer.util.getNodesByClass("vtkMRMLNode", scene)]

    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    before, logic, current = state(), factory.GetMRMLApplicationLogic(), slicer.mrmlScene
    picture(nodes, tmp_path / "out.png")
    assert state() == before
    assert factory.GetMRMLApplicationLogic() is logic
    assert slicer.mrmlScene is current
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job", "out.png"]


def test_too_small_a_picture_and_a_missing_folder_are_refused(nodes, tmp_path):
    with pytest.raises(BadInput, match="too small"):
        render_overview(nodes, tmp_path / "out.png", (200, 100))
    with pytest.raises(BadInput, match="no folder"):
        render_overview(nodes, tmp_path / "missing" / "out.png")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the libraries are hidden the Linux way")
@pytest.mark.parametrize("hidden", ["libEGL.so.1 libEGL.so libOSMesa.so.8 libOSMesa.so", "libX11.so.6 libX11.so"])
def test_a_machine_without_the_libraries_gets_a_sentence_that_names_the_package(tmp_path, hidden):
    """Empty files in front of the real libraries: loading them fails, and VTK would crash."""
    for name in hidden.split():
        (tmp_path / name).touch()
    code = (
        "from AttentionUNetSegLib.scene.overview.offscreen import RenderingUnavailable, require_offscreen_rendering\n"
        "try:\n    require_offscreen_rendering()\n"
        "except RenderingUnavailable as error:\n    print(error)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    environment["LD_LIBRARY_PATH"] = str(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    assert "apt-get install libegl1" in run.stdout


def test_a_real_ct_is_the_right_way_round(scene, shared_data, tmp_path):
    """Liver on the left of the picture, spine at the bottom, heart above: portal venous CT, crlm_1006."""
    folder = shared_data / "ct" / "crlm_1006"
    if not (folder / "teacher_pancreas.nii.gz").is_file():
        pytest.skip(f"{folder} holds no CT with a teacher's labels")
    mask = sitk.ReadImage(str(folder / "teacher_pancreas.nii.gz")) > 0
    sitk.WriteImage(sitk.Cast(mask, sitk.sitkUInt8) * 255, str(tmp_path / "probability.nrrd"))
    nodes = import_result(scene, add_volume(scene, read_volume(folder / "ct.nii.gz")), {"threshold": 0.5}, tmp_path)
    shown = panels(picture(nodes, tmp_path / "out.png"))
    grey = shown["axial"].max(axis=-1)
    rows, columns = grey.shape
    bone = grey > 250
    bone[: rows // 2] = False
    bone[:, : columns // 3] = False
    bone[:, -columns // 3 :] = False
    assert centre(bone)[0] > 0.2, "the spine is not at the bottom"
    liver = (grey > 120) & (grey < 190)
    left, right = liver[:, : columns // 3].sum(), liver[:, -columns // 3 :].sum()
    assert left > 1.5 * right, "the liver is not on the left of the picture"
