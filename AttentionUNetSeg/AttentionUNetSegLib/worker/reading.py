"""A CT read by a process of its own, which can be killed at any moment: `imaging.read_volume` cannot.

What hangs, takes long or makes a library crash in there costs the one who waits nothing: neither memory nor a thread
is left behind, and no file lies between the two, because the voxels come through a pipe. The process ends with ours.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from pathlib import Path
from threading import Lock
from typing import IO, cast

import numpy as np
import SimpleITK as sitk

from ..errors import AttentionUNetSegError, BadInput, Cancelled, InternalError, ProcessDied
from ..imaging import Volume
from ..imaging.plain_name import printable_name
from .transport import worker_command


class Reader:
    """Reads one CT at a time in a process that is started for the first and stays for the next.

    `read` waits; `stop` may be called meanwhile, from another thread.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: set[int] = set()  # process ids
        self._stops = 0
        self._lock = Lock()  # a stop comes before a process is known, or after: never in between

    def turn(self) -> int:
        """What to give to a `read` that begins later, in another thread: a `stop` that comes before it ends it, too."""
        return self._stops

    def read(
        self, path: Path, series: str | None = None, self_contained: bool = False, turn: int | None = None
    ) -> Volume:
        """Return a CT; parameters as for `imaging.read_volume`, and what `turn` said.

        Raises
        ------
        BadInput : as `imaging.read_volume`; or the process died of it.
        Cancelled : `stop` was called.
        ProcessDied : the process cannot be started.
        """
        request = {"path": text_of(path), "series": series, "self_contained": self_contained}
        process = self._ready(self.turn() if turn is None else turn)
        try:
            stdin, stdout = cast(IO[bytes], process.stdin), cast(io.BufferedReader, process.stdout)  # both are pipes
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            return _received(stdout)
        except (OSError, EOFError, ValueError) as error:
            process.kill()  # where it still runs, nobody can tell what it would say next
            code = process.wait()
            if self._process is process:
                self._process = None
            if process.pid in self._stopped:
                raise Cancelled from None
            raise _death(code, printable_name(path)) from error

    def stop(self) -> None:
        """End the process at once, whatever it is doing."""
        with self._lock:
            self._stops += 1
            process, self._process = self._process, None
        if process is not None:
            self._stopped.add(process.pid)
            process.kill()

    def _ready(self, turn: int) -> subprocess.Popen[bytes]:
        """The process of before or a new one, unless a stop has come meanwhile: starting one takes its time."""
        process = self._process
        if process is None or process.poll() is not None:
            process = _started()
        with self._lock:
            if self._stops == turn:
                self._process = process
                return process
        process.kill()
        process.wait()
        raise Cancelled


def _started() -> subprocess.Popen[bytes]:
    command = worker_command()
    arguments = (*command.arguments[:-1], f"{__package__}.reading_process")
    try:
        return subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=command.environment, cwd=command.folder,
            start_new_session=os.name == "posix",
        )  # fmt: skip
    except OSError as error:
        raise ProcessDied(f"The process that reads a CT cannot be started ({error.strerror}).") from error


def _death(code: int, name: str) -> BadInput:
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


def _received(stream: io.BufferedReader) -> Volume:
    """Take an answer; raises EOFError or ValueError where it is none, and what it tells of."""
    answer = json.loads(stream.readline())
    if "error" in answer:
        error = answer["error"]
        kind = {"bad_input": BadInput, "internal": InternalError}.get(error["code"], AttentionUNetSegError)
        raise kind(error["message"], error.get("hint", ""))
    voxels = np.empty(answer["size"][::-1], answer["kind"])
    left = voxels.data.cast("B")
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
