"""Local clicks and the network's refinement together: the guarantees of both."""

from __future__ import annotations

import numpy as np
from AttentionUNetSegLib.correction import Seed, add_refinement, correct_probability
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SHAPE = (4, 5, 6)
fields = arrays.arrays(np.uint8, SHAPE)
voxels = st.tuples(*(st.integers(0, n - 1) for n in SHAPE))


@given(fields, fields, fields, arrays.arrays(bool, SHAPE))
def test_nothing_changes_where_the_refinement_did_not_or_where_it_is_settled(corrected, network, refined, certain):
    kept = corrected.copy()
    joined = add_refinement(corrected, network, refined, certain)
    assert joined.dtype == np.uint8
    untouched = certain | (refined == network)
    np.testing.assert_array_equal(joined[untouched], corrected[untouched])
    alone = ~certain & (corrected == network)
    np.testing.assert_array_equal(joined[alone], refined[alone])
    np.testing.assert_array_equal(corrected, kept, "nothing that is passed in is changed")


@given(fields, fields)
def test_a_refinement_that_raises_never_lowers(corrected, network):
    raised = np.maximum(network, 250)
    joined = add_refinement(corrected, network, raised)
    # One step of 255: a stored value is rounded on its way through log odds, and certainty has an end.
    assert np.all(joined.astype(int) >= np.minimum(corrected.astype(int), 254) - 1)


@settings(max_examples=25, deadline=None)
@given(fields, fields, st.dictionaries(voxels, st.booleans(), min_size=1, max_size=4), st.floats(0.05, 0.95))
def test_a_clicked_voxel_is_on_its_side_of_every_threshold(network, refined, clicks, threshold):
    seeds = [Seed(n, voxel, positive) for n, (voxel, positive) in enumerate(clicks.items(), start=1)]
    ct = np.full(SHAPE, 60, np.int16)
    local = correct_probability(ct, network, seeds, 3.0, (1.0, 1.0, 1.0))
    certain = np.zeros(SHAPE, bool)
    for seed in seeds:
        certain[seed.voxel] = True
    joined = add_refinement(local, network, refined, certain)
    for seed in seeds:
        assert (joined[seed.voxel] / 255 >= threshold) == seed.positive
