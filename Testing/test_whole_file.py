"""A file is written whole or not at all."""

import pytest
from AttentionUNetSegLib.errors import BadInput, CannotWrite
from AttentionUNetSegLib.whole_file import whole_file


def test_the_file_takes_its_place_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_text("old")
    with whole_file(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old" and beside.parent == tmp_path and beside.name.endswith(".tar.gz")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), BadInput("Such a row is none."), KeyError()]
)
def test_after_a_failure_the_old_file_stands_and_nothing_beside_it(tmp_path, failure):
    path = tmp_path / "a.csv"
    path.write_text("old")
    told = CannotWrite if isinstance(failure, OSError) else type(failure)
    with pytest.raises(told) as caught, whole_file(path) as beside:
        beside.write_text("ne")
        raise failure
    if told is CannotWrite:
        assert str(caught.value) == (
            f"{path} could not be written (No space left on device). Check free space and permissions."
        )
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["nowhere/a.csv", "file/a.csv", "folder"])
def test_a_place_where_no_file_can_be_is_said(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotWrite, match="could not be written"), whole_file(tmp_path / place) as beside:
        beside.write_text("new")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]
