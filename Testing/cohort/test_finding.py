"""Which cases a folder, a table or a list holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from AttentionUNetSegLib.cohort import Case, find_cases, part_of
from AttentionUNetSegLib.cohort.case import require_unique
from AttentionUNetSegLib.errors import BadInput
from dicom_slice import dicom_slice


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two images of one name, a DICOM study of two series, a text, and results of an earlier run."""
    root = tmp_path / "archive"
    for place in (
        "a/ct.nii.gz", "a/ct.seg.nrrd", "a/ct.nrrd", "b/ct.nii.gz", "a/notes.txt", ".hidden/ct.nii.gz",
        "out/cases/x/y.nrrd",
    ):  # fmt: skip
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(b"no image")
    study = root / "c" / "study"
    study.mkdir(parents=True)
    for n in range(3):
        dicom_slice(study / f"first{n}", (0, 0, 2.0 * n), "1.2.3.1")
        dicom_slice(study / f"second{n}", (0, 0, 2.0 * n), "1.2.3.2", SeriesNumber=2)
    return root


def test_a_folder_gives_every_image_and_every_series_and_not_its_own_results(archive):
    cases = find_cases(str(archive), leave_out=archive / "out")
    assert [case.id for case in cases] == ["a/ct", "a/ct.nrrd", "b/ct", "c/study/1.2.3.1", "c/study/1.2.3.2"]
    assert [case.series for case in cases] == [None, None, None, "1.2.3.1", "1.2.3.2"]
    assert {case.path for case in cases[3:]} == {str(archive / "c" / "study")}
    assert cases[4].columns == {"series_number": "2", "series_description": "Abdomen"}
    assert len({case.folder_name for case in cases}) == 5
    assert all("/" not in case.folder_name and not case.folder_name.startswith(".") for case in cases)


def test_a_table_gives_paths_beside_it_and_carries_its_other_columns(archive):
    table = archive / "cohort.csv"
    table.write_text("\ufeffpath,id,age\na/ct.nii.gz,Ä 1,61\nmissing.nrrd,,\n", encoding="utf-8")
    first, second = find_cases(str(table))
    assert (first.id, first.path, first.columns) == ("Ä 1", str(archive / "a" / "ct.nii.gz"), {"age": "61"})
    assert second.id == "missing", "what does not exist is a case too, for a row with the reason"
    for text, words in (
        ("file,id\nx,1\n", "no column 'path'"),
        ("path,id\na,1\nb,1\n", "called alike"),
        ("path,id\n,1\n", "Line 2"),
        ("path\n", "There is no CT"),
        ("path\na,b\n", "more cells"),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=words):
            find_cases(str(table))


def test_a_list_gives_files_and_searched_folders_under_ids_of_their_own(archive):
    cases = find_cases("-", [f"{archive}/b\n", "\n", f"{archive}/a/ct.nii.gz\n", f"{archive}/c\n"])
    assert len({case.id for case in cases}) == len(cases) == 4
    assert cases[0].path.endswith("b/ct.nii.gz")


def test_parts_hold_every_case_once_whatever_is_added():
    cases = [Case(f"case {n}", f"/{n}") for n in range(100)]
    parts = [part_of(cases, f"{n}/7") for n in range(1, 8)]
    assert sorted(case.id for part in parts for case in part) == sorted(case.id for case in cases)
    assert all(parts)
    more = [Case("before", "/"), *cases]
    assert [case for case in part_of(more, "3/7") if case.id != "before"] == parts[2]
    for wrong in ("0/7", "8/7", "3", "a/b"):
        with pytest.raises(BadInput, match="no part"):
            part_of(cases, wrong)


def test_ids_that_a_file_system_takes_for_one_are_refused():
    require_unique([Case("a/b", "/1"), Case("a_b", "/2")])
    with pytest.raises(BadInput, match="alike"):
        require_unique([Case("CT", "/1"), Case("ct", "/2")])
    assert Case("../../etc", "/1").folder_name.startswith("etc-")
