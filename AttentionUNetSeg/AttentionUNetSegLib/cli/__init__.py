"""The command line, `attention-unet-seg`.

Exit codes: 0 done, 1 a file that cannot be written, a process that died, or a bug, 2 bad input or bad arguments, 3 bad
model, 4 out of memory, 5 device not available, 130 cancelled. An error is one sentence on stderr and, with --json,
`{"error": {"code", "message", "hint"}}` on stdout.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from ..errors import AttentionUNetSegError, BadInput, Cancelled, InternalError, file_refused, is_disk_full
from .interrupts import Interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (default: the process's own arguments) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with Interrupts() as interrupts:
            code = _run(words, interrupts)
    except KeyboardInterrupt:  # so early that no terminal was open to say so
        sys.stderr.write("Cancelled.\n")
        return 130
    if code is None:
        from ..worker.__main__ import main as serve  # it needs stdin, stdout, stderr and the signals for itself

        return serve()
    return code


def _run(words: list[str], interrupts: Interrupts) -> int | None:
    """Run a command and return its exit code; None for `worker`, which is not for us to run."""
    with interrupts.deferred():  # imports are no place for an exception that has nothing to do with them
        from .arguments import parse
        from .terminal import Terminal

    try:
        chosen = parse(words)
    except BadInput as error:
        with Terminal(as_json="--json" in words) as terminal:
            return terminal.fail(error)
    if chosen.command == "worker":
        return None
    with Terminal(chosen.json, chosen.verbose, interrupts) as terminal:
        try:
            with interrupts.deferred():
                module = importlib.import_module(f".{chosen.module}", __name__)
            getattr(module, chosen.function)(chosen, terminal)
        except KeyboardInterrupt:
            return terminal.fail(Cancelled())
        except BrokenPipeError:
            return 1  # nobody reads our answer any more
        except Exception as error:
            if interrupts.came and not isinstance(error, Cancelled):  # a library made something else of it
                return terminal.fail(Cancelled())
            if isinstance(error, AttentionUNetSegError):
                return terminal.fail(error)
            if is_disk_full(error):
                return terminal.fail(file_refused(error).with_traceback(error.__traceback__))
            # A bug: still one sentence, and the traceback for who wants it.
            reason = " ".join(str(error).split()) or "no reason given"
            message = f"Unexpected {type(error).__name__}: {reason.rstrip('.')}."
            failure = InternalError(message, "Add --verbose to see where.")
            return terminal.fail(failure.with_traceback(error.__traceback__))
    return 0
