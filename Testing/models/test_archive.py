"""Archives: the friendly ones are read, the hostile ones are refused before anything is written."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest
from AttentionUNetSegLib.errors import BadModel
from AttentionUNetSegLib.models import Catalogue, archive, sources


def pack(folder: Path, archive: Path, prefix: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(archive, "w", compression) as zipped:
        for path in sorted(folder.iterdir()):
            zipped.write(path, prefix + path.name)
    return archive


def append(archive: Path, name: str, content: bytes = b"x", mode: int = 0) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as zipped:
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = name  # past ZipInfo's own tidying of names
        entry.external_attr = mode << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        zipped.writestr(entry, content)


@pytest.fixture
def zipped(make_package, tmp_path) -> Path:
    return pack(make_package(), tmp_path / "model.zip")


def assert_refused(catalogue: Catalogue, path: Path, reason: str) -> None:
    with pytest.raises(BadModel, match=reason) as caught:
        catalogue.add(path)
    assert str(path) in caught.value.message
    assert catalogue.packages() == ()
    assert not catalogue.user.exists() or list(catalogue.user.iterdir()) == []


@pytest.mark.parametrize("prefix", ["", "pancreas-ct-1.0.0/"])
def test_package_at_the_top_or_in_the_only_folder_is_added(make_package, tmp_path, catalogue, prefix):
    path = pack(make_package(), tmp_path / "model.zip", prefix)
    append(path, "__MACOSX/._model.json")
    append(path, f"{prefix}.DS_Store")
    assert catalogue.add(path).package.folder == catalogue.user / "pancreas-ct"
    assert sorted(each.name for each in (catalogue.user / "pancreas-ct").iterdir()) == ["model.json", "weights.pt"]


def test_licence_texts_come_along_and_programs_do_not(make_package, tmp_path, catalogue):
    folder = make_package()
    (folder / "LICENSE.txt").write_text("CC BY 4.0")
    (folder / "run_me.py").write_text("print('no')")
    package = catalogue.add(pack(folder, tmp_path / "model.zip")).package
    assert sorted(each.name for each in package.folder.iterdir()) == ["LICENSE.txt", "model.json", "weights.pt"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../escape.txt", "reaches out"),
        ("a/../../escape.txt", "reaches out"),
        ("./model.txt", "reaches out"),
        ("a//b.txt", "reaches out"),
        ("/etc/cron.d/escape", "no plain relative path"),
        ("..\\escape.txt", "no plain relative path"),
        ("C:/escape.txt", "no plain relative path"),
        ("C:escape.txt", "no plain relative path"),
        ("weights.pt:stream", "no plain relative path"),
        ("WEIGHTS.PT", "is there twice"),
    ],
)
def test_entries_with_hostile_names_are_refused(zipped, catalogue, name, reason):
    append(zipped, name)
    assert_refused(catalogue, zipped, reason)


def test_name_that_is_cut_at_a_nul_is_refused(zipped, catalogue):
    append(zipped, "readme#.txt")
    zipped.write_bytes(zipped.read_bytes().replace(b"readme#.txt", b"readme\0.txt"))
    assert_refused(catalogue, zipped, "no plain relative path|damaged")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(zipped, catalogue, kind):
    append(zipped, "LICENSE", b"/etc/passwd", kind | 0o777)
    assert_refused(catalogue, zipped, "link or a special file")


def test_too_many_entries_are_refused(zipped, catalogue):
    for index in range(archive.MOST_ENTRIES):
        append(zipped, f"{index}.txt")
    assert_refused(catalogue, zipped, "entries")


def test_extreme_compression_is_refused(zipped, catalogue):
    append(zipped, "zeros.bin", bytes(4 * 2**20))
    assert_refused(catalogue, zipped, "compressed more than 100 times")


def test_declared_size_over_the_limit_is_refused(zipped, catalogue, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_PACKAGE_BYTES", 4000)
    assert_refused(catalogue, zipped, "unpacked it is")


def test_the_limit_holds_for_what_is_read_not_only_for_what_is_declared(zipped, catalogue, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST_PACKAGE_BYTES", 4000)
    assert_refused(catalogue, zipped, r"weights\.pt is larger than")


def test_entry_that_lies_about_its_size_is_refused(make_package, tmp_path, catalogue):
    path = pack(make_package(weights=bytes(3000)), tmp_path / "model.zip")
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 3000), struct.pack("<I", 10)))
    with zipfile.ZipFile(path) as lying:
        assert lying.getinfo("weights.pt").file_size == 10
    with pytest.raises(BadModel):
        catalogue.add(path)
    assert catalogue.packages() == ()


def test_encrypted_entry_is_refused(zipped, catalogue):
    content = bytearray(zipped.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    zipped.write_bytes(content)
    assert_refused(catalogue, zipped, "encrypted")


def test_damaged_archives_are_refused(zipped, make_package, tmp_path, catalogue):
    stored = pack(tmp_path / "source", tmp_path / "stored.zip", compression=zipfile.ZIP_STORED)
    stored.write_bytes(stored.read_bytes().replace(bytes(range(256)), bytes(256), 1))
    assert_refused(catalogue, stored, "damaged|CRC")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(zipped.read_bytes()[:-40])
    assert_refused(catalogue, cut, "damaged or not a .zip")
    text = tmp_path / "text.zip"
    text.write_text("not a zip")
    assert_refused(catalogue, text, "damaged or not a .zip")


def test_archives_without_one_manifest_near_the_top_are_refused(make_package, tmp_path, catalogue):
    folder = make_package()
    deep = pack(folder, tmp_path / "deep.zip", "a/b/")
    assert_refused(catalogue, deep, r"one model\.json expected.*deeper down")
    two = pack(folder, tmp_path / "two.zip", "a/")
    append(two, "b/model.json")
    assert_refused(catalogue, two, "found 2")
    (folder / "model.json").unlink()
    assert_refused(catalogue, pack(folder, tmp_path / "none.zip"), "found 0")
