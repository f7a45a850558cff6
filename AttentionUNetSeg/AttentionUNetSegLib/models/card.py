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
        "intended_use": package.intended_use,
        "intended_input": package.intended_input,
        "default": package.is_default,
        "labels": [label["name"] for label in package.labels],
        "architecture": package.network["architecture"],
        "spacing_mm": list(package.spacing_mm),
        "performance": [_measurement(entry) for entry in package.manifest["performance"]],
        "trained_on": [_data_set(data) for data in package.manifest["training"]["data"]],
        "limitations": package.manifest["limitations"],
        "licence": package.licence,
        "weights_mb": round(package.weights_path.stat().st_size / 1e6, 1),
        "sha256": package.weights_sha256,
        "folder": str(package.folder),
    }


def model_note(package: ModelPackage) -> list[str]:
    """What a person should read before using a model, a line each: what it is, use, measured, data, limits, licence.

    All of it is in the manifest, as every text about a model in a front end has to be.
    """
    summary = package_summary(package)
    return [
        summary["description"],
        f"Intended use: {summary['intended_use']}",
        f"Measured: {'; '.join(summary['performance']) or 'nothing'}",
        f"Trained on: {'; '.join(summary['trained_on']) or package.manifest['training']['summary']}",
        f"Limitations: {summary['limitations']}",
        f"Licence: {summary['licence']}",
    ]


def measured_line(package: ModelPackage) -> str:
    """What was measured of a model, in one line that begins with on how much and against what.

    The first of its measurements, with two significant digits: for people who choose a model.
    """
    only = "For synthetic phantoms only. " if package.is_phantom_only else ""
    entries = package.manifest["performance"]
    if not entries:
        return f"{only}Nothing was measured."
    entry = entries[0]
    return f"{only}Measured on n = {entry['n']} against {_against(entry)}: {entry['metric']} {_short(entry['mean'])}."


def measured_table(package: ModelPackage) -> list[dict[str, str]]:
    """What was measured as rows: metric, mean, n, against, data; two significant digits."""
    return [
        {
            "metric": entry["metric"],
            "mean": _short(entry["mean"])
            + (f" ± {_short(entry['standard_deviation'])}" if "standard_deviation" in entry else "")
            + (f", lowest {_short(entry['minimum'])}" if "minimum" in entry else ""),
            "n": str(entry["n"]),
            "against": _against(entry),
            "data": f"{entry['data']}" + (f", {entry['date']}" if "date" in entry else ""),
        }
        for entry in package.manifest["performance"]
    ]


def model_card(package: ModelPackage) -> str:
    """The manifest as a page of Markdown."""
    manifest, training = package.manifest, package.manifest["training"]
    lines = [f"# {package.name} {package.version}", "", package.description, ""]
    if package.is_phantom_only:
        lines += ["**Made for synthetic phantoms. On a real scan its output means nothing.**", ""]
    lines += ["## Intended use", "", package.intended_use, "", "## Finds", ""]
    lines += [f"- {label['name']} ({label['code']['scheme']} {label['code']['value']})" for label in package.labels]
    lines += ["", "## Limitations", "", manifest["limitations"], "", "## Measured", ""]
    lines += [f"- {_measurement(entry)}" for entry in manifest["performance"]] or ["Nothing was measured."]
    lines += ["", "## Trained on", "", training["summary"], ""]
    lines += [f"- {_data_set(data)}; {data['licence']}; {data['attribution']}" for data in training["data"]]
    spacing = " x ".join(f"{each:g}" for each in package.spacing_mm)
    low, high = package.window_hu
    lines += ["", "## Technical", ""]
    lines += [
        f"- Network: {package.network['architecture']}, features {package.network['features']}",
        f"- Input: {spacing} mm, {low:g} to {high:g} HU",
        f"- Threshold: {package.threshold:g}",
        f"- Looks at each CT: {package.passes}, averaged" if package.passes > 1 else "- Looks at each CT: 1",
        *_second_look(package),
        f"- Weights: SHA-256 `{package.weights_sha256}`",
        f"- Licence: {package.licence}",
    ]
    return "\n".join(lines) + "\n"


def _second_look(package: ModelPackage) -> list[str]:
    finer = package.second_look
    if finer is None:
        return []
    spacing = " x ".join(f"{each:g}" for each in finer.spacing_mm)
    return [
        f"- Looks once more, {spacing} mm, with {finer.margin_mm:g} mm around what was found: {finer.share:.0%} of the "
        f"probability are that look's; {finer.network['architecture']}, features {finer.network['features']}"
    ]


def _measurement(entry: dict[str, Any]) -> str:
    """One measured result in words, always with how many cases and which.

    What is measured against labels that somebody else made, another model above all, is agreement with them and is
    called so: only against the truth, as in a phantom, does the measure stand for itself.
    """
    text = f"{entry['metric']} {_short(entry['mean'])}"
    if "labels_by" in entry:
        text = f"agreement with labels by {entry['labels_by']}: {text}"
    if "standard_deviation" in entry:
        text += f" ± {_short(entry['standard_deviation'])}"
    if "minimum" in entry:
        text += f", lowest {_short(entry['minimum'])}"
    text += f" (n = {entry['n']}, {entry['data']})"
    return f"{text}, {entry['date']}" if "date" in entry else text


def _against(entry: dict[str, Any]) -> str:
    """What was measured against: another's labels, or the truth, by the name that the manifest gives it."""
    return f"labels by {entry['labels_by']}" if "labels_by" in entry else entry.get("truth", "exact labels")


def _short(value: float) -> str:
    """A number with two significant digits; one in thousands keeps all before the point."""
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def _data_set(data: dict[str, Any]) -> str:
    return f"{data['name']}: {data['n']} cases, labels by {data['labels_by']}"
