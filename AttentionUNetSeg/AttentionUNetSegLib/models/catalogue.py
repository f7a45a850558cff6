"""Which models are installed: those that came with AttentionUNetSeg, and those a person added."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadInput, BadModel
from .archive import files_of_archive
from .package import ModelPackage, load_package, verify_weights
from .sources import PackageFiles, copy_package, files_of_folder
from .staging import is_staging, put_in_place, remove_folder, staging_folder

LIBRARY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class BrokenPackage:
    """A folder among the installed models that cannot be used, and why."""

    folder: Path
    reason: str


@dataclass(frozen=True)
class Addition:
    """What `Catalogue.add` did: the package as it is now installed, and a sentence for the person who added it."""

    package: ModelPackage
    message: str


class Catalogue:
    """The installed model packages. It reads the folders anew each time, so that every process sees what another added.

    Parameters
    ----------
    bundled : Path | None
        Folder of packages that came with AttentionUNetSeg; never changed here. None: `bundled_models_folder`.
    user : Path | None
        Folder of packages that were added; made when first needed. None: `user_models_folder`.
    """

    def __init__(self, bundled: Path | None = None, user: Path | None = None) -> None:
        self.bundled = bundled_models_folder() if bundled is None else Path(bundled)
        self.user = user_models_folder() if user is None else Path(user)

    def packages(self) -> tuple[ModelPackage, ...]:
        """All usable packages: those for real scans first, bundled before added, then by id."""
        return self._scan()[0]

    def broken(self) -> tuple[BrokenPackage, ...]:
        """The folders that should be packages and are not usable."""
        return self._scan()[1]

    def get(self, model_id: str | None = None) -> ModelPackage:
        """The package with this id, or the default one.

        Raises
        ------
        BadModel
            It is not installed, or broken; the message says which models there are.
        """
        if model_id is None:
            return self.default()
        packages, broken = self._scan()
        for package in packages:
            if package.id == model_id:
                return package
        for each in broken:
            if each.folder.name == model_id:
                raise BadModel(
                    f"Model {model_id} is installed but cannot be used: {each.reason}", "Remove it and add it again."
                )
        known = ", ".join(package.id for package in packages) or "none"
        raise BadModel(f"No model {model_id!r} is installed. Installed: {known}.", "Add it, or choose another.")

    def default(self) -> ModelPackage:
        """The package to use where nobody chose one. A phantom-only model is never preferred to one for real scans.

        Raises
        ------
        BadModel
            No usable package is installed.
        """
        packages, broken = self._scan()
        if not packages:
            reason = f" Broken: {broken[0].reason}" if broken else ""
            raise BadModel(f"No model is installed.{reason}", "Add one: attention-unet-seg models add FILE.")
        return min(packages, key=lambda package: (package.is_phantom_only, not package.is_default))

    def is_bundled(self, package: ModelPackage) -> bool:
        """Whether a package came with AttentionUNetSeg."""
        return self.bundled is not None and package.folder.parent == self.bundled

    def add(self, source: Path | str, check: Callable[[ModelPackage], object] = lambda package: None) -> Addition:
        """Install a package from a folder or .zip, after checking all of it.

        An added package of the same id and another version is replaced. The same package again changes nothing.

        Parameters
        ----------
        source : Path | str
            The package's folder, or a .zip that holds one.
        check : Callable[[ModelPackage], object]
            Called with the package before it is put in place, and raises where it could not run: whether weights and
            network belong together only torch can tell, which is not here.

        Raises
        ------
        BadInput
            No such file or folder, the id belongs to a bundled package, or the same version of it is installed with
            other content.
        BadModel
            Not a valid package.
        InternalError
            The user folder cannot be written.
        """
        source = Path(source)
        with _opened(source) as files, staging_folder(self.user) as staging:
            incoming = copy_package(files, staging, str(source))
            check(incoming)
            installed = self._installed(incoming)
            destination = installed.folder if installed else self.user / incoming.id
            if installed and (self.is_bundled(installed) or _is_intact_copy(installed, incoming)):
                return Addition(installed, f"{incoming.name} {incoming.version} is already installed; nothing changed.")
            put_in_place(staging, destination)
        package = load_package(destination)
        replaced = f" instead of {installed.version}" if installed and installed.version != package.version else ""
        return Addition(package, f"Added {package.name} {package.version}{replaced}.")

    def remove(self, model_id: str) -> None:
        """Delete an added package, usable or broken.

        Raises
        ------
        BadInput
            It came with AttentionUNetSeg, or is not installed.
        InternalError
            The folder cannot be deleted.
        """
        packages, broken = self._scan()
        folders = [package.folder for package in packages if package.id == model_id]
        folders += [each.folder for each in broken if each.folder.name == model_id]
        for folder in folders:
            if folder.parent == self.user:
                remove_folder(folder)
                return
        if folders:
            raise BadInput(f"Model {model_id} came with AttentionUNetSeg and cannot be removed.")
        raise BadInput(f"No model {model_id!r} is installed, so it cannot be removed.")

    def _installed(self, incoming: ModelPackage) -> ModelPackage | None:
        """The installed package that has the id of an incoming one, unless that is a reason to refuse it."""
        installed = next((package for package in self.packages() if package.id == incoming.id), None)
        if installed is None or installed.manifest == incoming.manifest:
            return installed
        if self.is_bundled(installed):
            raise BadInput(
                f"A model {incoming.id} came with AttentionUNetSeg, so another one with this id cannot be added.",
                "Give it another id.",
            )
        if installed.version == incoming.version:
            raise BadInput(
                f"Another model {incoming.id} {incoming.version} is installed, with different content.",
                "Remove that one first, or give this one another version.",
            )
        return installed

    def _scan(self) -> tuple[tuple[ModelPackage, ...], tuple[BrokenPackage, ...]]:
        packages: dict[str, ModelPackage] = {}
        broken: list[BrokenPackage] = []
        for folder in [*_subfolders(self.bundled), *_subfolders(self.user)]:
            try:
                package = load_package(folder)
            except BadModel as error:
                broken.append(BrokenPackage(folder, error.message))
                continue
            if package.id in packages:
                reason = f"{folder} has the id {package.id}, which {packages[package.id].folder} has too."
                broken.append(BrokenPackage(folder, reason))
            else:
                packages[package.id] = package
        ordered = sorted(packages.values(), key=lambda each: (each.is_phantom_only, not self.is_bundled(each), each.id))
        return tuple(ordered), tuple(broken)


def bundled_models_folder() -> Path | None:
    """Where the packages lie that came with AttentionUNetSeg; None where none came.

    In a wheel they are inside the package, in Slicer and in a checkout beside it, in the module's Resources.
    """
    for folder in (LIBRARY / "bundled_models", LIBRARY.parent / "Resources" / "Models"):
        if folder.is_dir():
            return folder
    return None


def user_models_folder() -> Path:
    """Where added packages lie: ATTENTIONUNETSEG_MODELS, or the place the operating system has for a program's data."""
    if override := os.environ.get("ATTENTIONUNETSEG_MODELS"):
        return Path(override).expanduser().absolute()
    home = Path.home()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        # The XDG specification says to ignore a relative path.
        configured = Path(os.environ.get("XDG_DATA_HOME", ""))
        data = configured if configured.is_absolute() else home / ".local" / "share"
    return data / "AttentionUNetSeg" / "models"


@contextmanager
def _opened(source: Path) -> Iterator[PackageFiles]:
    if source.is_dir():
        yield files_of_folder(source)
    elif source.is_file():
        with files_of_archive(source) as files:
            yield files
    else:
        raise BadInput(f"There is no model package {source}.", "Give a folder or a .zip file.")


def _is_intact_copy(installed: ModelPackage, incoming: ModelPackage) -> bool:
    """Whether adding would change nothing. A damaged copy of the same package is repaired by adding it again."""
    try:
        verify_weights(installed)
    except BadModel:
        return False
    return installed.manifest == incoming.manifest


def _subfolders(folder: Path | None) -> list[Path]:
    """The folders that should each be a package; none where the folder is missing or may not be read."""
    try:
        found = sorted(folder.iterdir()) if folder else []
    except OSError:
        return []
    return [each for each in found if each.is_dir() and not is_staging(each) and each.name != "__pycache__"]
