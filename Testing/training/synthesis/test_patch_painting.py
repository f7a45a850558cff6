"""Patches of part maps, painted: labels stay, contents lie in layers, the rare comes as often as asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.synthesis import Variety
from AttentionUNetSegLib.training.synthesis.part_map import PartMap, open_part_maps, write_part_maps
from AttentionUNetSegLib.training.synthesis.parts import Part
from AttentionUNetSegLib.training.synthesis.patch_painting import Oddities, paint_patch

from .test_synthesis import trunk, trunk_folder  # noqa: F401 (fixtures)

NOTHING_ODD = Oddities(0, 0, 0, 0, 0, 0)
SHAPE = (24, 32, 32)


def body() -> torch.Tensor:
    """Fat with a gland, a liver and a stomach in it."""
    parts = torch.full(SHAPE, int(Part.FAT))
    parts[8:16, 12:18, 8:24] = int(Part.PANCREAS)
    parts[4:20, 4:28, 25:31] = int(Part.LIVER)
    parts[6:18, 2:11, 8:22] = int(Part.STOMACH)
    return parts


def painted(seed: int, odd: Oddities, parts: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    parts = body() if parts is None else parts
    return paint_patch(parts, 2.5, np.random.default_rng(seed), torch.Generator().manual_seed(seed), odd)


@pytest.mark.parametrize("odd", [NOTHING_ODD, Oddities(1, 1, 1, 1, 1, 1)])
def test_the_gland_keeps_its_place_whatever_is_painted(odd):
    for seed in range(4):
        parts, hu = painted(seed, odd)
        assert torch.equal(parts == Part.PANCREAS, body() == Part.PANCREAS)
        assert hu.shape == SHAPE and torch.isfinite(hu).all() and hu.min() > -1200 and hu.max() < 2500


def test_the_same_seed_paints_the_same_and_another_does_not():
    assert torch.equal(painted(3, Oddities())[1], painted(3, Oddities())[1])
    assert not torch.equal(painted(3, Oddities())[1], painted(4, Oddities())[1])


def test_thin_people_have_less_fat_between_their_organs():
    fat = [(painted(seed, odd)[0] == Part.FAT).sum() for odd in (NOTHING_ODD, Oddities(0, 0, 1, 0, 0, 0))
           for seed in range(3)]  # fmt: skip
    assert max(fat[3:]) < 0.9 * min(fat[:3])


def test_a_bright_gland_is_at_least_about_as_bright_as_the_liver():
    for seed in range(6):
        parts, hu = painted(seed, Oddities(1, 0, 0, 0, 0, 0))  # edges blur into fat
        middle, liver = hu[10:14, 14:16, 10:22].mean(), hu[parts == Part.LIVER].median()
        assert middle > liver - 20


def test_contrast_medium_lies_below_and_gas_on_top():
    heights = {"gas": [], "dense": []}
    for seed in range(30):
        parts, hu = painted(seed, Oddities(0, 0, 0, 0, 0, 1))
        inside = parts == Part.STOMACH
        rows = torch.arange(SHAPE[1])[None, :, None].expand(SHAPE)
        for kind, where in (("gas", hu < -500), ("dense", hu > 300)):
            if (inside & where).sum() > 20:
                heights[kind].append(rows[inside & where].float().mean().item())
    assert len(heights["gas"]) >= 3 and len(heights["dense"]) >= 3
    assert np.mean(heights["gas"]) < np.mean(heights["dense"]) - 1


def test_a_part_map_that_is_none_is_named(tmp_path):
    (tmp_path / "parts_000001.npz").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="parts_000001"):
        PartMap.read(tmp_path / "parts_000001.npz")
    with pytest.raises(BadInput, match="there is no part_maps.json"):
        open_part_maps(tmp_path)


class _OneAnatomy(list):
    """What `write_part_maps` needs of a collection: the anatomies and where they come from."""

    entries = ({"host": None, "patient": "somebody", "licence": "CC0-1.0", "attribution": "nobody"},)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trunk):  # noqa: F811
    place = tmp_path_factory.mktemp("maps")
    write_part_maps(_OneAnatomy([trunk]), place, (1, 2), Variety())
    return place


def test_part_maps_are_written_once_opened_as_scans_and_painted_whole(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    scans = open_part_maps(folder, patients={"somebody": "nih_0008"})
    assert [scan.name for scan in scans] == ["painted/parts_000001", "painted/parts_000002"]
    assert {scan.patient for scan in scans} == {"nih_0008"} and scans[0].labels_by == "synthetic"
    loaded = scans[0].load()
    gland = PartMap.read(scans[0].part_map).places["pancreas"]
    assert len(gland) and loaded.structures["pancreas"][[int(n) for n in gland[0][::-1]]] == 1
    write_part_maps(_OneAnatomy([None]), folder, (1, 2), Variety())  # nothing has to be drawn again
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")} == before
