"""A job folder: the input, `job.json` (the request), and later the outputs. It holds all that a replay needs."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

from ..errors import BadInput, CannotWrite, ProtocolError
from ..whole_file import whole_file
from .client import WorkerClient
from .protocol import PROTOCOL_VERSION, Result, Segment, message_from_fields, message_to_fields

JOB_FILE = "job.json"


def write_job(folder: str | os.PathLike[str], request: Segment) -> Path:
    """Write `request` as `job.json` into `folder` and return the file's path.

    Raises
    ------
    CannotWrite : the file cannot be written.
    ProtocolError : the request cannot be put in a message.
    """
    path = Path(folder) / JOB_FILE
    content = {"protocol_version": PROTOCOL_VERSION, "request": message_to_fields(request)}
    with whole_file(path) as beside:
        beside.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path


def read_job(folder: str | os.PathLike[str]) -> Segment:
    """Return the request of a job folder, which may have been moved: its `folder` is where it lies now.

    Raises
    ------
    BadInput : the folder holds no `job.json`, or one that is no job of this version.
    """
    path = Path(folder).resolve() / JOB_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path.parent} is no job folder: {JOB_FILE} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path} is damaged: it is not JSON text.") from None
    version = content.get("protocol_version") if isinstance(content, dict) else None
    if version != PROTOCOL_VERSION:
        raise BadInput(f"{path} is of version {version}; this program replays version {PROTOCOL_VERSION}.")
    try:
        request = message_from_fields(content.get("request"))
    except ProtocolError as error:
        raise BadInput(f"{path} cannot be replayed: {error.message}") from None
    if not isinstance(request, Segment):
        raise BadInput(f"{path} holds no segment request.")
    return dataclasses.replace(request, folder=str(path.parent))


def replay_job(folder: str | os.PathLike[str], output_folder: str | os.PathLike[str], client: WorkerClient) -> Result:
    """Run the job of `folder` again, with the same options, and leave everything in `output_folder`.

    The output folder becomes a job folder of its own; the replayed one is not touched.

    Raises
    ------
    BadInput : `folder` is no job folder, or the output folder is the same one.
    AttentionUNetSegError : as the run itself fails.
    """
    source, target = Path(folder).resolve(), Path(output_folder).resolve()
    request = read_job(source)
    if source == target:
        raise BadInput(f"A replay of {source} needs another folder for its output.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / request.input, target / request.input)
    except FileNotFoundError:
        raise BadInput(f"The job folder {source} lacks its input {request.input}.") from None
    except OSError as error:
        raise CannotWrite(
            f"The input could not be copied to {target} ({error.strerror}).", "Check free space and permissions."
        ) from error
    request = dataclasses.replace(request, folder=str(target))
    write_job(target, request)
    client.submit(request)
    outcome = client.wait(request.job)
    if not isinstance(outcome, Result):
        raise outcome.exception()
    return outcome
