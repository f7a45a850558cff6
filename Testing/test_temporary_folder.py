"""What a killed process leaves behind is deleted by the next one; what is in use or was kept is not."""

from __future__ import annotations

import subprocess
import sys

from AttentionUNetSegLib.temporary_folder import is_ours_to_delete, keep, kept_folders, make_folder, sweep

LEAVE = """
import sys
from pathlib import Path
from AttentionUNetSegLib.temporary_folder import keep, make_folder
for each in ("left", "kept"):
    folder = make_folder("job", Path(sys.argv[1]))
    (folder / "input.nrrd").write_text(each)
keep(folder)
"""


def test_a_sweep_takes_only_what_nobody_owns(tmp_path):
    subprocess.run([sys.executable, "-c", LEAVE, str(tmp_path)], check=True)
    in_use = make_folder("page", tmp_path)
    (tmp_path / "attention-unet-seg-notes").mkdir()  # somebody else's
    (tmp_path / "attention-unet-seg-job-999999999-link").symlink_to(in_use)
    before = set(tmp_path.iterdir())
    (left,) = sweep(tmp_path)
    assert before - set(tmp_path.iterdir()) == {left}
    (kept,) = [each for each in tmp_path.iterdir() if (each / "input.nrrd").exists()]
    assert (kept / "input.nrrd").read_text() == "kept"
    assert kept_folders(tmp_path) == [kept], "in reach of later sessions"
    assert sweep(tmp_path) == []


def test_a_job_folder_is_ours_until_it_is_kept():
    folder = make_folder("job")
    try:
        assert is_ours_to_delete(folder)
        assert not is_ours_to_delete(folder / "inside")
        keep(folder)
        assert not is_ours_to_delete(folder)
    finally:
        (folder / "kept").unlink()
        folder.rmdir()
