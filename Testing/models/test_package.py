"""Reading, checking and writing one package."""

from __future__ import annotations

import json
import shutil

import pytest
from AttentionUNetSegLib.errors import BadInput, BadModel
from AttentionUNetSegLib.models import (
    QualityLimits,
    load_package,
    measured_line,
    measured_table,
    model_card,
    model_note,
    package_summary,
    verify_weights,
    write_package,
)


def test_package_says_what_its_manifest_says(make_package):
    package = load_package(make_package())
    assert (package.id, package.version, package.name) == ("pancreas-ct", "1.0.0", "Pancreas")
    assert package.spacing_mm == (2.0, 2.0, 2.5)
    assert package.window_hu == (-160.0, 240.0)
    assert package.threshold == 0.5
    assert package.activation == "sigmoid"
    assert [label["name"] for label in package.labels] == ["Pancreas"]
    assert package.weights_path.read_bytes()
    verify_weights(package)


def test_name_of_a_phantom_model_always_says_so(make_package):
    silent = load_package(make_package("a", intended_input="phantom", name="Pancreas"))
    honest = load_package(make_package("b", intended_input="phantom", name="Pancreas, phantom only"))
    assert silent.name == "Pancreas (phantom only)"
    assert honest.name == "Pancreas, phantom only"
    assert "On a real scan its output means nothing" in model_card(silent)


@pytest.mark.parametrize("weights", [b"other", b""])
def test_exchanged_weights_are_refused(make_package, weights):
    package = load_package(make_package())
    package.weights_path.write_bytes(weights)
    with pytest.raises(BadModel, match=r"damaged or were exchanged.*SHA-256"):
        verify_weights(package)


def test_missing_parts_are_named(make_package, tmp_path):
    with pytest.raises(BadModel, match=r"has no model\.json"):
        load_package(tmp_path)
    folder = make_package()
    (folder / "weights.pt").unlink()
    with pytest.raises(BadModel, match=r"weights\.pt is missing"):
        load_package(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe\x00", "cannot be read as JSON"),
        (b'{"id": "a", "id": "b"}', "the field 'id' is there twice"),
        (b'{"id": NaN}', "NaN"),
        (b'{"id": 1e999}', "1e999"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b" " * (2**20 + 1), "larger than 1 MiB"),
        (b'{"format_version": 2, "new": true}', "format_version 2"),
        (b'{"format_version": 1, "a": 1}', "And 11 more"),
        (b"[1]", "the document: an object expected, got a list"),
    ],
)
def test_unreadable_manifests_are_refused_with_the_reason(tmp_path, content, reason):
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(BadModel, match=reason) as caught:
        load_package(tmp_path)
    assert str(tmp_path) in caught.value.message


def two_labels(manifest, channels):
    first = manifest["labels"][0]
    second = {**first, "value": 2, "name": "Duct"}
    return [{**first, "channel": channels[0]}, {**second, "channel": channels[1]}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["input"].update(window_hu=[240, -160]), "input.window_hu: the low end first"),
        (lambda m: m["input"].update(window_hu=[10, 10]), "input.window_hu: the low end first"),
        (lambda m: m["output"].update(activation="softmax"), "labels: with network.out_channels 1 and softmax"),
        (lambda m: m["network"].update(out_channels=2), r"each of the channels \[0, 1\], got \[0\]"),
        (lambda m: m.update(labels=two_labels(m, (0, 0))), r"each of the channels \[0\], got \[0, 0\]"),
        (lambda m: m.update(labels=[{**x, "value": 1} for x in two_labels(m, (0, 1))]), "its own value"),
        (lambda m: m.update(id="con"), "id: con is the name of a device"),
        (lambda m: m.update(id="pancreas\n"), "id: ends with a line break"),
        (lambda m: m["weights"].update(file="nul.x.pt"), "weights.file: nul.x.pt is the name of a device"),
        (lambda m: m["network"].pop("gate"), "network.gate: expected"),
        (lambda m: m["network"].update(architecture="UNet"), "network.gate: expected"),
        (lambda m: m["training"].update(date="2026-02-30"), "training.date: 2026-02-30 is no date"),
        (lambda m: m["performance"][0].update(date="2026-13-01"), r"performance\[0\].date: 2026-13-01 is no date"),
        (lambda m: m.update(surprise=1), "surprise: unknown field"),
    ],
)
def test_contradictions_are_refused_with_the_field(make_package, manifest, change, reason):
    folder = make_package()
    change(manifest)
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BadModel, match=reason):
        load_package(folder)


def test_softmax_keeps_channel_0_for_the_background(make_package, manifest):
    network = {**manifest["network"], "out_channels": 3}
    output = {**manifest["output"], "activation": "softmax"}
    package = load_package(make_package(network=network, output=output, labels=two_labels(manifest, (1, 2))))
    assert package.activation == "softmax"


def test_whole_numbers_written_as_decimals_stay_whole(make_package, manifest):
    folder = make_package()
    text = json.dumps(manifest).replace("[8, 16, 32]", "[8.0, 16.0, 32.0]")
    (folder / "model.json").write_text(text, encoding="utf-8")
    assert [type(each) for each in load_package(folder).network["features"]] == [int, int, int]


def test_writing_fills_in_the_hash_and_reads_back(tmp_path, make_package, manifest):
    weights = make_package() / "weights.pt"
    del manifest["weights"]["sha256"]
    before = json.dumps(manifest)
    package = write_package(tmp_path / "out" / "package", manifest, weights)
    verify_weights(package)
    assert package.weights_path.read_bytes() == weights.read_bytes()
    assert json.dumps(manifest) == before
    assert sorted(path.name for path in package.folder.iterdir()) == ["model.json", "weights.pt"]
    assert [path.name for path in package.folder.parent.iterdir()] == ["package"]


def test_writing_replaces_a_package_and_nothing_else(tmp_path, make_package, manifest):
    weights = make_package() / "weights.pt"
    write_package(tmp_path / "package", manifest, weights)
    manifest["version"] = "2.0.0"
    assert write_package(tmp_path / "package", manifest, weights).version == "2.0.0"
    shutil.rmtree(tmp_path / "package")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "thesis.docx").write_text("years of work")
    with pytest.raises(BadInput, match="is not a model package"):
        write_package(tmp_path / "package", manifest, weights)
    assert (tmp_path / "package" / "thesis.docx").exists()


def test_a_bad_manifest_or_missing_weights_write_nothing(tmp_path, make_package, manifest):
    weights = make_package() / "weights.pt"
    with pytest.raises(BadInput, match="no weights file"):
        write_package(tmp_path / "package", manifest, tmp_path / "none.pt")
    manifest["id"] = "../../escape"
    with pytest.raises(BadModel, match="id: lowercase letters"):
        write_package(tmp_path / "package", manifest, weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_summary_and_card_hold_the_measured_numbers_with_their_n(make_package):
    package = load_package(make_package())
    measured = "Dice 0.8 ± 0.1, lowest 0.5 (n = 7, A), 2026-02-28"
    summary = package_summary(package)
    assert summary["performance"] == [measured]
    assert json.loads(json.dumps(summary)) == summary
    card = model_card(package)
    assert "| Dice   | 0.8 ± 0.1, lowest 0.5 | 7 |" in card and "On: A, 2026-02-28." in card
    assert "| A    | 3 | hand      | 1      |" in card and "1. A. Author. CC BY 4.0" in card
    assert package.weights_sha256 in card


def test_a_card_tells_what_was_trained_on_as_a_table_by_hand_first_and_long_texts_in_short_lines(
    make_package, manifest
):
    (entry,) = manifest["training"]["data"]
    sets = [("b", 5, "synthetic", "X. Y"), ("a", 2, "manual", "Z"), ("b", 4, "synthetic", "Z"), ("a", 1, "Net", "Z")]
    data = [{**entry, "name": name, "n": n, "labels_by": by, "attribution": who} for name, n, by, who in sets]
    summary = "At first 0.3.0 of et al. was 2.5 mm. Then 9 steps; a is 1%; b is 2%; 3 skipped. It ended."
    training = {**manifest["training"], "data": data, "summary": summary}
    card = model_card(load_package(make_package(training=training)))
    section = card[card.index("## Trained on") : card.index("## Technical")]
    assert section.splitlines()[2:] == [
        "| Data | n | Labels by | Source |",
        "| ---- | - | --------- | ------ |",
        "| a    | 2 | manual    | 1      |",
        "| a    | 1 | Net       | 1      |",
        "| b    | 9 | synthetic | 2, 1   |",
        "", "Sources:", "", "1. Z. CC BY 4.0", "2. X. Y. CC BY 4.0", "",
        "- At first 0.3.0 of et al. was 2.5 mm.",
        "- Then 9 steps", "  - a is 1%", "  - b is 2%", "  - 3 skipped.", "- It ended.", "",
    ]  # fmt: skip


def test_a_model_is_introduced_by_how_much_was_measured_against_what_in_two_digits(make_package, manifest):
    entry = {**manifest["performance"][0], "mean": 0.80984, "labels_by": "OBELISK-Net"}
    package = load_package(make_package(performance=[entry]))
    assert measured_line(package) == "Measured on n = 7 against labels by OBELISK-Net: Dice 0.81."
    (row,) = measured_table(package)
    assert (row["metric"], row["mean"], row["n"]) == ("Dice", "0.81 ± 0.1, lowest 0.5", "7")
    by_hand = {**manifest["performance"][0], "mean": 0.7445, "truth": "manual contours"}
    package = load_package(make_package("by_hand", performance=[by_hand]))
    assert measured_line(package) == "Measured on n = 7 against manual contours: Dice 0.74."
    phantom = load_package(make_package("phantom", intended_input="phantom", performance=[]))
    assert measured_line(phantom) == "For synthetic phantoms only. Nothing was measured."


def test_agreement_with_a_models_labels_is_never_called_anything_else(make_package, manifest):
    entry = {**manifest["performance"][0], "labels_by": "OBELISK-Net"}
    package = load_package(make_package(performance=[entry]))
    words = "agreement with labels by OBELISK-Net: Dice 0.8 ± 0.1, lowest 0.5 (n = 7, A), 2026-02-28"
    assert package_summary(package)["performance"] == [words]
    assert "| labels by OBELISK-Net |" in model_card(package)
    assert f"Measured: {words}" in model_note(package)
    assert "accuracy" not in "\n".join([model_card(package), *model_note(package)]).lower()


def test_the_note_says_what_the_manifest_says(make_package):
    own = load_package(make_package("own", intended_use="Research on portal venous CT of adults."))
    assert model_note(own) == [
        "Finds the pancreas.",
        "Intended use: Research on portal venous CT of adults.",
        "Measured: Dice 0.8 ± 0.1, lowest 0.5 (n = 7, A), 2026-02-28",
        "Trained on: A: 3 cases, labels by hand",
        "Limitations: Only a test.",
        "Licence: Apache-2.0",
    ]
    assert own.intended_use in model_card(own)
    phantom = load_package(make_package("phantom", intended_input="phantom", performance=[]))
    assert "phantoms only" in phantom.intended_use and "Measured: nothing" in model_note(phantom)


def test_the_limits_of_trust_are_the_manifests_or_sane(make_package, manifest):
    default = load_package(make_package("default")).quality_limits
    assert 0 < default.spread < 0.5 and 0.5 < default.mean_probability < 1
    output = {**manifest["output"], "trust": {"spread_limit": 0.07}}
    package = load_package(make_package("own", output=output))
    assert package.quality_limits == QualityLimits(0.07, default.mean_probability)
    output["trust"] = {"expected_dice_limit": 0.7}
    assert load_package(make_package("expecting", output=output)).quality_limits == QualityLimits(
        default.spread, None, 0.7
    )
    with pytest.raises(BadModel, match="output.trust.spread_limit"):
        load_package(make_package("wrong", output={**manifest["output"], "trust": {"spread_limit": 0.6}}))


def test_card_of_an_unmeasured_model_says_so(make_package):
    assert "Nothing was measured." in model_card(load_package(make_package(performance=[])))
