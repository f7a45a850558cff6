"""Specifications and names over several data sets."""

from __future__ import annotations

import pytest
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import LAYOUTS, open_datasets


def test_layouts_are_described_in_one_line():
    assert list(LAYOUTS) == ["table", "msd", "nih", "totalsegmentator", "btcv", "amos", "flare", "painted", "phantom"]
    assert all(line and "\n" not in line for line in LAYOUTS.values())


@pytest.mark.parametrize(
    ("specification", "sentence"),
    [
        ("/data/Task07_Pancreas", "is not of the form LAYOUT:PATH"),
        ("msd:", "is not of the form LAYOUT:PATH"),
        ("msdd:/data", "no data set layout `msdd`.*Known layouts are table, msd"),
        ("msd:/no/such/folder", "no file or folder /no/such/folder .* is Task07_Pancreas .*dataset.json"),
    ],
)
def test_a_wrong_specification_says_what_it_should_be(specification, sentence):
    with pytest.raises(BadInput, match=sentence):
        open_datasets([specification])


def test_no_specification_opens_nothing():
    assert open_datasets([]) == []


def _table(writer, folder):
    writer.ct(f"{folder}/x.nii.gz")
    writer.label(f"{folder}/y.nii.gz", writer.labels(pancreas=1))
    return writer.table([{"image": "x.nii.gz", "label": "y.nii.gz"}], f"{folder}/cases.csv")


def test_two_data_sets_of_one_layout_have_names_of_their_own(writer):
    for part in ("one", "two"):
        writer.ct(f"{part}/img/img0001.nii.gz")
        writer.label(f"{part}/label/label0001.nii.gz", writer.labels(pancreas=11))
    tables = [_table(writer, folder) for folder in ("a/synthetic", "b/synthetic", "c/real")]
    scans = open_datasets(
        [f"btcv:{writer.folder / 'one'}", *(f"table:{table}" for table in tables), f"btcv:{writer.folder / 'two'}"]
    )
    names = [scan.name for scan in scans]
    assert names == ["btcv/img0001", "synthetic/x", "synthetic-2/x", "real/x", "btcv-2/img0001"]
    assert len({scan.patient for scan in scans}) == 5


def test_a_table_is_named_after_its_folder_or_its_own_name(writer):
    table = _table(writer, "set")
    other = table.rename(table.with_name("abdomen.csv"))
    assert open_datasets([f"table:{other}"])[0].name == "abdomen/x"
    other.rename(table)
    assert open_datasets([f"table:{table}"])[0].name == open_datasets([f"table:{table.parent}"])[0].name == "set/x"


def test_a_data_set_given_twice_is_refused(writer):
    table = _table(writer, "set")
    with pytest.raises(BadInput, match="is given twice"):
        open_datasets([f"table:{table}", f"table:{table.parent / '..' / 'set' / 'cases.csv'}"])


def test_msd_and_flare_hold_the_same_patients(writer):
    (writer.folder / "msd").mkdir()
    (writer.folder / "flare").mkdir()
    with pytest.raises(BadInput, match="a patient would be trained and tested on"):
        open_datasets([f"msd:{writer.folder / 'msd'}", f"flare:{writer.folder / 'flare'}"])
