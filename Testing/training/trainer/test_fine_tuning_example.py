"""The worked example of Documentation/training.md: its own lines in their order, with coarser phantoms, few steps."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.models import Catalogue, load_package

DOCUMENT = Path(__file__).resolve().parents[3] / "Documentation" / "training.md"
# Appended: the last of two options counts.
SMALLER = {
    "phantom": ["--spacing", "5,5,6"],
    "segment": ["--no-picture", "--no-scene", "--device", "cpu"],
    "correct": ["--no-picture"],
    "train": ["--patch", "16,16,16", "--steps", "2", "--device", "cpu"],
    "evaluate": ["--device", "cpu"],
}


def blocks() -> list[list[str]]:
    section = DOCUMENT.read_text(encoding="utf-8").split("## From your own corrected cases")[1].split("\n## ")[0]
    return [block.strip().splitlines() for block in section.split("```")[1::2]]


def test_it_runs_as_it_stands(tmp_path, monkeypatch, capfd):
    pytest.importorskip("monai", reason="the extra `train` is not installed")
    monkeypatch.chdir(tmp_path)
    made, table, *rest = blocks()
    for line in made:
        run(line)
    assert table[0].startswith("image,label")
    corrected = json.loads(Path("cases/results01/case01_corrected_report.json").read_text(encoding="utf-8"))
    assert f"results01/{corrected['files']['segmentation']}" in table[1].split(",")
    Path("cases/cases.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    for block in rest:
        for line in block:
            run(line)
    said = capfd.readouterr()
    package = load_package(tmp_path / "my-model")
    assert package.network["features"] == Catalogue().get("pancreas-ct").network["features"]
    assert package.manifest["training"]["data"][0]["n"] == 1
    assert "best of 1 validations" in " ".join(said.err.split())
    assert Path("evaluation/evaluation.json").is_file()


def run(line: str) -> None:
    program, command, *words = shlex.split(line)
    assert program == "attention-unet-seg"
    assert main([command, *words, *SMALLER[command]]) == 0, line
