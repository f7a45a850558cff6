"""A CT read by another process: the same CT, the same sentences, and an end at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput, Cancelled
from AttentionUNetSegLib.imaging import read_volume
from AttentionUNetSegLib.worker import reading
from AttentionUNetSegLib.worker.reading import Reader
from dicom_slice import dicom_slice


@pytest.mark.skipif(os.name != "posix", reason="a process is stopped the POSIX way")
def test_what_comes_back_is_what_read_volume_gives_and_what_hangs_is_ended_at_once(tmp_path):
    folder = tmp_path / "M\udce4rz"  # not UTF-8
    folder.mkdir()
    for k in range(10):
        dicom_slice(folder / f"{k}", (-20.0, -30.0, 3.0 * k), "1.2.3", (0.8, 0.6, 0, -0.6, 0.8, 0))
    dicom_slice(folder / "other", (0.0, 0.0, 0.0), "1.2.4", SeriesNumber=2)
    reader = Reader()
    here, there = read_volume(folder), reader.read(folder)
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
        reader.read(folder, "7")
    assert str(refused.value) == str(expected.value)
    (process,) = reading_processes()
    process.send_signal(signal.SIGSTOP)  # it stands for one that hangs in a library or on a disk
    for end, kind, words in (
        (reader.stop, Cancelled, "Cancelled"),
        (lambda: reading_processes()[0].kill(), BadInput, "hangs.nrrd was killed, as a system does"),
    ):
        raised = []
        thread = threading.Thread(target=lambda raised=raised: raised.append(failure(reader, tmp_path / "hangs.nrrd")))
        thread.start()
        while not reading_processes():
            time.sleep(0.01)
        process = reading_processes()[0]
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        assert thread.is_alive()
        started = time.monotonic()
        end()
        thread.join(60)
        assert not thread.is_alive() and not process.is_running()
        assert time.monotonic() - started < 20, "far less on a machine that has nothing else to do"
        assert isinstance(raised[0], kind) and words in str(raised[0])
    assert reading_processes() == []


def failure(reader: Reader, path: Path) -> Exception | None:
    try:
        reader.read(path)
    except Exception as error:
        return error
    return None


def reading_processes() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "reading_process" in str(each.cmdline())]


def test_a_stop_while_the_process_is_being_started_ends_it(tmp_path, monkeypatch):
    """Starting takes a while on a busy machine, and the process of a CT that hangs would be there for ever."""
    reader, begun, started = Reader(), [], reading._started

    def stopped_meanwhile():
        begun.append(started())
        reader.stop()
        return begun[-1]

    monkeypatch.setattr(reading, "_started", stopped_meanwhile)
    with pytest.raises(Cancelled):
        reader.read(tmp_path / "any.nrrd")
    assert begun[0].returncode is not None, "killed, and waited for"

    turn = reader.turn()
    reader.stop()
    monkeypatch.setattr(reading, "_started", started)
    with pytest.raises(Cancelled):
        reader.read(tmp_path / "any.nrrd", turn=turn)
    with pytest.raises(BadInput):
        reader.read(tmp_path / "any.nrrd")
    reader.stop()
