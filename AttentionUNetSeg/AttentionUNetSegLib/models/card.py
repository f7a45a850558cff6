"""What a person may want to know about a model, as data and as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .package import ModelPackage

# A sentence with as many semicolons is a list.
_MANY_PARTS = 3


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
    """The manifest as a page of Markdown, in short lines; its tables are aligned, so that a terminal shows them too."""
    manifest = package.manifest
    lines = [f"# {package.name} {package.version}", "", package.description, ""]
    if package.is_phantom_only:
        lines += ["**Made for synthetic phantoms. On a real scan its output means nothing.**", ""]
    lines += ["## Intended use", "", package.intended_use, "", "## Finds", ""]
    lines += [f"- {label['name']} ({label['code']['scheme']} {label['code']['value']})" for label in package.labels]
    lines += ["", "## Limitations", "", *_in_short_lines(manifest["limitations"])]
    lines += ["", "## Measured", "", *_measured(package), "", "## Trained on", ""]
    lines += [*_data_table(manifest["training"]["data"]), *_in_short_lines(manifest["training"]["summary"])]
    low, high = package.window_hu
    lines += ["", "## Technical", ""]
    lines += [
        f"- Network: {package.network['architecture']}, features {package.network['features']}",
        f"- Input: {_voxel(package.spacing_mm)}, {low:g} to {high:g} HU",
        f"- Threshold: {package.threshold:g}",
        f"- Looks at each CT: {package.passes}, averaged" if package.passes > 1 else "- Looks at each CT: 1",
        *_second_look(package),
        f"- Weights: SHA-256 `{package.weights_sha256}`",
        f"- Licence: {package.licence}",
    ]
    return "\n".join(lines) + "\n"


def _voxel(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{each:g}" for each in spacing_mm) + " mm"


def _second_look(package: ModelPackage) -> list[str]:
    finer = package.second_look
    if finer is None:
        return []
    return [
        f"- Looks once more, {_voxel(finer.spacing_mm)}, with {finer.margin_mm:g} mm around what was found: "
        f"{finer.share:.0%} of the probability are that look's; {finer.network['architecture']}, "
        f"features {finer.network['features']}"
    ]


def _measured(package: ModelPackage) -> list[str]:
    """What was measured as a table; what holds for all of it is told once, below."""
    rows = measured_table(package)
    if not rows:
        return ["Nothing was measured."]
    parts = [row["data"].split("; ") for row in rows]
    shared = [part for part in parts[0] if all(part in others for others in parts)]
    own = ["; ".join(part for part in each if part not in shared) for each in parts]
    cells = [[row["metric"], row["mean"], row["n"], row["against"], more] for row, more in zip(rows, own, strict=True)]
    head = ["Metric", "Mean", "n", "Against", "More"]
    if not any(own):
        head, *cells = [line[:-1] for line in (head, *cells)]
    return [*_table(head, cells), *(["", f"On: {'; '.join(shared)}."] if shared else [])]


def _data_table(data: Sequence[dict[str, Any]]) -> list[str]:
    """What was trained on as a table, contours by hand first, and the sources with their licences as a list."""
    ranks = {"manual": 0, "synthetic": 2}
    sources: list[str] = []
    sets: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for each in sorted(data, key=lambda entry: ranks.get(entry["labels_by"], 1)):
        source = f"{each['attribution']}. {each['licence']}"
        if source not in sources:
            sources.append(source)
        n, numbers = sets.get((each["name"], each["labels_by"]), (0, []))
        number = str(1 + sources.index(source))
        sets[each["name"], each["labels_by"]] = n + each["n"], [*numbers, *({number} - set(numbers))]
    if not sets:
        return []
    cells = [[name, str(n), labels_by, ", ".join(numbers)] for (name, labels_by), (n, numbers) in sets.items()]
    listed = [f"{number}. {source}" for number, source in enumerate(sources, start=1)]
    return [*_table(("Data", "n", "Labels by", "Source"), cells), "", "Sources:", "", *listed, ""]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]


def _in_short_lines(text: str) -> list[str]:
    """A long text as a list of its sentences, and a sentence of many parts as a list of these below its first."""
    sentences = re.split(r"(?<=[^.\s]\.) (?=[A-Z])", text.strip())
    if len(sentences) == 1 and text.count("; ") < _MANY_PARTS:
        return [text]
    lines = []
    for sentence in sentences:
        first, *parts = sentence.split("; ") if sentence.count("; ") >= _MANY_PARTS else [sentence]
        lines += [f"- {first}", *(f"  - {part}" for part in parts)]
    return lines


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
