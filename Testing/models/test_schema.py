"""Our validator against the `jsonschema` library, and the wording it adds."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from AttentionUNetSegLib.models.manifest import manifest_schema
from AttentionUNetSegLib.models.schema import violations
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SIMPLE_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(-1, 60)
    | st.sampled_from(["", "ct", "a", "x" * 101, "2026-01-31", "weights.pt", "../weights.pt", "1.0.0", "é" * 64, "a\n"])
)
JSON_VALUES = (
    SIMPLE_VALUES
    | st.lists(SIMPLE_VALUES, max_size=4)
    | st.dictionaries(st.sampled_from(["name", "value", "n"]), SIMPLE_VALUES, max_size=3)
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    if not isinstance(document, (dict, list)):
        return []
    items = document.items() if isinstance(document, dict) else enumerate(document)
    return [place for key, value in items for place in [(document, key), *places(value)]]


@st.composite
def mutated(draw: st.DrawFn, original: dict[str, Any]) -> dict[str, Any]:
    """A copy of a manifest with up to three places changed, deleted or added to."""
    document = copy.deepcopy(original)
    for _ in range(draw(st.integers(0, 3))):
        container, key = draw(st.sampled_from(places(document)))
        action = draw(st.sampled_from(["change", "nudge", "delete", "add"]))
        if action == "delete":
            del container[key]
        elif action == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(["extra", "Id", "gate", "default", "minimum"]))] = draw(JSON_VALUES)
        elif action == "add":
            container.append(draw(JSON_VALUES | st.integers(0, 255)))
        elif action == "nudge" and isinstance(container[key], (int, float)):
            container[key] = draw(st.sampled_from([0, 1, 1.0, -1, 255, 256, 0.5, True, False, 50, 50.5]))
        else:
            container[key] = draw(JSON_VALUES)
        if not document:
            break
    return document


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(manifest_schema())


def test_refuses_exactly_what_jsonschema_refuses(manifest):
    library = jsonschema.Draft202012Validator(manifest_schema())

    # A deadline would measure the machine: the test is about agreement, not speed.
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(mutated(manifest))
    @example(manifest)
    def compare(document: dict[str, Any]) -> None:
        ours = list(violations(document, manifest_schema()))
        theirs = [error.message for error in library.iter_errors(document)]
        assert bool(ours) == bool(theirs), (ours, theirs)
        assert all(sentence.endswith(".") and ": " in sentence for sentence in ours)

    compare()


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_refuses_what_is_no_manifest_at_all(document):
    assert list(violations(document, manifest_schema()))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("input.spacing_mm", [2, 2], "input.spacing_mm: 3 numbers from 0.1 to 50 expected, got 2."),
        ("input.spacing_mm.1", -2, "input.spacing_mm[1]: a number from 0.1 to 50 expected, got -2."),
        ("input.spacing_mm.0", 0.0001, "input.spacing_mm[0]: a number from 0.1 to 50 expected, got 0.0001."),
        ("input.spacing_mm", "2", 'input.spacing_mm: 3 numbers from 0.1 to 50 expected, got "2".'),
        ("intended_input", "mr", 'intended_input: "ct" or "phantom" expected, got "mr".'),
        ("default", 1, "default: true or false expected, got 1."),
        ("labels.0.color.2", 256, "labels[0].color[2]: a whole number from 0 to 255 expected, got 256."),
        ("labels.0.code", {}, "labels[0].code.scheme: missing; text of 1 to 16 characters expected."),
        ("labels", [], "labels: 1 to 255 objects expected, got 0."),
        ("weights.file", "a/b.pt", 'weights.file: a plain file name that ends in .pt expected, got "a/b.pt".'),
        ("output.treshold", 1, "output.treshold: unknown field; known here are activation, threshold, passes, trust."),
        ("training.date", "soon", 'training.date: a date like 2026-01-31 expected, got "soon".'),
        ("network.in_channels", 3, "network.in_channels: 1 expected, got 3."),
        ("limitations", "", 'limitations: text of 1 or more characters expected, got "".'),
    ],
)
def test_says_which_field_is_wrong_and_what_was_expected(manifest, path, value, sentence):
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    container = manifest
    for part in parents:
        container = container[part]
    container[last] = value
    assert sentence in list(violations(manifest, manifest_schema()))


def test_an_unsupported_keyword_in_a_schema_is_not_passed_over():
    with pytest.raises(ValueError, match="oneOf"):
        list(violations(1, {"oneOf": [{"type": "string"}]}))


def test_long_values_are_shortened(manifest):
    manifest["name"] = "x" * 1000
    (sentence,) = violations(manifest, manifest_schema())
    assert len(sentence) < 200
