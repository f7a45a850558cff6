"""Files that somebody sends: their names and archives are not to be trusted."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.web.background import cancellable, read_in_background
from AttentionUNetSegLib.web.received_files import choices_in
from AttentionUNetSegLib.web.uploads import display_name, name_of_volume, unpack
from AttentionUNetSegLib.worker.reading import Reader
from hypothesis import given
from hypothesis import strategies as st


def archive(folder: Path, files: dict[str, bytes], name: str = "upload.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for member, content in files.items():
            opened.writestr(member, content)
    return path


@given(st.text(max_size=200))
def test_a_sent_name_never_holds_a_path(name):
    for shown in (display_name(name), name_of_volume(name)):
        assert shown
        assert len(shown) <= 80
        assert "/" not in shown
        assert "\\" not in shown
        assert shown.isprintable()


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("ct.nii.gz", "ct"),
        ("C:\\data\\Patient A.nrrd", "Patient A"),
        ("../../etc/passwd", "passwd"),
        ("CT.NII", "CT"),
        (".nrrd", ".nrrd"),
        ("", "The file"),
    ],
)
def test_names_are_shown_without_folders_and_endings(sent, name):
    assert name_of_volume(sent) == name


@pytest.mark.parametrize(
    "member", ["../../outside.dcm", "/etc/outside.dcm", "a\\..\\..\\outside.dcm", "a/../../outside.dcm"]
)
def test_files_in_an_archive_stay_in_their_folder(tmp_path, member):
    inner = tmp_path / "inner"
    inner.mkdir()
    unpacked = unpack(archive(inner, {member: b"1", "b/c": b"2"}), "upload.zip", 10)
    assert sorted(path.name for path in unpacked.folder.iterdir()) == ["000000.dcm", "000001"]
    assert [path.name for path in tmp_path.rglob("*outside*")] == []


def test_an_archive_of_one_image_and_other_things_is_that_image(tmp_path):
    files = {"x/ct.nii.gz": b"1", "x/README.txt": b"2", "__MACOSX/x/._ct.nii.gz": b"3"}
    unpacked = unpack(archive(tmp_path, files), "a.zip", 10)
    (choice,) = choices_in(unpacked.folder, unpacked.names)
    assert (choice.path.name, choice.title, choice.series) == ("000000.nii.gz", "x/ct.nii.gz", None)


def test_of_several_images_what_is_called_a_label_comes_last(tmp_path):
    files = {"s/a_liver_label.nii.gz": b"1", "s/ct.nii.gz": b"2"}
    unpacked = unpack(archive(tmp_path, files), "a.zip", 10)
    assert [each.title for each in choices_in(unpacked.folder, unpacked.names)] == [
        "s/ct.nii.gz", "s/a_liver_label.nii.gz"
    ]  # fmt: skip


@pytest.mark.parametrize("data", ["ct.zraw", "../b/ct.zraw", "/etc/passwd"])
def test_a_header_is_joined_with_data_of_its_own_folder_only(tmp_path, data):
    header = f"ObjectType = Image\nElementDataFile = {data}\n".encode()
    files = {"a/ct.mhd": header, "a/ct.zraw": b"1", "b/ct.zraw": b"2"}
    unpacked = unpack(archive(tmp_path, files), "a.zip", 10)
    if data == "ct.zraw":
        choices_in(unpacked.folder, unpacked.names)
        assert (unpacked.folder / "000000.mhd").read_bytes().endswith(b"ElementDataFile = 000001.zraw\n")
    else:
        with pytest.raises(BadInput, match="was not sent with it"):
            choices_in(unpacked.folder, unpacked.names)


def test_an_archive_that_grows_too_large_is_refused(tmp_path):
    bomb = archive(tmp_path, {"a": b"\0" * 3_000_000})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(BadInput, match="too large when unpacked"):
        unpack(bomb, "bomb.zip", 2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"not an archive"])
def test_a_damaged_archive_is_said_to_be_one(tmp_path, content):
    path = tmp_path / "upload.zip"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"scan\.zip is not a usable \.zip file"):
        unpack(path, "scan.zip", 10)


@pytest.mark.skipif(os.name != "posix", reason="a process is stopped the POSIX way")
def test_cancel_ends_the_process_that_reads(tmp_path):
    """A stopped process stands for one that hangs."""

    async def open_and_cancel() -> psutil.Process:
        opening = asyncio.create_task(read_in_background(Reader(), tmp_path / "hangs.nrrd"))
        children: list[psutil.Process] = []
        while not children:
            await asyncio.sleep(0.01)
            children = [each for each in psutil.Process().children() if "reading_process" in str(each.cmdline())]
        children[0].send_signal(signal.SIGSTOP)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        return children[0]

    # In a thread of its own: where a browser was driven before, this one has an event loop already.
    with ThreadPoolExecutor(1) as beside:
        process = beside.submit(asyncio.run, open_and_cancel()).result(timeout=60)
    _, alive = psutil.wait_procs([process], timeout=30)
    assert alive == []


def test_cancel_ends_unpacking_and_the_search_of_a_folder(tmp_path):
    """Both stand for what is huge: each comes to a second file only after the cancel."""
    inner = tmp_path / "inner"
    inner.mkdir()
    big = archive(inner, {f"{n}.dcm": b"no DICOM" for n in range(200)})

    async def cancel(work, *arguments) -> int:
        calls: list[int] = []
        begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def watched(*given):
            check = given[-1]

            def counted() -> None:
                calls.append(1)
                begun.set()
                go_on.wait(30)
                check()

            try:
                return work(*given[:-1], counted)
            finally:
                ended.set()

        task = asyncio.create_task(cancellable(watched, *arguments))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert ended.wait(30)
        return len(calls)

    with ThreadPoolExecutor(1) as beside:
        assert beside.submit(asyncio.run, cancel(unpack, big, "big.zip", 10)).result(60) == 1
        assert list(inner.iterdir()) == [], "neither the archive nor what was unpacked"
        for n in range(200):
            (inner / f"{n}").write_bytes(b"no DICOM")
        assert beside.submit(asyncio.run, cancel(choices_in, inner, None)).result(60) == 1
