"""A CT read by another process: the same CT, the same sentences, and an end at once."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput, Cancelled
from AttentionUNetSegLib.imaging import read_volume
from AttentionUNetSegLib.worker.reading import Reading
from dicom_slice import dicom_slice


def test_what_comes_back_is_what_read_volume_gives(tmp_path):
    folder = tmp_path / "M\udce4rz"  # not UTF-8
    folder.mkdir()
    for k in range(10):
        dicom_slice(folder / f"{k}", (-20.0, -30.0, 3.0 * k), "1.2.3", (0.8, 0.6, 0, -0.6, 0.8, 0))
    dicom_slice(folder / "other", (0.0, 0.0, 0.0), "1.2.4", SeriesNumber=2)
    here, there = read_volume(folder), Reading(folder).volume()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(there.image), sitk.GetArrayFromImage(here.image))
    assert there.image.GetPixelID() == here.image.GetPixelID()
    for part in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(there.image, part)() == getattr(here.image, part)()
    for part in ("name", "warnings", "dicom_files", "left_out", "is_phantom"):
        assert getattr(there, part) == getattr(here, part)
    assert there.left_out and there.dicom_files[0].exists()
    with pytest.raises(BadInput) as expected:
        read_volume(folder, "7")
    with pytest.raises(BadInput) as refused:
        Reading(folder, "7").volume()
    assert str(refused.value) == str(expected.value)


@pytest.mark.skipif(os.name != "posix", reason="a process is stopped the POSIX way")
@pytest.mark.parametrize("is_ours", [True, False], ids=["cancelled", "killed by the system"])
def test_what_hangs_is_ended_at_once_and_leaves_nothing(tmp_path, is_ours):
    """A stopped process stands for one that hangs in a library or on a disk."""
    reading, raised = Reading(tmp_path / "hangs.nrrd"), []

    def read() -> None:
        try:
            reading.volume()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    process = child_of_this(60)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    assert thread.is_alive()
    started = time.monotonic()
    reading.kill() if is_ours else process.kill()
    thread.join(60)
    assert not thread.is_alive() and not process.is_running()
    assert time.monotonic() - started < 20, "far less on a machine that has nothing else to do"
    (error,) = raised
    assert isinstance(error, Cancelled) if is_ours else "hangs.nrrd was killed, as a system does" in str(error)


def child_of_this(seconds: float) -> psutil.Process:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for child in psutil.Process().children():
            if any("reading_process" in word for word in child.cmdline()):
                return child
        time.sleep(0.01)
    pytest.fail("no process was started")
