"""Portal vein, splenic hilum and jejunum lie where they do in people, and no organ loses a voxel to them."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.training.synthesis import beside_the_gland
from AttentionUNetSegLib.training.synthesis.beside_the_gland import add_neighbours
from AttentionUNetSegLib.training.synthesis.parts import Part

SPACING = (2.0, 2.0, 2.0)


def abdomen() -> np.ndarray:
    """Liver on the right (low I), spleen on the left, the gland between them (K up, J to the back)."""
    parts = np.full((90, 80, 110), Part.FAT, np.uint8)
    parts[40:85, 10:60, 5:30] = Part.LIVER
    parts[45:80, 40:65, 95:108] = Part.SPLEEN
    parts[38:48, 34:42, 36:84] = Part.PANCREAS
    parts[20:40, 32:44, 34:44] = Part.PANCREAS
    return parts


def drawn(monkeypatch, shares: tuple[float, float, float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    for name, share in zip(("PORTAL_VEIN_SHARE", "HILUM_SHARE", "JEJUNUM_SHARE"), shares, strict=True):
        monkeypatch.setattr(beside_the_gland, name, share)
    before = abdomen()
    after = before.copy()
    add_neighbours(np.random.default_rng(seed), after, SPACING)
    return before, after


@pytest.mark.parametrize("seed", range(4))
def test_only_fat_gives_way(monkeypatch, seed):
    before, after = drawn(monkeypatch, (1, 1, 1), seed)
    assert (before != after).any()
    assert set(np.unique(before[before != after])) == {Part.FAT}


@pytest.mark.parametrize("seed", range(4))
def test_the_portal_vein_runs_from_the_neck_to_the_liver(monkeypatch, seed):
    before, after = drawn(monkeypatch, (1, 0, 0), seed)
    vein = np.argwhere((after == Part.PORTAL_VEIN) & (before == Part.FAT))
    assert len(vein) * 8 / 1000 > 1  # mL
    for organ in (Part.PANCREAS, Part.LIVER):
        gap = np.min([np.abs(np.argwhere(before == organ) - place).sum(axis=1).min() for place in vein[::7]])
        assert gap <= 3
    lowest, highest = vein[vein[:, 0].argmin()], vein[vein[:, 0].argmax()]
    assert highest[2] < lowest[2]  # up, and to the right


@pytest.mark.parametrize("seed", range(4))
def test_the_hilum_lies_between_tail_and_spleen(monkeypatch, seed):
    before, after = drawn(monkeypatch, (0, 1, 0), seed)
    vessels = np.argwhere(before != after)
    assert len(vessels) > 20
    assert vessels[:, 2].min() > 65
    assert {*np.unique(after[before != after])} <= {Part.PORTAL_VEIN, Part.ARTERY}


@pytest.mark.parametrize("seed", range(4))
def test_jejunum_touches_the_body(monkeypatch, seed):
    before, after = drawn(monkeypatch, (0, 0, 1), seed)
    bowel = np.argwhere(after == Part.SMALL_BOWEL)
    assert len(bowel) * 8 / 1000 > 5  # mL
    body = np.argwhere(before == Part.PANCREAS)
    assert min(np.abs(body - place).sum(axis=1).min() for place in bowel[::11]) <= 5


def test_without_a_gland_nothing_is_drawn():
    parts = np.full((20, 20, 20), Part.FAT, np.uint8)
    add_neighbours(np.random.default_rng(0), parts, SPACING)
    assert (parts == Part.FAT).all()
