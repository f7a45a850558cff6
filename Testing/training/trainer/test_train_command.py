"""`attention-unet-seg train` as a process: killed, stopped and given again; alone and as two with torchrun."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.cli.train import _shares
from AttentionUNetSegLib.models import load_package, verify_weights
from AttentionUNetSegLib.training.trainer.checkpoint import CHECKPOINT_FILE, read_checkpoint

from .conftest import logged, tiny_run

PATIENCE_S = 240.0


def wait_for(path: Path, process) -> None:
    until = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.05)


def test_killed_in_the_middle_it_goes_on_and_ends_as_if_nothing_had_been(table, tmp_path, started, capfd):
    steps = 24
    words = tiny_run(table, tmp_path / "model", steps=steps, checkpoint_minutes=0.001)
    process = started(*words)
    work = tmp_path / "model-training"
    wait_for(work / CHECKPOINT_FILE, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "model").exists()
    done = read_checkpoint(work).step
    assert 0 < done < steps

    assert main(["train", *tiny_run(table, tmp_path / "model", steps=steps)]) == 0
    assert f"Going on from step {done}" in capfd.readouterr().err
    verify_weights(load_package(tmp_path / "model"))

    assert main(["train", *tiny_run(table, tmp_path / "whole", steps=steps)]) == 0
    assert logged(work) == logged(tmp_path / "whole-training")
    killed, whole = (read_checkpoint(folder).averaged for folder in (work, tmp_path / "whole-training"))
    assert all(torch.equal(killed[name], whole[name]) for name in whole)


def test_a_polite_request_to_stop_costs_nothing_and_leaves_no_package(table, tmp_path, started):
    words = tiny_run(table, tmp_path / "model", steps=10**6, checkpoint_minutes=0.003)
    process = started(*words)
    work = tmp_path / "model-training"
    wait_for(work / CHECKPOINT_FILE, process)
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130 and out == "" and "Traceback" not in said
    assert "Stopped after step" in said and str(work) in said
    assert read_checkpoint(work).step == max(logged(work))
    assert not (tmp_path / "model").exists()


def test_two_processes_train_as_one_with_the_whole_batch(table, tmp_path, started):
    # Instance normalization: torch has no synchronous batch normalization on the CPU.
    # And SGD: AdamW makes whole steps of what is mere rounding, as the gradients of biases before a normalization are.
    common = {"norm": "instance", "batch": 4, "steps": 4, "optimizer": "sgd"}
    two = started(
        *tiny_run(table, tmp_path / "two", **common),
        launcher=("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
    )
    assert main(["train", *tiny_run(table, tmp_path / "one", **common)]) == 0
    out, said = two.communicate(timeout=PATIENCE_S)
    assert two.returncode == 0, said
    assert out.count("Wrote the model") == 1
    losses = [[float(loss) for loss in logged(tmp_path / f"{name}-training").values()] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and len(losses[0]) == 4
    one, both = (read_checkpoint(tmp_path / f"{name}-training").network for name in ("one", "two"))
    for name in one:
        assert torch.allclose(one[name], both[name], atol=1e-4), name


def test_the_answer_and_the_options_reach_the_package(table, tmp_path, capfd):
    words = tiny_run(
        table, tmp_path / "model", steps=1, gate="grid", id="my-model", name="My model", window="-200,300",
        description="Mine.", licence="MIT",
    )  # fmt: skip
    words[words.index("--window") : words.index("--window") + 2] = ["--window=-200,300"]
    words[words.index("--dataset") + 1] += "@0.5"
    assert main(["train", *words, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    package = load_package(tmp_path / "model")
    assert answer["model"] == str(package.folder) and answer["id"] == package.id == "my-model"
    manifest = package.manifest
    assert (package.name, package.description, package.licence) == ("My model", "Mine.", "MIT")
    assert package.window_hu == (-200, 300) and manifest["network"]["gate"] == "grid"
    assert "50% of the patches" in manifest["training"]["summary"]


def test_problem_cases_are_listed_and_left_out_or_end_a_strict_run(table, tmp_path, capfd):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in table.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "label1.nrrd").write_bytes(b"no image")
    words = tiny_run(broken, tmp_path / "model", steps=1)
    assert main(["train", *words, "--strict"]) == 2
    said = capfd.readouterr().err
    assert "label1.nrrd" in said and "problem" in said and not (tmp_path / "model").exists()
    assert main(["train", *words]) == 0
    assert "Left out: broken/ball1" in capfd.readouterr().err
    assert load_package(tmp_path / "model").manifest["training"]["data"][0]["n"] == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset": "nowhere:/x"}, "no data set layout"),
        ({"patch": "16,16"}, "3 numbers with commas"),
        ({"structures": "pancreas,heart"}, "Known structures are"),
        ({"device": "abacus"}, "no compute device"),
        ({"leave_out": "nobody"}, "No scan is of the patient 'nobody'"),
    ],
)
def test_what_cannot_be_trained_costs_one_sentence(table, tmp_path, capfd, changes, sentence):
    assert main(["train", *tiny_run(table, tmp_path / "model", **changes)]) in (2, 5)
    said = capfd.readouterr().err
    assert sentence in said and "Traceback" not in said


def test_a_share_follows_the_last_at_sign():
    assert _shares(["msd:/a@0.3", "table:/b", "table:/me@home", "table:/me@home@.5"]) == (
        ["msd:/a", "table:/b", "table:/me@home", "table:/me@home"], [0.3, None, None, 0.5],
    )  # fmt: skip
