"""Synthetic CTs from label maps, on a small computed trunk: the real maps are not part of the project."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.labelled_scan import STRUCTURES
from AttentionUNetSegLib.training.synthesis import (
    AnatomyCollection,
    SyntheticCT,
    SyntheticSet,
    Variety,
    collect_anatomies,
    synthesize,
)
from AttentionUNetSegLib.training.synthesis.anatomy import (
    GRID_MM,
    Anatomy,
    centre_of,
    read_multiorgan_parts,
    read_totalsegmentator_parts,
    wall_distance,
)
from AttentionUNetSegLib.training.synthesis.deformation import random_deformation
from AttentionUNetSegLib.training.synthesis.generator import (
    LABELS,
    PHASE_SHARES,
    _phase_probabilities,
    draw_body,
    shrink_pancreas,
)
from AttentionUNetSegLib.training.synthesis.mesenteric_vessels import (
    add_mesenteric_vessels,
    add_splenic_vein,
    widen_veins,
)
from AttentionUNetSegLib.training.synthesis.parts import ATTENUATION, PHASES, Part, draw_attenuation
from AttentionUNetSegLib.training.synthesis.random_fields import smooth_field, thin_curves
from AttentionUNetSegLib.training.synthesis.synthetic_set import write_synthetic_set

# (structure, centre LPS in mm, radii in mm): where organs lie, roughly; L is towards the patient's left.
ORGANS = (
    ("liver", (-70, -10, 40), (65, 60, 50)),
    ("spleen", (95, 35, 40), (25, 30, 35)),
    ("stomach", (50, -45, 35), (35, 30, 35)),
    ("kidney_left", (65, 50, -10), (25, 22, 45)),
    ("kidney_right", (-65, 50, -20), (25, 22, 45)),
    ("duodenum", (-35, 0, -20), (15, 15, 35)),
    ("small_bowel", (30, -30, -50), (50, 30, 30)),
    ("colon", (0, -60, -20), (90, 15, 18)),
    ("gallbladder", (-50, -45, 5), (15, 18, 18)),
    ("portal_vein_and_splenic_vein", (-5, 5, 12), (35, 6, 6)),
    ("aorta", (10, 40, 0), (10, 10, 110)),
    ("inferior_vena_cava", (-20, 40, 0), (11, 11, 110)),
    ("vertebrae_L1", (0, 70, 0), (22, 20, 110)),
    ("autochthon_left", (35, 85, 0), (25, 18, 110)),
    ("esophagus", (15, 25, 75), (8, 8, 25)),
    ("pancreas", (10, -8, 0), (50, 14, 14)),
)
CHILD = 0.75  # of those sizes: all that is made here has less than half of an adult's voxels
MULTIORGAN = {"spleen": 1, "pancreas": 2, "kidney_left": 3, "gallbladder": 4, "esophagus": 5, "liver": 6, "stomach": 7,
              "duodenum": 8}  # fmt: skip


def label_map(values: dict[str, int], spacing=(3.0, 3.0, 3.0), turn: float = 1.0) -> sitk.Image:
    """The organs of a child as ellipsoids on a grid of 225 x 165 x 124 mm; `turn` stretches them."""
    size = [round(CHILD * e / s) for e, s in zip((300, 220, 165), spacing, strict=True)]
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(size, spacing, strict=True)]
    z, y, x = (axis / CHILD for axis in np.meshgrid(*reversed(axes), indexing="ij"))
    labels = np.zeros(z.shape, np.uint8)
    for name, (cx, cy, cz), (rx, ry, rz) in ORGANS:
        if name in values:
            labels[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / (rz * turn)) ** 2 < 1] = values[name]
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing)
    image.SetOrigin([float(axis[0]) for axis in axes])
    return image


@pytest.fixture(scope="module")
def trunk_folder(tmp_path_factory) -> Path:
    """A whole-trunk map in the published layout, stored RAS as TotalSegmentator stores it."""
    folder = tmp_path_factory.mktemp("labelmaps") / "trunk_a"
    folder.mkdir()
    values = {name: number for number, (name, *_) in enumerate(ORGANS, start=1)}
    sitk.WriteImage(sitk.DICOMOrient(label_map(values), "RAS"), str(folder / "labels.nii.gz"))
    (folder / "labels.tsv").write_text("".join(f"{value}\t{name}\t1.0\n" for name, value in values.items()))
    return folder


@pytest.fixture(scope="module")
def organ_map(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("organs") / "organs_07.nii.gz"
    sitk.WriteImage(label_map(MULTIORGAN, spacing=(1.5, 1.5, 5.0), turn=0.9), str(path))
    return path


@pytest.fixture(scope="module")
def trunk(trunk_folder) -> Anatomy:
    parts = read_totalsegmentator_parts(trunk_folder / "labels.nii.gz", trunk_folder / "labels.tsv")
    return Anatomy("trunk_a", parts, wall_distance(parts), "test", "test")


@pytest.fixture(scope="module")
def collection(trunk_folder, organ_map, tmp_path_factory) -> AnatomyCollection:
    """The trunk, and the organs completed with it; each is made when a test first needs it."""
    return collect_anatomies([trunk_folder], [organ_map], tmp_path_factory.mktemp("anatomies"), 1)


@pytest.fixture(scope="module")
def plain(trunk) -> SyntheticCT:
    """A synthetic CT without anything that is rare."""
    return synthesize(53, [trunk], Variety(0, 0, 0))


def test_a_stored_orientation_does_not_swap_left_and_right(trunk):
    left, right = centre_of(trunk.parts, (Part.SPLEEN,)), centre_of(trunk.parts, (Part.LIVER,))
    assert left[0] > right[0], "L grows towards the patient's left, where the spleen is"
    assert centre_of(trunk.parts, (Part.BONE,))[1] > centre_of(trunk.parts, (Part.PANCREAS,))[1]


def test_the_outline_is_inside_at_organs_and_outside_at_the_corners(trunk):
    at = trunk.wall_distance.TransformPhysicalPointToIndex(centre_of(trunk.parts, (Part.PANCREAS,)).tolist())
    assert trunk.wall_distance[at] < -20
    assert trunk.wall_distance[0, 0, trunk.wall_distance.GetSize()[2] // 2] > 10


def test_organs_drawn_by_hand_stay_and_get_surroundings(collection, organ_map):
    guest = read_multiorgan_parts(organ_map)
    assert collection[1].name == "organs_07_in_trunk_a"
    completed = collection[1].parts
    on_guest = sitk.GetArrayFromImage(sitk.Resample(completed, guest, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0))
    own = sitk.GetArrayFromImage(guest)
    organs = own != Part.FAT
    assert (on_guest[organs] == own[organs]).mean() > 0.97
    for part in (Part.BONE, Part.AORTA, Part.COLON, Part.SMALL_BOWEL, Part.PORTAL_VEIN):
        assert (on_guest == part).sum() > 100, part.name
    pancreas, aorta = (centre_of(completed, (part,)) for part in (Part.PANCREAS, Part.AORTA))
    assert aorta[1] > pancreas[1], "the aorta lies behind the pancreas"


@pytest.mark.parametrize("seed", range(3))
def test_a_deformation_keeps_neighbours_neighbours(seed):
    grid = sitk.Image(60, 50, 40, sitk.sitkUInt8)
    grid.SetSpacing((4.0,) * 3)
    transform = random_deformation(np.random.default_rng(seed), grid, np.zeros(3), np.array([5.0, 6.0, 7.0]))
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, grid.GetSize(), grid.GetOrigin(), grid.GetSpacing(), grid.GetDirection()
    )
    jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))[2:-2, 2:-2, 2:-2]
    assert jacobian.min() > 0.05
    assert np.linalg.norm(np.array(transform.TransformPoint((0.0, 0.0, 0.0))) - (5, 6, 7)) < 45


def test_a_synthetic_ct_shows_what_its_labels_say(trunk, plain):
    made = plain
    again = synthesize(53, [trunk], Variety(0, 0, 0))
    hu, labels = (sitk.GetArrayFromImage(image) for image in (made.ct, made.labels))
    assert (sitk.GetArrayFromImage(again.ct) == hu).all(), "the same seed gives the same voxels"
    assert made.ct.GetPixelID() == sitk.sitkInt16
    assert made.ct.GetSize() == made.labels.GetSize()
    assert made.ct.GetSpacing() == made.labels.GetSpacing()
    assert set(LABELS) == set(STRUCTURES)
    assert {1, 3, 4, 6} <= set(np.unique(labels))
    assert np.median(hu[labels == 6]) > -50, "the liver is soft tissue"
    assert hu[0, 0, 0] < -800 or (hu < -800).any(), "air is around the body"


def test_a_shrunken_gland_is_smaller_and_all_else_stays(trunk):
    before = sitk.GetArrayFromImage(trunk.parts)
    after = before.copy()
    shrink_pancreas(np.random.default_rng(0), after, (GRID_MM,) * 3)
    gland = before == Part.PANCREAS
    assert 0.25 < (after == Part.PANCREAS).sum() / gland.sum() < 0.95
    assert (after[~gland] == before[~gland]).all()
    assert set(np.unique(after[gland])) == {Part.PANCREAS, Part.FAT}


def test_vessels_run_along_the_gland_and_spare_the_organs(trunk):
    before = sitk.GetArrayFromImage(trunk.parts)
    after = before.copy()
    rng = np.random.default_rng(1)
    add_mesenteric_vessels(rng, after, (GRID_MM,) * 3)
    add_splenic_vein(rng, after, (GRID_MM,) * 3)
    drawn = after != before
    assert {Part.ARTERY, Part.PORTAL_VEIN} == set(np.unique(after[drawn]))
    assert set(np.unique(before[drawn])) <= {Part.FAT, Part.SMALL_BOWEL, Part.SOFT_TISSUE, Part.PANCREAS}
    veins = np.argwhere(drawn & (after == Part.PORTAL_VEIN))
    gland = np.argwhere(before == Part.PANCREAS)
    tail = veins[veins[:, 2] > np.quantile(gland[:, 2], 0.7)]
    assert len(tail) > 50
    assert tail[:, 1].mean() > gland[:, 1].mean(), "the splenic vein lies behind the gland (P grows backwards)"
    assert (after == Part.PANCREAS).sum() > 0.6 * len(gland)


def test_wide_veins_grow_into_what_gives_way(trunk):
    before = sitk.GetArrayFromImage(trunk.parts)
    after = before.copy()
    widen_veins(np.random.default_rng(0), after, (GRID_MM,) * 3)
    grown = after != before
    assert grown.any() and set(np.unique(after[grown])) == {Part.PORTAL_VEIN}
    assert set(np.unique(before[grown])) <= {Part.FAT, Part.SMALL_BOWEL, Part.SOFT_TISSUE}
    far = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(
            sitk.GetImageFromArray((before == Part.PORTAL_VEIN).astype(np.uint8)), False, False, False
        )
    )
    assert far[grown].max() * GRID_MM <= 5.0 + GRID_MM


def test_what_is_drawn_more_often_leaves_the_rest_as_it_was(trunk, plain):
    veins = synthesize(53, [trunk], Variety(0, 0, 1))
    fatty = synthesize(53, [trunk], Variety(0, 1, 0))
    before, wide, same = (sitk.GetArrayFromImage(made.labels) for made in (plain, veins, fatty))
    vein, gland = (LABELS[name][0] for name in ("portal_and_splenic_vein", "pancreas"))
    assert (wide == vein).sum() > (before == vein).sum() and (same == before).all()
    first, second = (sitk.GetArrayFromImage(made.ct) for made in (plain, fatty))
    assert second[before == gland].mean() < first[before == gland].mean() - 3, "fat darkens the gland"
    others = np.isin(before, (LABELS["liver"][0], LABELS["spleen"][0]))
    assert (first[others] == second[others]).mean() > 0.99
    assert plain.phase != "non_contrast" == draw_body(53, [trunk], Variety(non_contrast=1.0)).phase
    assert sum(_phase_probabilities(0.5)) == pytest.approx(1) and _phase_probabilities(0.5)[3] == 0.5
    assert _phase_probabilities(PHASE_SHARES["non_contrast"]) == list(PHASE_SHARES.values())


def test_every_phase_has_its_order_of_brightness():
    assert set(PHASE_SHARES) == {*PHASES, "implausible"}
    drawn = {phase: [draw_attenuation(np.random.default_rng(seed), phase) for seed in range(200)] for phase in PHASES}
    mean = {
        phase: {part: np.mean([one[part] for one in draws]) for part in ATTENUATION} for phase, draws in drawn.items()
    }
    assert (
        mean["non_contrast"][Part.PANCREAS] < mean["portal_venous"][Part.PANCREAS] < mean["pancreatic"][Part.PANCREAS]
    )
    assert mean["pancreatic"][Part.LIVER] < mean["portal_venous"][Part.LIVER]
    assert mean["pancreatic"][Part.AORTA] > mean["portal_venous"][Part.AORTA] > mean["delayed"][Part.AORTA]
    for one in drawn["non_contrast"]:
        assert one[Part.AORTA] == one[Part.PORTAL_VEIN] == one[Part.VENA_CAVA]


def test_random_fields_have_the_scale_they_are_asked_for():
    rng = np.random.default_rng(0)
    for scale in (4.0, 20.0):
        field = smooth_field(rng, (40, 50, 60), (2.0, 2.0, 2.0), scale)
        assert field.shape == (40, 50, 60)
        assert field.mean() == pytest.approx(0, abs=1e-4)
        assert field.std() == pytest.approx(1, abs=1e-3)
        neighbours = np.corrcoef(field[:, :, :-1].ravel(), field[:, :, 1:].ravel())[0, 1]
        assert neighbours > (0.9 if scale > 10 else 0.4)
    curves = thin_curves(rng, (40, 50, 60), (2.0, 2.0, 2.0), 20.0, 0.3)
    assert 0.005 < curves.mean() < 0.2


def test_a_set_is_written_once_and_goes_on_where_it_stopped(collection, tmp_path):
    wanted = SyntheticSet(tmp_path, collection.folder, 2, first_seed=30, phantom_share=0.3)
    table = write_synthetic_set(wanted)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "images").iterdir()}
    phantom, lost = sorted(before)
    assert phantom.name.startswith("phantom") and lost.name.startswith("synthetic")
    os.remove(lost)
    write_synthetic_set(wanted)
    for path, (written, content) in before.items():
        assert path.read_bytes() == content
        assert path == lost or path.stat().st_mtime_ns == written
    assert len(open_datasets([f"table:{table}"])) == 2
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 2
    for row in rows:
        assert row["labels_by"] == "synthetic"
        assert sitk.ReadImage(str(tmp_path / row["image"])).GetMetaData("phase") in PHASE_SHARES
        assert row["licence"]
        values = dict(pair.split("=") for pair in row["structures"].split(";"))
        # A phantom's portal veins reach further than the structure does.
        unknown = {"portal_and_splenic_vein"} if row["name"].startswith("phantom") else set()
        assert set(values) == set(STRUCTURES) - unknown
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / row["label"])))
        assert (labels == int(values["pancreas"])).sum() > 100
    assert not [*tmp_path.rglob("writing_*"), *tmp_path.rglob("*.partial*")]


def test_an_anatomy_is_made_when_it_is_first_needed(trunk_folder, organ_map, tmp_path):
    collection = collect_anatomies([trunk_folder], [organ_map], tmp_path, 1)
    assert len(collection) == 2
    assert not list(tmp_path.glob("*.nrrd"))
    assert collection[0].name == "trunk_trunk_a"
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.nrrd")}
    assert {path.name for path in made} == {f"trunk_trunk_a_{kind}.nrrd" for kind in ("parts", "wall")}
    assert AnatomyCollection(tmp_path)[0].name == "trunk_trunk_a"
    assert all(path.stat().st_mtime_ns == written for path, written in made.items())


def test_an_anatomy_whose_label_map_is_gone_says_so(trunk_folder, organ_map, tmp_path):
    moved = tmp_path / "organs_08.nii.gz"
    shutil.copy(organ_map, moved)
    collection = collect_anatomies([trunk_folder], [moved], tmp_path / "anatomies", 1)
    moved.unlink()
    with pytest.raises(BadInput, match=r"organs_08\.nii\.gz, which is not there"):
        collection[1]


def test_label_maps_that_cannot_be_used_are_named(tmp_path, trunk_folder):
    with pytest.raises(BadInput, match="no anatomies"):
        AnatomyCollection(tmp_path)
    with pytest.raises(BadInput, match="whole-trunk"):
        collect_anatomies([], [], tmp_path)
    (tmp_path / "labels.tsv").write_text("1\tliver\n")
    with pytest.raises(BadInput, match="names no pancreas"):
        read_totalsegmentator_parts(trunk_folder / "labels.nii.gz", tmp_path / "labels.tsv")


def test_the_command_makes_phantoms_without_label_maps(tmp_path):
    from AttentionUNetSegLib.cli import main

    coarse = ("--first-seed", "49", "--count", "1", "--processes", "1")  # the voxels of this one are large
    assert main(["synthesize", "--out", str(tmp_path / "set"), *coarse, "--json"]) == 0
    assert (tmp_path / "set" / "images" / "phantom_000049.nrrd").is_file()
    assert main(["synthesize", "--out", str(tmp_path / "set"), "--count", "0"]) == 2
    assert main(["synthesize", "--out", str(tmp_path / "set"), "--organs", str(tmp_path)]) == 2
    assert main(["synthesize", "--out", str(tmp_path / "set"), "--trunk", str(tmp_path)]) == 2
