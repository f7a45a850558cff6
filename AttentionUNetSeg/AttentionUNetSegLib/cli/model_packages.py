"""`attention-unet-seg models`: what is installed, and installing more."""

from __future__ import annotations

from argparse import Namespace

from ..models import Catalogue, ModelPackage, measured_line, model_card, package_summary, verify_weights
from .terminal import Terminal


def show_list(options: Namespace, terminal: Terminal) -> None:
    """Print one line for each model, the default first, and warn about broken ones."""
    catalogue = Catalogue()
    packages, broken = catalogue.packages(), catalogue.broken()
    default = catalogue.default().id if packages else None
    for each in broken:
        terminal.warn(f"{each.folder} cannot be used: {each.reason}")
    fields = {
        "default": default,
        "models": [package_summary(package) for package in packages],
        "broken": [{"folder": str(each.folder), "reason": each.reason} for each in broken],
    }
    lines = [_line(package, package.id == default) for package in packages]
    terminal.answer(fields, "\n".join(lines) or "No model is installed. Add one: attention-unet-seg models add FILE")


def show_info(options: Namespace, terminal: Terminal) -> None:
    """Print a model's card, with --json its whole manifest."""
    package = Catalogue().get(options.model)
    terminal.answer({**package.manifest, "folder": str(package.folder)}, model_card(package).rstrip())


def add(options: Namespace, terminal: Terminal) -> None:
    """Install a package and print what became of it; one that could not run is refused at once.

    Raises
    ------
    BadModel : its weights are no plain state dict of its network (a pickle, TorchScript, incomplete).
    """
    from ..inference.weights import load_networks

    addition = Catalogue().add(options.source, check=load_networks)
    terminal.answer(package_summary(addition.package), addition.message)


def remove(options: Namespace, terminal: Terminal) -> None:
    """Delete an installed package."""
    Catalogue().remove(options.model)
    terminal.answer({"removed": options.model}, f"Removed {options.model}.")


def verify(options: Namespace, terminal: Terminal) -> None:
    """Check the weights of one model, or of all, against their hash."""
    catalogue = Catalogue()
    packages = catalogue.packages() if options.model is None else (catalogue.get(options.model),)
    for package in packages:
        verify_weights(package)
    fields = {"verified": [package.id for package in packages]}
    terminal.answer(fields, "\n".join(f"{package.id}: the weights are intact." for package in packages))


def _line(package: ModelPackage, is_default: bool) -> str:
    """One short line: what to type, and what is known of it; `models info` says the rest."""
    default = " (default)" if is_default else ""
    return f"{package.id} {package.version}{default}: {package.name}. {measured_line(package)}"
