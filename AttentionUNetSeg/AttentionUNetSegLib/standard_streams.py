"""Standard input and output of a process that answers another one: kept for the two alone, and the end of both."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable


def take_standard_streams() -> tuple[int, int]:
    """Return private file descriptors of stdin and stdout, and put harmless ones in their places.

    From then on descriptor 1 leads to stderr, so that a `print` in Python or a `printf` in a C library becomes a log
    line, and descriptor 0 reads nothing, so that no library and no child process can take a request away. Call it
    before anything else is imported.
    """
    private_input, private_output = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(private_input, os.O_BINARY)
        msvcrt.setmode(private_output, os.O_BINARY)
    return private_input, private_output


def end_with_input(
    descriptor: int = 0, take_line: Callable[[bytes], object] = lambda line: None, code: int = 1
) -> None:
    """End this process, whatever it is doing, as soon as its input ends: then nobody waits for an answer any more.

    Parameters
    ----------
    descriptor : of the input, by default stdin. It is read on a thread of its own.
    take_line : called there with every line, newline included.
    code : the exit code.
    """

    def read() -> None:
        with open(descriptor, "rb", closefd=False) as lines:
            while line := lines.readline():
                take_line(line)
        os._exit(code)

    threading.Thread(target=read, name="input", daemon=True).start()
