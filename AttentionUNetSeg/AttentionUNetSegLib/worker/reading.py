"""A CT read by a process of its own, which can be killed at any moment: `imaging.read_volume` cannot.

What hangs, takes long or makes a library crash in there costs the one who waits nothing: neither memory nor a thread
is left behind, and no file lies between the two, because the voxels come through a pipe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from ..errors import AttentionUNetSegError, BadInput, Cancelled, InternalError
from ..imaging import Volume
from ..imaging.plain_name import printable_name
from .launch import worker_command


class Reading:
    """One CT that is being read.

    Parameters
    ----------
    path, series, self_contained : as for `imaging.read_volume`.
    """

    def __init__(self, path: Path, series: str | None = None, self_contained: bool = False) -> None:
        self._path = path
        self._request = {"path": text_of(path), "series": series, "self_contained": self_contained}
        self._process: subprocess.Popen | None = None
        self._is_killed = False

    def volume(self) -> Volume:
        """Start the process, wait for the CT and return it.

        Raises
        ------
        BadInput : as `imaging.read_volume`.
        Cancelled : `kill` was called.
        InternalError : the process died, or cannot be started.
        """
        command = worker_command()
        module = f"{__package__}.reading_process"
        try:
            process = subprocess.Popen(
                (*command.arguments[:-1], module), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=command.environment, cwd=command.folder, start_new_session=os.name == "posix",
            )  # fmt: skip
        except OSError as error:
            raise InternalError(f"The process that reads a CT cannot be started ({error.strerror}).") from error
        self._process = process
        if self._is_killed:  # before it was there
            process.kill()
        try:
            process.stdin.write(json.dumps(self._request).encode() + b"\n")
            process.stdin.flush()
            return _received(process.stdout)
        except (OSError, EOFError, ValueError) as error:
            code = process.wait()
            if self._is_killed:
                raise Cancelled from None
            raise self._death(code) from error
        finally:
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream.close()
            process.wait()

    def kill(self) -> None:
        """End the process at once; harmless where it has ended or not begun."""
        self._is_killed = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _death(self, code: int) -> AttentionUNetSegError:
        name = printable_name(self._path)
        if code < 0 and -code == getattr(signal, "SIGKILL", 9):
            return BadInput(
                f"The process that read {name} was killed, as a system does where memory runs out.",
                "Close other programs, or crop or downsample the CT.",
            )
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return BadInput(f"A library that reads images crashed on {name} ({how}).", "Export it again.")


def text_of(path: Path) -> str:
    """A path as text that reaches a process of another locale unchanged: one letter for each byte."""
    return os.fsencode(path).decode("latin-1")


def path_of(text: str) -> Path:
    """The path that `text_of` made the text of."""
    return Path(os.fsdecode(text.encode("latin-1")))


def _received(stream: BinaryIO) -> Volume:
    """Take an answer; raises EOFError or ValueError where it is none, and what it tells of."""
    answer = json.loads(stream.readline())
    if "error" in answer:
        error = answer["error"]
        kind = {"bad_input": BadInput, "internal": InternalError}.get(error["code"], AttentionUNetSegError)
        raise kind(error["message"], error.get("hint", ""))
    voxels = np.empty(answer["size"][::-1], answer["kind"])
    left = memoryview(voxels).cast("B")
    while left:
        count = stream.readinto(left)
        if not count:
            raise EOFError
        left = left[count:]
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(answer["spacing"])
    image.SetOrigin(answer["origin"])
    image.SetDirection(answer["direction"])
    for key, value in answer["fields"].items():
        image.SetMetaData(key, value)
    return Volume(
        image,
        answer["name"],
        answer["is_phantom"],
        tuple(answer["warnings"]),
        tuple(map(path_of, answer["dicom_files"])),
        tuple(answer["left_out"]),
    )
