"""Files that the page sends: into the private folder, under names of our own, within limits."""

from __future__ import annotations

import shutil
import uuid
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aiohttp import web

from ..errors import BadInput, InternalError

DEFAULT_LIMIT_MB = 2048
_MOST_FILES_IN_ARCHIVE = 20_000
# What may follow the name that we make up; everything else of a sent name is for display only.
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".zip", ".dcm")
_LONGEST_NAME = 80
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A file that the page sent, or the folder that its archive was unpacked to.

    path : below the private folder; the name holds nothing that the sender chose but a known ending.
    name : what the sender calls it, without folders, control characters and ending.
    """

    path: Path
    name: str


class Uploads:
    """The route that takes files.

    Parameters
    ----------
    folder : where they go.
    limit_mb : the largest file, and the largest content of an archive.
    on_upload : called with each file that has come in completely.
    """

    def __init__(self, folder: Path, limit_mb: int, on_upload: Callable[[Path, str], Awaitable[None]]) -> None:
        self._folder = folder
        self._limit = limit_mb * 1024 * 1024
        self._on_upload = on_upload

    async def receive(self, request: web.Request) -> web.Response:
        """POST upload?name=...: the body is the file. Answers with a sentence where it cannot be taken."""
        sent_name = request.query.get("name", "")
        try:
            ending = _ending(sent_name)
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
            failure = InternalError(f"The file could not be stored ({error.strerror}).", "Check the free space.")
            return web.json_response({"message": failure.message, "hint": failure.hint}, status=507)
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

    def _too_large(self, sent_name: str) -> BadInput:
        return BadInput(
            f"{display_name(sent_name)} is larger than {self._limit >> 20} MB.",
            "Start the server with its path instead: attention-unet-seg serve PATH, or raise --upload-limit.",
        )


def unpack(archive: Path, sent_name: str, limit_mb: int) -> Path:
    """Unpack an uploaded .zip into a new folder beside it, the files numbered, and return what is to be read.

    That is the folder, or the file where the archive holds just one image file.

    Raises
    ------
    BadInput : not a .zip, encrypted, damaged, too many files or too large when unpacked.
    """
    folder = archive.with_suffix("")
    folder.mkdir()
    name = display_name(sent_name)
    try:
        _unpack_into(folder, archive, name, limit_mb * 1024 * 1024)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        archive.unlink(missing_ok=True)
    files = list(folder.iterdir())
    is_image = len(files) == 1 and files[0].suffix not in ("", ".dcm")
    return files[0] if is_image else folder


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


def _unpack_into(folder: Path, archive: Path, name: str, left: int) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir() and not _is_litter(each.filename)]
            if len(members) > _MOST_FILES_IN_ARCHIVE:
                raise BadInput(f"{name} holds more than {_MOST_FILES_IN_ARCHIVE} files.", "Zip one CT series only.")
            for number, member in enumerate(members):
                left -= _copy(opened, member, folder / f"{number:06d}{_known_ending(member.filename)}", left, name)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise BadInput(f"{name} is not a usable .zip file ({error}).", "Zip the DICOM folder again.") from error
    except RuntimeError as error:  # zipfile's word for "encrypted"
        raise BadInput(f"{name} is encrypted.", "Zip the DICOM folder without a password.") from error


def _ending(sent_name: str) -> str:
    ending = _known_ending(sent_name)
    if not ending or ending == ".dcm":
        raise BadInput(
            f"{display_name(sent_name)} is no file that can be opened here.",
            "Use NIfTI (.nii, .nii.gz), NRRD, MHA, or a DICOM folder as one .zip file.",
        )
    return ending


def _known_ending(name: str) -> str:
    return next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")


def _is_litter(name: str) -> bool:
    return "__MACOSX" in name or PurePosixPath(name).name.startswith(".")


def _copy(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int, name: str) -> int:
    """Copy a member and return its size; the size that the archive claims is not believed."""
    size = 0
    with opened.open(member) as source, open(path, "xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise BadInput(f"{name} is too large when unpacked.", "Zip one CT series only.")
            file.write(chunk)
    return size
