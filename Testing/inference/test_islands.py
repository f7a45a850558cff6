"""Islands far from the gland go, what may be gland stays, and what went is told."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.inference.islands import without_far_islands

SPACING = (2.5, 2.5, 2.5)


def field(*boxes: tuple[slice, slice, slice, float]) -> np.ndarray:
    probability = np.zeros((90, 40, 60), np.float32)
    for *box, value in boxes:
        probability[tuple(box)] = value
    return probability


GLAND = (slice(10, 20), slice(10, 20), slice(10, 40), 0.9)
NECK = (slice(80, 84), slice(10, 14), slice(10, 14), 0.8)
NEAR = (slice(10, 14), slice(10, 14), slice(44, 48), 0.8)  # 12.5 mm away: a tail that a gap parts from the body
OTHER = (slice(60, 70), slice(10, 20), slice(10, 30), 0.9)  # two thirds of the gland


def test_a_small_island_far_away_goes_with_all_that_surrounds_it_and_is_told_in_ml():
    probability = field(GLAND, NECK)
    probability[79, 10:14, 10:14] = 0.2  # below the threshold, but a part of the island
    kept, ml = without_far_islands(probability, 0.5, SPACING)
    assert np.array_equal(kept, field(GLAND)) and ml == pytest.approx(4**3 * 2.5**3 / 1000)
    assert probability[81, 11, 11] == np.float32(0.8), "the network's own answer is not changed"


@pytest.mark.parametrize("other", [NEAR, OTHER])
def test_what_is_near_or_of_like_size_stays(other):
    probability = field(GLAND, other)
    kept, ml = without_far_islands(probability, 0.5, SPACING)
    assert kept is probability and ml == 0


def test_nothing_at_the_threshold_is_nothing_to_part():
    probability = field((*GLAND[:3], 0.3), (*NECK[:3], 0.3))
    assert without_far_islands(probability, 0.5, SPACING)[0] is probability


def test_a_network_that_sees_pancreas_in_a_neck_too_is_told_of(phantom_model_package, monkeypatch):
    """The whole pipeline: the island is neither in the probability nor in the volume, and a sentence says so."""
    from AttentionUNetSegLib.imaging import Volume
    from AttentionUNetSegLib.inference import Segmenter
    from AttentionUNetSegLib.phantom import make_phantom

    phantom = make_phantom(3, (2.5, 2.5, 4.0))
    segmenter = Segmenter(phantom_model_package, "cpu")
    plain = segmenter.segment(Volume(phantom.ct, "phantom", True, ()))
    own = segmenter.first.at

    def and_in_a_corner(*given):
        seen = own(*given)
        seen.probability[-20:-17, 20:23, 20:23] = 0.9  # within the mirrored part and beside it
        seen.probability[-30:-27, 20:23, 20:23] = 0.9
        return seen

    monkeypatch.setattr(segmenter.first, "at", and_in_a_corner)
    result = segmenter.segment(Volume(phantom.ct, "phantom", True, ()))
    assert result.volume_ml == plain.volume_ml
    assert any("left out" in words for words in result.warnings)
