"""Files that the page sends: into the private folder, under names of our own, within limits."""

from __future__ import annotations

import uuid
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import Any

from aiohttp import BodyPartReader, web

from ..errors import BadInput, CannotWrite
from .received_files import ReceivedFiles

DEFAULT_LIMIT_MB = 2048
_MOST_FILES = 20_000
# What may follow the name that we make up; everything else of a sent name is for display only.
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".zraw", ".raw", ".zip", ".dcm")
# What the browser's file dialog offers: it knows single endings only.
ACCEPT = ",".join(dict.fromkeys("." + ending.rpartition(".")[2] for ending in _ENDINGS))
# Of these one file alone is a CT.
_WHOLE = (".nii.gz", ".nii", ".nrrd", ".mha", ".zip")
_LONGEST_NAME = 80
_CHUNK = 1 << 20
_ONE_SERIES = "Send one CT series only."
# What a segmentation is sent for: to start from, to start from its values, or to be kept out of.
MASK, PROBABILITY, WALL = "mask", "probability", "wall"


class Uploads:
    """The route that takes files.

    Parameters
    ----------
    folder : where they go.
    limit_mb : the largest file, and the largest content of an archive.
    on_upload : called with each file that has come in completely, and the sender's name of it.
    on_files : called with each folder's files likewise.
    on_segmentation : called with each segmentation likewise, and what it was sent for.
    on_end : called when nothing more comes in, also where the page that sent it has gone.
    """

    def __init__(
        self,
        folder: Path,
        limit_mb: int,
        on_upload: Callable[[Path, str], Awaitable[None]],
        on_files: Callable[[ReceivedFiles, str], Awaitable[None]],
        on_segmentation: Callable[[Path, str, str], Awaitable[None]],
        on_end: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._limit = limit_mb * 1024 * 1024
        self._on_upload = on_upload
        self._on_files = on_files
        self._on_segmentation = on_segmentation
        self._on_end = on_end

    async def receive(self, request: web.Request) -> web.Response:
        """POST upload?name=...: the body is the file, or several as a form. Answers with a sentence where it cannot.

        With `&as=mask`, `probability` or `wall` it is no CT but a segmentation.
        """
        try:
            return await self._receive(request)
        finally:
            self._on_end()

    async def _receive(self, request: web.Request) -> web.Response:
        sent_name, purpose = request.query.get("name", ""), request.query.get("as", "")
        try:
            if request.content_type == "multipart/form-data":
                await self._on_files(await self._store_several(request, sent_name), sent_name)
                return web.json_response({})
            ending = _known_ending(sent_name) if purpose else _ending(sent_name)
            if purpose not in ("", MASK, PROBABILITY, WALL):
                raise BadInput("What was sent is not what this page sends.", "Reload the page.")
            if (request.content_length or 0) > self._limit:
                raise self._too_large(sent_name)
            path = self._folder / f"{uuid.uuid4().hex}{ending}"
            try:
                await self._store(request, path, sent_name)
            except BaseException:  # the connection may also be cut
                path.unlink(missing_ok=True)
                raise
        except BadInput as error:
            return web.json_response({"message": error.message, "hint": error.hint}, status=422)
        except OSError as error:
            failure = CannotWrite(f"The file could not be stored ({error.strerror}).", "Check the free space.")
            return web.json_response({"message": failure.message, "hint": failure.hint}, status=507)
        if purpose:
            await self._on_segmentation(path, sent_name, purpose)
        else:
            await self._on_upload(path, sent_name)
        return web.json_response({})

    async def _store(self, request: web.Request, path: Path, sent_name: str) -> None:
        size = 0
        with open(path, "xb") as file:
            async for chunk in request.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > self._limit:
                    raise self._too_large(sent_name)
                file.write(chunk)
        if size == 0:
            raise BadInput(f"{display_name(sent_name)} is empty.", "Choose another file.")

    async def _store_several(self, request: web.Request, sent_name: str) -> ReceivedFiles:
        """Store the parts of a form as numbered files of one folder."""
        received = ReceivedFiles(self._folder / uuid.uuid4().hex)
        received.folder.mkdir()
        left = self._limit
        try:
            parts = await request.multipart()
            while (part := await parts.next()) is not None:
                if not isinstance(part, BodyPartReader):
                    continue
                name = part.filename or ""
                if not name or _is_litter(name):
                    continue
                if len(received.names) >= _MOST_FILES:
                    raise BadInput(f"{display_name(sent_name)} holds more than {_MOST_FILES} files.", _ONE_SERIES)
                path = received.folder / f"{len(received.names):06d}{_known_ending(name)}"
                received.names[path.name] = name
                with open(path, "xb") as file:
                    while chunk := await part.read_chunk(_CHUNK):
                        left -= len(chunk)
                        if left < 0:
                            raise self._too_large(sent_name)
                        file.write(chunk)
            if not received.names:
                raise BadInput(f"{display_name(sent_name)} is empty.", "Choose another folder.")
        except BaseException as error:
            received.delete()
            if isinstance(error, (ValueError, AssertionError)):  # aiohttp's words for a form that is none
                raise BadInput("What was sent is not what this page sends.", "Reload the page.") from error
            raise
        return received

    def _too_large(self, sent_name: str) -> BadInput:
        return BadInput(
            f"{display_name(sent_name)} is larger than {self._limit >> 20} MB.",
            "Start the server with its path instead: attention-unet-seg serve PATH, or raise --upload-limit.",
        )


def unpack(archive: Path, sent_name: str, limit_mb: int, check: Callable[[], None] = lambda: None) -> ReceivedFiles:
    """Unpack an uploaded .zip into a new folder beside it, the files numbered.

    `check` is called before each megabyte; where it raises, nothing is left.

    Raises
    ------
    BadInput : not a .zip, encrypted, damaged, too many files or too large when unpacked.
    """
    received = ReceivedFiles(archive.with_suffix(""))
    received.folder.mkdir()
    try:
        _unpack_into(received, archive, display_name(sent_name), limit_mb * 1024 * 1024, check)
    except BaseException:
        received.delete()
        raise
    finally:
        archive.unlink(missing_ok=True)
    return received


def display_name(sent_name: str) -> str:
    """Return the last part of a name that somebody sent, printable and short; for people, never for paths."""
    last = PurePosixPath(sent_name.replace("\\", "/")).name
    printable = "".join(letter for letter in last if letter.isprintable()).strip()
    return printable[:_LONGEST_NAME] or "The file"


def name_of_volume(sent_name: str) -> str:
    """Return the display name without its ending."""
    name = display_name(sent_name)
    ending = _known_ending(name)
    return name[: len(name) - len(ending)] if len(name) > len(ending) else name


def without_our_names(error: BadInput, path: Path, name: str) -> BadInput:
    """Return the same error about the file as the person knows it: our path says nothing to them."""

    def rename(text: Any) -> str:
        return str(text).replace(str(path), name).replace(path.name, name)

    return BadInput(rename(error.message), rename(error.hint))


def _unpack_into(received: ReceivedFiles, archive: Path, name: str, left: int, check: Callable[[], None]) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir() and not _is_litter(each.filename)]
            if len(members) > _MOST_FILES:
                raise BadInput(f"{name} holds more than {_MOST_FILES} files.", _ONE_SERIES)
            for number, member in enumerate(members):
                path = received.folder / f"{number:06d}{_known_ending(member.filename)}"
                received.names[path.name] = member.filename.replace("\\", "/")
                left -= _copy(opened, member, path, left, name, check)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise BadInput(f"{name} is not a usable .zip file ({error}).", "Zip the DICOM folder again.") from error
    except RuntimeError as error:  # zipfile's word for "encrypted"
        raise BadInput(f"{name} is encrypted.", "Zip the DICOM folder without a password.") from error


def _ending(sent_name: str) -> str:
    ending = _known_ending(sent_name)
    if ending not in _WHOLE:
        raise BadInput(
            f"{display_name(sent_name)} is no file that can be opened here.",
            "Use NIfTI (.nii, .nii.gz), NRRD, MHA, a DICOM folder, or a .zip of one.",
        )
    return ending


def _known_ending(name: str) -> str:
    return next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")


def _is_litter(name: str) -> bool:
    return "__MACOSX" in name or PurePosixPath(name).name.startswith(".")


def _copy(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int, name: str, check: Callable[[], None]
) -> int:
    """Copy a member and return its size; the size that the archive claims is not believed."""
    size = 0
    with opened.open(member) as source, open(path, "xb") as file:
        while chunk := source.read(_CHUNK):
            check()
            size += len(chunk)
            if size > left:
                raise BadInput(f"{name} is too large when unpacked.", _ONE_SERIES)
            file.write(chunk)
    return size
