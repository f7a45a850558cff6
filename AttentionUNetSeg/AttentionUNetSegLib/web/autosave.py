"""The present result on disk, so that a closed tab or a crash costs no corrections: offered at the next start.

It lies in a folder that only its owner may read, as a scene that any Slicer opens, until it is discarded or another
result takes its place. Each node is written when it has changed only: a correction does not write the CT again.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import shutil
import sys
import time
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import slicer

from ..errors import file_refused
from ..scene import find_results
from .workspace import Workspace

_log = logging.getLogger(__name__)
_SCENE, _ABOUT, _OWNER = "scene.mrml", "about.json", "owner.lock"
# After the last of quick changes.
_REST_SECONDS = 4.0
# VTK does not say why it could not write.
_NEXT_TO_NOTHING = 1 << 20


def kept_folder() -> Path:
    """Where kept sessions lie: ATTENTIONUNETSEG_KEPT, or the place the operating system has for a program's state."""
    if override := os.environ.get("ATTENTIONUNETSEG_KEPT"):
        return Path(override).expanduser().absolute()
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "AttentionUNetSeg" / "page"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "AttentionUNetSeg" / "page"
    configured = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (configured if configured.is_absolute() else home / ".local" / "state") / "AttentionUNetSeg" / "page"


class Autosave:
    """Writes the workspace's result soon after each change, and finds what an earlier server left.

    State: `kept`, what is offered: a dict (name, when, text), or None.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._root = kept_folder()
        self._folder: Path | None = None
        self._lock: Any = None
        self._offered: Path | None = None
        self._due: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._is_failure_told = False
        workspace.server.state.kept = None

    # --- What an earlier server left ---

    def offer(self) -> None:
        """Offer the newest session that no other server is at work on."""
        found = [(folder, about) for folder in self._sessions() if (about := _about(folder)) is not None]
        free = [(folder, about) for folder, about in found if not _is_in_use(folder)]
        if free:
            self._offered, about = max(free, key=lambda each: each[1]["time"])
            when = datetime.fromtimestamp(about["time"]).strftime("%Y-%m-%d %H:%M")
            self._workspace.show(kept={"name": about["name"], "when": when, "text": about["text"]})

    def open(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Load what is offered into the empty scene; return its CT, None where it cannot be read any more."""
        folder, self._offered = self._offered, None
        self._workspace.show(kept=None)
        if folder is None or not self._take_hold(folder):
            return None
        scene = self._workspace.scene
        url, root = scene.GetURL(), scene.GetRootDirectory()
        try:
            scene.SetURL(str(folder / _SCENE))
            scene.SetRootDirectory(str(folder))
            scene.Import()
        finally:
            scene.SetURL(url)
            scene.SetRootDirectory(root)
        results = find_results(scene)
        if not results or any(node.GetImageData() is None for node in (results[-1].volume, results[-1].field)):
            self._release()
            scene.Clear(False)
            return None
        self._folder = folder
        self._workspace.result = results[-1]
        return results[-1].volume

    def discard(self) -> None:
        """Delete what is offered."""
        if self._offered is not None:
            shutil.rmtree(self._offered, ignore_errors=True)
        self._offered = None
        self._workspace.show(kept=None)

    # --- What this server keeps ---

    def note_change(self) -> None:
        """Keep the result once it has come to rest."""
        self._is_wanted = True
        if self._due is None:
            self._due = self._workspace.start(self._wait_and_keep())

    def begin_anew(self) -> None:
        """Drop what this server kept: another CT was opened, or another result made."""
        self._is_wanted = False
        self._drop()

    def close(self) -> None:
        """Keep the last changes."""
        if self._is_wanted:
            with self._workspace.reporting():
                self.keep()
        self._release()

    def keep(self) -> None:
        """Write what has changed since the last time, now. Where that fails it is told once, and nothing is left."""
        self._is_wanted = False
        try:
            self._keep()
            self._is_failure_told = False
        except OSError as error:
            _log.exception("the result was not kept")
            self._drop()
            if not self._is_failure_told:
                reason = file_refused(error).message
                hint = "Save the result before you close the page: it could not be brought back."
                self._workspace.notice("warning", hint, f"Your corrections are not kept on this computer. {reason}")
            self._is_failure_told = True

    def _keep(self) -> None:
        workspace = self._workspace
        if workspace.result is None or workspace.editor is None:
            return
        if self._folder is None or not self._folder.is_dir():
            self._release()
            folder = self._root / uuid.uuid4().hex[:12]
            folder.mkdir(parents=True, mode=0o700)
            self._root.chmod(0o700)
            if not self._take_hold(folder):
                return
            self._folder = folder
        _write_scene(workspace.scene, self._folder)
        clicks = len(workspace.editor.clicks)
        text = f"{workspace.editor.volume_ml:.1f} mL, {clicks} click{'' if clicks == 1 else 's'}"
        about = {"name": workspace.require_volume().GetName(), "time": time.time(), "text": text}
        (self._folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")

    async def _wait_and_keep(self) -> None:
        try:
            await asyncio.sleep(_REST_SECONDS)
            while self._workspace.server.state.run or self._workspace.server.state.opening:
                await asyncio.sleep(_REST_SECONDS)
            if self._is_wanted:
                self.keep()
        finally:
            self._due = None

    def _sessions(self) -> list[Path]:
        with suppress(OSError):
            return [each for each in self._root.iterdir() if each.is_dir()]
        return []

    def _take_hold(self, folder: Path) -> bool:
        """Lock a session for this process; the lock goes with the process, however that ends."""
        self._release()
        self._lock = _locked(folder)
        return self._lock is not None

    def _drop(self) -> None:
        folder = self._folder
        self._release()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._lock, self._folder = None, None


def _write_scene(scene: slicer.vtkMRMLScene, folder: Path) -> None:
    """Write the scene below a folder: nodes that have changed since they were last written there, then its MRML.

    Raises OSError where a file cannot be written.
    """
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode", scene):
        if node.GetHideFromEditors() or not node.GetSaveWithScene() or node.IsA("vtkMRMLColorNode"):
            continue
        storage = node.GetStorageNode()
        if storage is None:
            if not node.AddDefaultStorageNode():
                continue
            storage = node.GetStorageNode()
            if storage is None:
                continue
        name = f"{node.GetID()}.{storage.GetDefaultWriteFileExtension()}"
        is_new = storage.GetFileName() is None or Path(storage.GetFileName()) != folder / name
        if is_new or node.GetModifiedSinceRead():
            storage.SetFileName(str(folder / name))
            storage.SetUseCompression(0)  # a CT takes seconds to compress, and this thread serves the page
            if not storage.WriteData(node):
                is_full = shutil.disk_usage(folder).free < _NEXT_TO_NOTHING
                raise OSError(errno.ENOSPC if is_full else errno.EIO, f"{node.GetName()} could not be written")
    url, root = scene.GetURL(), scene.GetRootDirectory()
    partial = folder / f"partial-{_SCENE}"
    try:
        scene.SetURL(str(partial))
        scene.SetRootDirectory(str(folder))
        scene.Commit()
        os.replace(partial, folder / _SCENE)
    finally:
        scene.SetURL(url)
        scene.SetRootDirectory(root)


def _about(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        return {"name": str(about["name"]), "time": float(about["time"]), "text": str(about["text"])}
    return None


def _is_in_use(folder: Path) -> bool:
    lock = _locked(folder)
    if lock is not None:
        lock.close()
    return lock is None


def _locked(folder: Path) -> Any:
    """Return an open, locked file of the folder, None where another process holds it."""
    try:
        file = open(folder / _OWNER, "w")  # noqa: SIM115 (it stays open as long as it is locked)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file
    except OSError:
        return None
