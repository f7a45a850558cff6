"""Whole runs of a tiny network: the same by seed, the same after an interruption, and a package that segments."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.errors import BadInput, Cancelled, InternalError
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import load_package, verify_weights
from AttentionUNetSegLib.training.labelled_scan import LabelledScan, LoadedScan
from AttentionUNetSegLib.training.trainer import StepReport, TrainingReporter, train
from AttentionUNetSegLib.training.trainer.checkpoint import CHECKPOINT_FILE, read_checkpoint
from AttentionUNetSegLib.training.trainer.optimization import MOST_SKIPPED_IN_A_ROW, rate_factor

from .conftest import as_image, drawn, logged, make_scan, tiny_configuration


class Heard(TrainingReporter):
    """Keeps what was reported; `stop_after` sends this process a SIGTERM after that step."""

    def __init__(self, stop_after: int = -1) -> None:
        self.notes: list[str] = []
        self.steps: list[StepReport] = []
        self.scans: list[str] = []
        self.stop_after = stop_after

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def prepared(self, done: int, total: int, name: str) -> None:
        self.scans.append(name)

    def stepped(self, report: StepReport) -> None:
        self.steps.append(report)
        if report.step == self.stop_after:
            os.kill(os.getpid(), signal.SIGTERM)


TO_THE_END = {"steps": 60, "structures": ("pancreas",), "rate": 0.02}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that found the ball: its configuration, what it reported, its package."""
    heard, configuration = Heard(), tiny_configuration(tmp_path_factory.mktemp("trained"), **TO_THE_END)
    return configuration, heard, train(configuration, [make_scan(seed) for seed in range(3)], heard)


@pytest.mark.parametrize("gate", ["additive", "none"])
def test_a_trained_package_finds_the_ball(scans, configured, gate, request):
    if gate == "additive":
        configuration, heard, package = request.getfixturevalue("trained")
    else:
        heard, configuration = Heard(), configured(gate=gate, **TO_THE_END)
        package = train(configuration, scans, heard)
    verify_weights(package)
    assert package.folder == configuration.out and load_package(configuration.out).manifest == package.manifest
    assert heard.steps[-1].mean_loss < heard.steps[0].loss

    hu, labels = drawn(99)
    result = Segmenter(package, "cpu").segment(Volume(as_image(hu), "ball", False, ()))
    found = sitk.GetArrayViewFromImage(result.probability) >= 128
    dice = 2 * np.count_nonzero(found & (labels == 1)) / (np.count_nonzero(found) + np.count_nonzero(labels == 1))
    assert dice > 0.7
    assert len(result.attention) == (2 if gate == "additive" else 0)


def test_the_model_card_says_what_was_trained_on(configured):
    scans = [make_scan(0), make_scan(1), make_scan(2, "real", "manual"), make_scan(3, "real", "other network")]
    package = train(configured(steps=1, shares={"real": 0.4}, command="the command"), scans)
    assert package.network["out_channels"] == 1 and not package.network["deep_supervision"]
    weights = torch.load(package.weights_path, weights_only=True)
    assert weights["head.weight"].shape[0] == 1
    assert all(tensor.dtype is torch.float16 for tensor in weights.values() if tensor.is_floating_point())
    assert not any(name.startswith("deep_supervision") for name in weights)
    training = package.manifest["training"]
    assert training["command"] == "the command" and "real is 40% of the patches" in training["summary"]
    assert [(entry["name"], entry["n"], entry["labels_by"]) for entry in training["data"]] == [
        ("balls", 2, "synthetic"), ("real", 1, "manual"), ("real", 1, "other network"),
    ]  # fmt: skip
    assert package.manifest["performance"] == []
    assert "1 with manual labels, 1 labelled by another model, 2 synthetic" in package.manifest["limitations"]


def test_the_same_seed_gives_the_same_run_and_another_another(scans, configured, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(configured(work=tmp_path / name, out=tmp_path / f"{name}-model", seed=seed, steps=3), scans)
    first, again, other = (logged(tmp_path / name) for name in "abc")
    assert first == again != other
    states = [read_checkpoint(tmp_path / name).network for name in "ab"]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_interrupted_and_resumed_is_the_same_as_uninterrupted(scans, configured, tmp_path):
    train(configured(work=tmp_path / "whole"), scans)
    interrupted = configured(work=tmp_path / "interrupted", workers=1)
    with pytest.raises(Cancelled, match="after step 3"):
        train(interrupted, scans, Heard(stop_after=3))
    assert not interrupted.out.with_name("x").exists() and read_checkpoint(tmp_path / "interrupted").step == 3
    heard = Heard()
    train(interrupted, scans, heard)
    assert any("Going on from step 3" in note for note in heard.notes) and heard.steps[0].step == 4
    assert logged(tmp_path / "interrupted") == logged(tmp_path / "whole")
    whole, resumed = (read_checkpoint(tmp_path / name) for name in ("whole", "interrupted"))
    for kind in ("network", "averaged"):
        one, other = getattr(whole, kind), getattr(resumed, kind)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_rows_written_after_the_last_checkpoint_are_not_kept_twice(scans, configured, tmp_path):
    configuration = configured(steps=3)
    train(configuration, scans)
    log = configuration.work_folder / "log.csv"
    log.write_text(log.read_text() + "4,9.9,0.1,5.0,,0\n5,9.")
    train(replace(configuration, steps=5), scans)
    assert list(logged(configuration.work_folder)) == [1, 2, 3, 4, 5]
    assert logged(configuration.work_folder)[4] != "9.9"


def test_another_configuration_is_refused_by_name(scans, configured):
    train(configured(steps=1), scans)
    with pytest.raises(BadInput, match=r"checkpoint of another run: rate was 0.01 and is now 0.5"):
        train(configured(steps=1, rate=0.5), scans)
    with pytest.raises(BadInput, match="scans was"):
        train(configured(steps=1), scans[:2])
    heard = Heard()
    train(configured(steps=2, accept_other_scans=True), scans[:2], heard)
    assert heard.steps[0].step == 2
    train(configured(steps=1, rate=0.5, resume="no"), scans)


def test_insisting_on_a_checkpoint_that_is_not_there(scans, configured):
    with pytest.raises(BadInput, match="no checkpoint"):
        train(configured(resume="yes"), scans)


def test_a_damaged_checkpoint_is_refused(scans, configured):
    configuration = configured(steps=1)
    train(configuration, scans)
    (configuration.work_folder / CHECKPOINT_FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(BadInput, match=r"checkpoint\.pt cannot be read"):
        train(configuration, scans)


@pytest.mark.parametrize("source", ["work folder", "package"])
def test_fine_tuning_begins_with_the_weights_of_another_run(scans, configured, tmp_path, source):
    first = configured(steps=8, out=tmp_path / "first")
    train(first, scans)
    start = first.work_folder if source == "work folder" else first.out
    heard, fresh = Heard(), Heard()
    train(configured(steps=1, out=tmp_path / "tuned", start_from=start), scans, heard)
    train(configured(steps=1, out=tmp_path / "fresh"), scans, fresh)
    assert heard.steps[0].loss < fresh.steps[0].loss
    assert any("The first weights are those of" in note for note in heard.notes)


def test_weights_of_another_network_are_refused(scans, configured, tmp_path):
    train(configured(steps=1, out=tmp_path / "first"), scans)
    with pytest.raises(BadInput, match="do not fit"):
        train(configured(out=tmp_path / "second", features=(4, 8, 16), start_from=tmp_path / "first"), scans)


def test_patients_are_left_out_and_validated_on(configured):
    scans = [make_scan(seed) for seed in range(3)]
    heard = Heard()
    configuration = configured(steps=2, leave_out=("patient 0",), validate_on=("patient 1",), validation_minutes=1e-6)
    package = train(configuration, scans, heard)
    assert heard.scans == ["balls/2", "balls/1"]  # trained on, then validated on
    assert package.manifest["training"]["data"][0]["n"] == 1
    assert all(0 <= report.validation_dice <= 1 for report in heard.steps)
    assert any("of 3 validations" in note and "balls/1" in note for note in heard.notes)
    with pytest.raises(BadInput, match="'nobody'"):
        train(configured(leave_out=("nobody",)), scans)
    with pytest.raises(BadInput, match="no scan to train on"):
        train(configured(leave_out=tuple(f"patient {n}" for n in range(3))), scans)


def test_the_best_weights_of_all_validations_are_kept_through_an_interruption_and_exported(configured, trained):
    """What a trained network found is spoiled by training on wrong labels: each validation is worse than the first."""
    good, _, _ = trained
    configuration = configured(
        steps=8, rate=0.05, structures=("pancreas",), start_from=good.out, validate_on=("patient 9",),
        validation_minutes=1e-9,
    )  # fmt: skip
    scans = [wrongly_labelled(make_scan(0)), make_scan(9)]
    with pytest.raises(Cancelled):
        train(configuration, scans, Heard(stop_after=4))
    heard = Heard()
    package = train(configuration, scans, heard)
    with (configuration.work_folder / "log.csv").open(encoding="utf-8") as file:
        scores = [float(row["validation_dice"]) for row in csv.DictReader(file)]
    assert len(scores) == 8 and scores[0] == max(scores) > scores[-1] + 0.2
    said = next(note for note in heard.notes if "the best of" in note)
    assert f"those of step 1 of 8, the best of 9 validations: Dice on the model's grid {scores[0]:.3f}" in said
    assert "those of step 1 of 8" in package.manifest["training"]["summary"]
    best = read_checkpoint(configuration.work_folder).best
    stored = torch.load(package.weights_path, weights_only=True)
    for name in ("head.weight", "encoder.0.0.weight"):
        assert torch.equal(stored[name], best["weights"][name].half())


def wrongly_labelled(scan: LabelledScan) -> LabelledScan:
    """The scan, the liver labelled as pancreas."""

    def load() -> LoadedScan:
        loaded = scan.load()
        return LoadedScan(loaded.ct, {"pancreas": loaded.structures["liver"]})

    return replace(scan, load=load, name="wrong/0")


@pytest.mark.parametrize("workers", [None, 3])
def test_patches_that_threads_made_train_the_same_network(scans, configured, tmp_path, workers):
    for name, count in (("in turn", 0), ("ahead", workers)):
        train(configured(out=tmp_path / name, workers=count), scans)
    assert logged(tmp_path / "in turn-training") == logged(tmp_path / "ahead-training")


def test_seconds_of_a_step_and_of_waiting_are_reported(scans, configured):
    heard, configuration = Heard(), configured(steps=4, workers=0)
    train(configuration, scans, heard)
    with (configuration.work_folder / "log.csv").open(encoding="utf-8") as file:
        rows = [(float(row["step_seconds"]), float(row["waiting_seconds"])) for row in csv.DictReader(file)]
    assert all(0 < waited < whole for whole, waited in rows)  # without threads, making the patches is waiting
    last = heard.steps[-1]
    assert last.mean_step_seconds == pytest.approx(np.mean(rows, axis=0)[0], rel=0.05)
    whole, waited = (sum(column) for column in zip(*rows, strict=True))
    assert last.waiting_share == pytest.approx(waited / whole, rel=0.05)
    assert any("4 steps took" in note and "waiting for patches" in note for note in heard.notes)


def test_a_run_ends_by_time_and_the_rate_follows_the_time(scans, configured):
    heard = Heard()
    train(configured(steps=10**6, minutes=2 / 60), scans, heard)
    assert 0 < len(heard.steps) < 10**5
    assert heard.steps[-1].rate < 0.5 * max(report.rate for report in heard.steps)


def test_steps_without_finite_loss_are_skipped_and_counted(scans, configured, monkeypatch):
    from AttentionUNetSegLib.training.trainer import optimization

    class SometimesNotANumber(optimization.PartialAnnotationLoss):
        calls, bad = 0, (2, 3)

        def forward(self, logits, batch):
            type(self).calls += 1
            return super().forward(logits, batch) * (float("nan") if self.calls in self.bad else 1.0)

    monkeypatch.setattr(optimization, "PartialAnnotationLoss", SometimesNotANumber)
    heard = Heard()
    train(configured(steps=4), scans, heard)
    assert [report.skipped for report in heard.steps] == [0, 1, 2, 2]
    assert np.isnan(heard.steps[1].loss) and np.isfinite(heard.steps[3].loss)

    SometimesNotANumber.bad = range(10**6)
    with pytest.raises(InternalError, match=f"The last {MOST_SKIPPED_IN_A_ROW} steps"):
        train(configured(steps=100, resume="no"), scans)


def test_a_card_that_could_not_be_written_is_refused_before_training(scans, configured):
    heard = Heard()
    with pytest.raises(BadInput, match="id"):
        train(configured(id="No gates (U-Net)"), scans, heard)
    with pytest.raises(BadInput, match="name"):
        train(configured(name=""), scans, heard)
    configuration = configured()
    configuration.out.mkdir(parents=True)
    (configuration.out / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="not a model package"):
        train(configuration, scans, heard)
    assert not heard.steps and (configuration.out / "thesis.txt").read_text() == "mine"


def test_a_package_that_would_be_too_large_is_refused_before_training(scans, configured):
    heard = Heard()
    with pytest.raises(BadInput, match="would have .* MB, more than 13 MB"):
        train(configured(features=(32, 64, 128, 256, 512)), scans, heard)
    assert not heard.scans


@pytest.mark.parametrize(
    "changes",
    [{"patch": (4, 16, 16)}, {"structures": ("liver", "pancreas")}, {"structures": ("pancreas", "heart")},
     {"gate": "soft"}, {"steps": 0}, {"rate": 0}, {"averaging": 1}, {"shares": {"a": 0.7, "b": 0.7}},
     {"features": (8,)}, {"spacing_mm": 0}],
)  # fmt: skip
def test_configurations_that_make_no_sense_are_refused(configured, changes):
    with pytest.raises(BadInput):
        configured(**changes)


@pytest.mark.parametrize("schedule", ["polynomial", "cosine"])
def test_the_rate_rises_shortly_and_falls_to_almost_nothing(schedule):
    factors = [rate_factor(schedule, fraction) for fraction in np.linspace(0, 1, 101)]
    assert factors[0] < 0.2 and max(factors) > 0.95 and factors.index(max(factors)) < 5
    assert factors[-1] < 0.01 and np.all(np.diff(factors[5:]) <= 0)


def test_the_papers_rate_is_halved_after_each_quarter():
    assert [rate_factor("halving", fraction) for fraction in (0.2, 0.26, 0.51, 0.76)] == [1, 0.5, 0.25, 0.125]
