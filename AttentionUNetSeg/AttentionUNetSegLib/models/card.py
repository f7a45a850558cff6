"""What a person may want to know about a model, as data and as text."""

from __future__ import annotations

from typing import Any

from .package import ModelPackage


def package_summary(package: ModelPackage) -> dict[str, Any]:
    """The facts of a package that a list shows, ready for JSON."""
    return {
        "id": package.id,
        "version": package.version,
        "name": package.name,
        "description": package.description,
        "intended_input": package.intended_input,
        "default": package.is_default,
        "labels": [label["name"] for label in package.labels],
        "architecture": package.network["architecture"],
        "spacing_mm": list(package.spacing_mm),
        "performance": [_measurement(entry) for entry in package.manifest["performance"]],
        "licence": package.licence,
        "weights_mb": round(package.weights_path.stat().st_size / 1e6, 1),
        "sha256": package.weights_sha256,
        "folder": str(package.folder),
    }


def model_card(package: ModelPackage) -> str:
    """The manifest as a page of Markdown."""
    manifest, training = package.manifest, package.manifest["training"]
    lines = [f"# {package.name} {package.version}", "", package.description, ""]
    if package.is_phantom_only:
        lines += ["**Made for synthetic phantoms. On a real scan its output means nothing.**", ""]
    lines += ["## Finds", ""]
    lines += [f"- {label['name']} ({label['code']['scheme']} {label['code']['value']})" for label in package.labels]
    lines += ["", "## Limitations", "", manifest["limitations"], "", "## Measured", ""]
    lines += [f"- {_measurement(entry)}" for entry in manifest["performance"]] or ["Nothing was measured."]
    lines += ["", "## Trained on", "", training["summary"], ""]
    lines += [
        f"- {data['name']}: {data['n']} cases, labels by {data['labels_by']}; {data['licence']}; {data['attribution']}"
        for data in training["data"]
    ]
    spacing = " x ".join(f"{each:g}" for each in package.spacing_mm)
    low, high = package.window_hu
    lines += ["", "## Technical", ""]
    lines += [
        f"- Network: {package.network['architecture']}, features {package.network['features']}",
        f"- Input: {spacing} mm, {low:g} to {high:g} HU",
        f"- Threshold: {package.threshold:g}",
        f"- Weights: SHA-256 `{package.weights_sha256}`",
        f"- Licence: {package.licence}",
    ]
    return "\n".join(lines) + "\n"


def _measurement(entry: dict[str, Any]) -> str:
    """One measured result in words, always with how many cases and which."""
    text = f"{entry['metric']} {entry['mean']:g}"
    if "standard_deviation" in entry:
        text += f" ± {entry['standard_deviation']:g}"
    if "minimum" in entry:
        text += f", lowest {entry['minimum']:g}"
    text += f" (n = {entry['n']}, {entry['data']})"
    return f"{text}, {entry['date']}" if "date" in entry else text
