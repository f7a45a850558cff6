"""Temporary folders that hold a person's CT: named after the process that made them, so that none is left for ever.

A process that is killed cannot delete its folder. The next one does: `sweep` deletes what a process that is gone left,
except what was kept on purpose for a look at a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "attention-unet-seg-"
KEPT = "kept"  # a file of this name in a folder says so
_OWNED = re.compile(r"\.?attention-unet-seg-[a-z]+-(\d+)-")


def prefix_of(purpose: str) -> str:
    """Return what the name of a temporary folder of this process begins with; `purpose` is one word."""
    return f"{PREFIX}{purpose}-{os.getpid()}-"


def make_folder(purpose: str, parent: Path | None = None) -> Path:
    """Make a new temporary folder that only this user can read; raises OSError where there is no place for it."""
    return Path(tempfile.mkdtemp(prefix=prefix_of(purpose), dir=parent))


def keep(folder: Path) -> None:
    """Mark a folder as kept: no sweep deletes it."""
    with suppress(OSError):
        (folder / KEPT).touch()


def kept_folders(parent: Path | None = None) -> list[Path]:
    """Return the folders of this user in the temporary folder (or `parent`) that were kept, oldest first."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(parent or tempfile.gettempdir()):
            with suppress(OSError):
                is_mine = not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
                is_kept = _OWNED.match(entry.name) and entry.is_dir(follow_symlinks=False)
                if is_mine and is_kept and os.path.exists(os.path.join(entry.path, KEPT)):
                    found.append((entry.stat().st_mtime, Path(entry.path)))
    return [path for _, path in sorted(found)]


def is_ours_to_delete(folder: Path) -> bool:
    """Tell whether a folder is a temporary one of ours that was not kept."""
    return (
        _OWNED.match(folder.name) is not None
        and folder.parent == Path(tempfile.gettempdir())
        and not (folder / KEPT).exists()
    )


def sweep(parent: Path | None = None) -> list[Path]:
    """Delete what processes of this user that are gone have left in the temporary folder (or `parent`); return it."""
    swept = []
    with suppress(OSError):
        for entry in os.scandir(parent or tempfile.gettempdir()):
            owner = _OWNED.match(entry.name)
            if owner is None or not _is_left(entry, int(owner[1])):
                continue
            shutil.rmtree(entry.path, ignore_errors=True)
            swept.append(Path(entry.path))
    return swept


def _is_left(entry: os.DirEntry[str], owner: int) -> bool:
    try:
        is_mine = not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
        return (
            is_mine
            and entry.is_dir(follow_symlinks=False)
            and not os.path.exists(os.path.join(entry.path, KEPT))
            and not _is_running(owner)
        )
    except OSError:
        return False


def _is_running(process: int) -> bool:
    """Tell whether a process exists; True where that cannot be known."""
    if sys.platform == "win32":  # os.kill would end it
        import ctypes

        query = 0x1000
        handle = ctypes.windll.kernel32.OpenProcess(query, False, process)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
