"""Presets: what they choose, that single options override them, and that a run with one works."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path

import pytest
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.cli.train_arguments import add_train
from AttentionUNetSegLib.models import load_package
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.trainer import TrainingConfiguration
from AttentionUNetSegLib.training.trainer.configuration import AUGMENTATIONS
from AttentionUNetSegLib.training.trainer.export import check_package_size
from AttentionUNetSegLib.training.trainer.presets import PRESETS

from .conftest import tiny_run


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_is_a_network_that_can_be_built_and_packed(preset):
    configuration = TrainingConfiguration(Path("model"), **PRESETS[preset])
    check_package_size(build_network(configuration.network), configuration.largest_package_mb)
    stride = 2 ** (len(configuration.features) - 1)
    assert all(length % stride == 0 for length in configuration.patch)


def test_msd_is_after_nnunet():
    chosen = TrainingConfiguration(Path("model"), **PRESETS["msd"])
    augmentation = AUGMENTATIONS[chosen.augmentation]
    assert (chosen.norm, chosen.batch, chosen.optimizer, chosen.rate) == ("instance", 2, "sgd", 0.01)
    assert chosen.steps >= 100_000 and max(chosen.features) == 320
    assert (augmentation.rotation_degrees, augmentation.scale) == (30, (0.7, 1.4))
    extent = [length * chosen.spacing_mm for length in chosen.patch]
    assert extent == pytest.approx([100, 180, 180], rel=0.1)


def test_a_run_takes_the_preset_and_single_options_override_it(table, tmp_path, capfd):
    words = tiny_run(table, tmp_path / "model", steps=2, preset="msd", features="4,6,8")
    at = words.index("--batch")  # the preset's own is fine
    del words[at : at + 2]
    assert main(["train", *words]) == 0
    said = " ".join(capfd.readouterr().err.split())
    assert "Preset msd: norm instance, batch 2, optimizer sgd, rate 0.01" in said
    assert "patch 16,16,16 instead of 64,128,128" in said and "steps 2 instead of 250000" in said
    manifest = load_package(tmp_path / "model").manifest
    assert manifest["network"]["norm"] == "instance" and manifest["network"]["features"] == [4, 6, 8]
    assert "sgd with a polynomial rate from 0.01" in manifest["training"]["summary"]


def test_the_help_names_the_defaults_that_the_configuration_has():
    own = {each.name: each.default for each in fields(TrainingConfiguration)}
    parser = add_train(argparse.ArgumentParser().add_subparsers())
    told = {
        action.dest: found[1]
        for action in parser._actions
        if action.default is None and action.dest in own and (found := re.search(r"\(default: ([^)]+)\)", action.help))
    }
    assert len(told) > 15
    for name, text in told.items():
        if name in ("structures", "workers", "id", "work", "cache"):  # "all", an explanation, and what follows --out
            continue
        value = own[name]
        if isinstance(value, tuple):
            value = ",".join(map(str, value))
        shown = f"{value:g}" if isinstance(value, float) else {True: "yes", False: "no"}.get(value, str(value))
        assert text == shown, name
