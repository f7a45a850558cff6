"""The first screen, what can be opened there, and what is said where it cannot; and that all of it ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.phantom.tissues import Label
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from .conftest import PATIENCE_SECONDS, Page


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory):
    from .conftest import running_server

    with running_server(tmp_path_factory.mktemp("empty"), "--upload-limit", 8, "--stay") as running:
        yield running


@pytest.fixture
def first_screen(browser, empty_server):
    page = Page(browser, empty_server)
    yield page
    page.context.close()


def choose(page: Page, *files: Path | dict) -> None:
    page.tab.locator("#ct-file").set_input_files(list(files))


def alert(page: Page) -> str:
    return page.tab.get_by_role("alert").last.inner_text()


def test_the_first_screen_says_what_to_do(first_screen):
    assert first_screen.tab.get_by_role("heading", level=1).inner_text() == "Segment the pancreas on an abdominal CT"
    assert first_screen.tab.get_by_text("Drop a CT here").is_visible()
    assert first_screen.button("Segment Pancreas").is_disabled()
    assert first_screen.tab.get_by_role("slider", name="Threshold").get_attribute("tabindex") == "-1"
    with first_screen.tab.expect_file_chooser():
        first_screen.button("Choose a file").click()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.pdf", b"%PDF", "notes.pdf is no file that can be opened here"),
        ("empty.nrrd", b"", "empty.nrrd is empty"),
        ("broken.nii.gz", b"not a CT", "broken"),
        ("scan.zip", b"not an archive", "scan.zip is not a usable .zip file"),
        ("large.nrrd", bytes(9 << 20), "large.nrrd is larger than 8 MB"),
    ],
)
def test_a_wrong_file_is_named_in_a_sentence(first_screen, empty_server, name, content, sentence):
    choose(first_screen, {"name": name, "mimeType": "application/octet-stream", "buffer": content})
    first_screen.tab.get_by_role("alert").first.wait_for()
    said = alert(first_screen)
    assert sentence in said
    assert "Traceback" not in said
    assert str(empty_server.temporary) not in said
    assert first_screen.button("Choose a file").is_enabled()
    first_screen.button("Dismiss").first.click()
    first_screen.wait("state('notices').length === 0")
    assert uploads_left(empty_server) == []


def test_an_image_that_is_no_ct_is_refused_with_the_reason(first_screen, tmp_path):
    sitk.WriteImage(sitk.Image(20, 20, 3, sitk.sitkInt16), str(tmp_path / "thin.nrrd"))
    choose(first_screen, tmp_path / "thin.nrrd")
    first_screen.tab.get_by_role("alert").first.wait_for()
    assert "slices" in alert(first_screen)
    first_screen.button("Dismiss").first.click()


def test_a_zipped_dicom_folder_with_two_series_asks_which(first_screen, empty_server, small_ct, tmp_path):
    with zipfile.ZipFile(tmp_path / "patient.zip", "w", zipfile.ZIP_STORED) as opened:
        for number, description in ((2, "Arterial"), (3, "Portal venous")):
            for name, content in dicom_series(small_ct, tmp_path, number, description):
                opened.writestr(f"../{description}/{name}", content)
    choose(first_screen, tmp_path / "patient.zip")
    choice = first_screen.tab.get_by_role("dialog").get_by_role("button", name="3 Portal venous")
    assert "2026-01-31" in choice.inner_text()
    assert "55 slices" in choice.inner_text()
    assert "4 mm thick" in choice.inner_text()
    choice.click()
    first_screen.wait("state('volume_name') === 'Portal venous' && state('opening') === ''")
    assert "× 55 voxels" in first_screen.state("volume_details")
    assert len(uploads_left(empty_server)) == 1  # the DICOM files that a DICOM SEG would refer to


def test_a_dicom_folder_is_opened_as_it_is(first_screen, small_ct, tmp_path):
    """One without a description has the folder's name, and what is wrong with a file is said of its own name."""
    for number, name, description in ((2, "Arterial", "Arterial"), (3, "Late", "")):
        folder = tmp_path / name / "series"
        folder.mkdir(parents=True)
        for file_name, content in dicom_series(small_ct, tmp_path, number, description):
            (folder / file_name).write_bytes(content)
    (folder / file_name).write_bytes(content[:-99])
    first_screen.tab.locator("#ct-folder").set_input_files(tmp_path / "Arterial")
    first_screen.wait("state('volume_name') === 'Arterial' && state('opening') === ''")
    drop(first_screen, tmp_path / "Late")
    first_screen.wait("state('volume_name') === 'Late' && state('opening') === ''")
    (notice,) = first_screen.state("notices")
    assert "3_54.dcm (" in notice["text"]
    first_screen.button("Dismiss").click()
    first_screen.wait("state('notices').length === 0")


def test_seg_and_sr_lie_on_the_slices_that_the_page_was_sent(first_screen, small_ct, tmp_path):
    highdicom = pytest.importorskip("highdicom", reason="DICOM objects need the extra dicom")
    label = small_ct.with_name("abdomen_label.nrrd")
    folder = tmp_path / "series"
    folder.mkdir()
    for name, content in dicom_series(small_ct, tmp_path, 4, "Venous"):
        (folder / name).write_bytes(content)
    first_screen.tab.locator("#ct-folder").set_input_files(folder)
    first_screen.wait("state('volume_name') === 'Venous' && state('opening') === ''")
    first_screen.button("Start from a segmentation instead").click()
    with first_screen.tab.expect_file_chooser() as chooser:
        first_screen.button("A segmentation file").click()
    chooser.value.set_files(label)
    # It holds all organs, so the page asks which, and says how large each is.
    first_screen.tab.get_by_role("button", name=re.compile(rf"^Label {int(Label.PANCREAS)} \(\d+\.\d mL\)$")).click()
    first_screen.wait("state('has_result') && state('opening') === ''")
    assert first_screen.save("SEG and SR .zip", tmp_path / "dicom.zip") == "Venous_pancreas_dicom.zip"
    with zipfile.ZipFile(tmp_path / "dicom.zip") as bundle:
        bundle.extractall(tmp_path)
    seg = highdicom.seg.segread(tmp_path / "Venous_pancreas.dcm")
    (segment,) = seg.SegmentSequence
    name = f"abdomen_label {int(Label.PANCREAS)}"
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == (name, "SEMIAUTOMATIC")
    slices = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda each: each.InstanceNumber)
    frames = seg.get_pixels_by_source_instance(
        [each.SOPInstanceUID for each in slices], assert_missing_frames_are_empty=True
    )
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(label))) == int(Label.PANCREAS)
    np.testing.assert_array_equal(frames[..., 0] != 0, expected)
    report = highdicom.sr.srread(tmp_path / "Venous_measurements.dcm")
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    volumes = [each.value for each in group.get_measurements() if each.name.meaning == "Volume"]
    assert volumes[0] == pytest.approx(expected.sum() * 0.025, rel=0.002)  # the parts' volumes follow
    assert seg.SOPInstanceUID in str(report)
    choose(first_screen, shutil.copy(small_ct, tmp_path / "next.nrrd"))  # a result would go with the next test's CT
    first_screen.wait("state('volume_name') === 'next' && state('opening') === ''")


def test_an_upload_that_does_not_end_can_be_cancelled_and_leaves_nothing(first_screen, empty_server, small_ct):
    """The line is slow: after seconds no more than a part of the file has come."""
    line = first_screen.context.new_cdp_session(first_screen.tab)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    line.send("Network.emulateNetworkConditions", slow)
    before = first_screen.state("volume_name")
    large = {"name": "slow.nrrd", "mimeType": "application/octet-stream", "buffer": small_ct.read_bytes() * 4}
    choose(first_screen, large)
    first_screen.wait("state('upload_fraction') > 0")
    first_screen.tab.reload()  # gone with the page that sent it: the next one waits for nothing
    first_screen.button("Phantom").wait_for()
    first_screen.wait("state('upload_fraction') === 0")
    choose(first_screen, large)
    first_screen.wait("state('upload_fraction') > 0")
    first_screen.button("Cancel").click()
    first_screen.wait("state('upload_fraction') === 0 && state('opening') === ''")
    line.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    assert first_screen.state("volume_name") == before
    assert first_screen.state("notices") == []
    assert uploads_left(empty_server) == []
    choose(first_screen, small_ct)
    first_screen.wait("state('volume_name') === 'abdomen' && state('opening') === ''")


def test_what_is_dropped_but_no_file_is_said_to_be_none(first_screen):
    session = first_screen.context.new_cdp_session(first_screen.tab)
    data = {"items": [{"mimeType": "text/plain", "data": "a link"}], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 400, "data": data})
    first_screen.tab.get_by_text("What was dropped is no file.").wait_for()


def test_header_and_data_are_opened_together(first_screen, small_ct, tmp_path):
    sitk.WriteImage(sitk.ReadImage(str(small_ct)), str(tmp_path / "apart.mhd"))
    choose(first_screen, tmp_path / "apart.mhd", tmp_path / "apart.raw")
    first_screen.wait("state('volume_name') === 'apart' && state('opening') === ''")
    choose(first_screen, tmp_path / "apart.mhd")
    first_screen.tab.get_by_role("alert").first.wait_for()
    assert "apart.mhd needs the file apart.raw" in alert(first_screen)


def test_an_uploaded_file_is_shown_and_its_copy_deleted(first_screen, empty_server, small_ct):
    choose(first_screen, small_ct)
    first_screen.wait("state('volume_name') === 'abdomen' && state('opening') === ''")
    first_screen.wait_for_picture("Red", lambda now: now.max() > 200)
    assert first_screen.state("volume_is_phantom")
    assert uploads_left(empty_server) == []


def test_the_phantom_button_draws_a_ct(first_screen):
    first_screen.button("Phantom").click()
    first_screen.wait("state('volume_name').startsWith('Phantom') && state('opening') === ''")
    first_screen.wait_for_picture("Red", lambda now: now.max() > 200)
    assert first_screen.button("Segment Pancreas").is_enabled()


def test_a_pipe_that_would_hang_is_refused_and_the_page_says_when_the_server_has_ended(
    browser, start_server, tmp_path, monkeypatch
):
    """In a Latin-1 locale, where the system can make one, and with a name that it cannot write."""
    folder = tmp_path / "locale"
    folder.mkdir()
    if localedef := shutil.which("localedef"):
        made = [localedef, "-i", "en_US", "-f", "ISO-8859-1", str(folder / "en_US.ISO-8859-1")]
        subprocess.run(made, capture_output=True, check=False)
    if (folder / "en_US.ISO-8859-1").is_dir():
        for name, value in (("LOCPATH", str(folder)), ("LC_ALL", "en_US.ISO-8859-1"), ("PYTHONUTF8", "0")):
            monkeypatch.setenv(name, value)
    name = "\xe4_\u03a3_hangs.nrrd"
    os.mkfifo(tmp_path / name)
    running = start_server(tmp_path / name, "--stay")
    page = Page(browser, running)
    page.wait("state('notices').length > 0 && state('opening') === ''")
    assert "hangs.nrrd" in str(page.state("notices"))
    page.button("Choose a file").wait_for()
    running.process.terminate()
    page.tab.get_by_role("heading", name="There is no connection to the server").wait_for()
    assert running.process.wait(30) == 0
    page.context.close()


def test_closing_the_tab_leaves_no_process_and_no_file_behind(browser, start_server, small_ct, tmp_path, monkeypatch):
    """The CT's name is not UTF-8, and the system knows ASCII only."""
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    ct = shutil.copy(small_ct, tmp_path / "M\udce4rz.nrrd")
    running = start_server(ct, "--linger", 2)
    page = Page(browser, running)
    page.wait("state('volume_name') === 'M?rz' && state('opening') === ''")
    page.button("Segment Pancreas").click()
    page.wait("state('run') === 'running' || state('has_result')")  # a busy browser may miss the run itself
    processes = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
    assert len(processes) >= 2  # the worker is one of them
    page.context.close()
    running.process.wait(30)
    _gone, alive = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert alive == []
    assert running.process.returncode == 0
    assert list(tmp_path.glob("attention-unet-seg*")) == []


def drop(page: Page, path: Path) -> None:
    """Drop a file or folder onto the page as a person does."""
    session = page.context.new_cdp_session(page.tab)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 400, "data": data})


def uploads_left(server) -> list[Path]:
    """What lies in the server's private folder once it has had the time to clean up."""
    (folder,) = server.temporary.glob("attention-unet-seg-page-*")
    end = time.monotonic() + PATIENCE_SECONDS
    while (left := list(folder.iterdir())) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def dicom_series(ct: Path, folder: Path, number: int, description: str):
    """The slices of a CT as DICOM files: names and contents."""
    image = sitk.ReadImage(str(ct))
    voxels = sitk.GetArrayFromImage(image)
    series, frame = generate_uid(), generate_uid()
    for k, slice_ in enumerate(voxels):
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
        data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = (
            data.SOPClassUID,
            data.SOPInstanceUID,
        )
        data.SeriesDate = "20260131"
        data.Modality, data.SeriesNumber, data.SeriesDescription = "CT", number, description
        data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = series, frame, frame
        data.Rows, data.Columns = slice_.shape
        data.PixelSpacing = [image.GetSpacing()[1], image.GetSpacing()[0]]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = list(image.TransformIndexToPhysicalPoint((0, 0, k)))
        data.SliceThickness, data.InstanceNumber = image.GetSpacing()[2], k + 1
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.PixelData = np.ascontiguousarray(slice_, dtype="<i2").tobytes()
        path = folder / f"{number}_{k}.dcm"
        pydicom.dcmwrite(path, data, enforce_file_format=True)
        yield path.name, path.read_bytes()
        path.unlink()
