"""Whatever a person does to a result, in whatever order: it is what the same corrections give when computed at once.

Clicks, strokes, lassos, boxes, walls, brushes that teach or not, threshold, smoothing, undo, redo, saving and loading
are drawn by hypothesis; what is expected is computed without the session and the scene, on the whole CT.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.correction import (
    BACKGROUND,
    FOREGROUND,
    Seed,
    box_seed,
    correct_probability,
    lasso_seed,
    painted_seed,
    stroke_seed,
)
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import (
    add_volume,
    find_results,
    import_result,
    load_scene,
    open_standalone_scene,
    save_scene,
)
from AttentionUNetSegLib.scene.strokes import segment_on_ct
from AttentionUNetSegLib.session import ResultEditor
from AttentionUNetSegLib.session.correction_replay import CorrectionReplay
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from organ_scene import ras_of
from scipy import ndimage

SIZE = (9, 12, 14)  # KJI, as everything here
SPACING = (2.0, 1.5, 3.0)
WHOLE = tuple(slice(0, n) for n in SIZE)
KNOWN = (slice(2, 7), slice(3, 9), slice(2, 7))
WALL = (slice(2, 8), slice(5, 7), slice(8, 10))

FOUND = r"\] of State\("  # what the comparison of the voxels says

voxels = st.tuples(*(st.integers(0, n - 1) for n in SIZE))
boxes = st.tuples(voxels, voxels)
# The corners of a lasso in a plane of the CT, and in any plane.
flat_lassos = st.builds(
    lambda axis, corners: [with_axis_of(corners[0], c, axis) for c in corners],
    st.integers(0, 2),
    st.lists(voxels, min_size=3, max_size=4),
)
lassos = flat_lassos | st.lists(voxels, min_size=3, max_size=3)


def with_axis_of(first, voxel, axis):
    return tuple(first[n] if n == axis else voxel[n] for n in range(3))


def small_ct() -> sitk.Image:
    values = np.full(SIZE, -90, np.int16)
    values[1:8, 2:10, 1:13] = 100
    values += np.random.default_rng(0).integers(-20, 21, SIZE).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING[::-1])
    c, s = np.cos(0.2), np.sin(0.2)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    image.SetOrigin((-40.0, 30.5, 200.0))
    return image


CT = small_ct()
HU = sitk.GetArrayFromImage(CT)
NETWORK = np.zeros(SIZE, np.uint8)
NETWORK[KNOWN] = np.random.default_rng(1).integers(90, 256, NETWORK[KNOWN].shape)


@dataclass(frozen=True)
class State:
    """What undo brings back: clicks and marks by their order, what was painted (1 erased, 2 painted), walls."""

    clicks: tuple[tuple[int, tuple[int, int, int], bool], ...] = ()
    marks: tuple[Seed, ...] = ()
    painted: bytes = bytes(NETWORK.size)
    walls: bool = False
    moved: int = 0

    def __repr__(self) -> str:
        marks = [(seed.order, "+" if seed.positive else "-", len(seed.voxels)) for seed in self.marks]
        painted = np.count_nonzero(self.strokes)
        return f"State({self.clicks}, marks {marks}, {painted} painted, walls {self.walls}, moved {self.moved})"

    @property
    def strokes(self) -> np.ndarray:
        return np.frombuffer(self.painted, np.uint8).reshape(SIZE)

    @property
    def is_corrected(self) -> bool:
        return bool(self.clicks or self.marks or any(self.painted))


def expected_mask(state: State, threshold: float, keep_largest: bool, smoothing_mm: float, reach: float) -> np.ndarray:
    """The segment, computed at once from all corrections on the whole CT."""
    clicks = [Seed(order, voxel, positive) for order, voxel, positive in state.clicks]
    seeds, strokes = [*clicks, *state.marks], state.strokes
    walls = np.zeros(SIZE, bool)
    walls[WALL] = state.walls
    field = (
        correct_probability(HU, NETWORK, seeds, reach, SPACING, strokes, walls=walls) if state.is_corrected else NETWORK
    )
    if smoothing_mm:
        sigma = [smoothing_mm / spacing for spacing in SPACING]
        field = ndimage.gaussian_filter(field, sigma, output=np.float32, mode="constant", truncate=3.0)
    mask = field >= threshold * 255.0
    certain = np.zeros(SIZE, np.uint8)
    for seed in sorted(seeds):
        certain[tuple(seed.voxels.T)] = FOREGROUND if seed.positive else BACKGROUND
    certain[walls] = 0
    certain[strokes != 0] = strokes[strokes != 0]
    mask = (mask & (certain != BACKGROUND)) | (certain == FOREGROUND)
    if keep_largest and mask.any():
        labels, _count = ndimage.label(mask, np.ones((3, 3, 3)))
        kept = np.bincount(labels[labels > 0]).argmax()
        mask = (labels == kept) | (np.isin(labels, labels[(certain == FOREGROUND)]) & (labels > 0))
    return mask


class EditorMachine(RuleBasedStateMachine):
    """A result and its editor, and beside it what a person did."""

    app_and_scene = None

    @initialize()
    def begin(self) -> None:
        _, self.scene = self.app_and_scene
        self.scene.Clear(False)
        self.folder = tempfile.TemporaryDirectory()
        place = Path(self.folder.name)
        image = sitk.GetImageFromArray(NETWORK[KNOWN])
        image.SetSpacing(CT.GetSpacing())
        image.SetDirection(CT.GetDirection())
        image.SetOrigin(CT.TransformIndexToPhysicalPoint([part.start for part in KNOWN[::-1]]))
        sitk.WriteImage(image, str(place / "probability.nrrd"))
        nodes = import_result(self.scene, add_volume(self.scene, Volume(CT, "small")), {"threshold": 0.5}, place)
        self.wall = self.add_wall(nodes)
        self.editor = ResultEditor(nodes)
        self.history, self.now = [State()], 0
        self.settings, self.reach, self.teaching = (0.5, False, 0.0), 15.0, False
        self.pending: np.ndarray | None = None
        self.known: dict = {}
        self.names = self.all_names()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # --- What a person does ---

    @rule(voxel=voxels, positive=st.booleans())
    def add_click(self, voxel, positive) -> None:
        id = self.editor.add_click(ras_of(CT, voxel), positive)
        self.absorb()
        assert id == str(self.clicked(voxel, positive))

    @rule(voxel=voxels, positive=st.booleans())
    def place_a_point(self, voxel, positive) -> None:
        """As front ends let people click: the list changes, and then the editor is told."""
        self.editor.require_click_lists()[0 if positive else 1].AddControlPointWorld(ras_of(CT, voxel))
        for _part in self.editor.prepare_clicks():
            pass
        assert self.editor.sync_from_markups()
        self.absorb()
        self.clicked(voxel, positive)

    @precondition(lambda self: self.state.clicks)
    @rule(which=st.integers(0, 9), voxel=voxels)
    def move_click(self, which, voxel) -> None:
        order = self.state.clicks[which % len(self.state.clicks)][0]
        self.editor.move_click(str(order), ras_of(CT, voxel))
        self.absorb()
        clicks = tuple((o, voxel if o == order else v, p) for o, v, p in self.state.clicks)
        moved = replace(self.state, clicks=clicks, moved=order)
        if self.state.moved == order:
            self.history[self.now :] = [moved]
        else:
            self.append(moved)

    @precondition(lambda self: self.state.clicks)
    @rule(which=st.integers(0, 9))
    def remove_click(self, which) -> None:
        order = self.state.clicks[which % len(self.state.clicks)][0]
        self.editor.remove_click(str(order))
        self.absorb()
        self.append(replace(self.state, clicks=tuple(c for c in self.state.clicks if c[0] != order), moved=0))

    @rule(first=voxels, last=voxels, positive=st.booleans(), radius=st.sampled_from([0.0, 2.0]))
    def stroke(self, first, last, positive, radius) -> None:
        self.editor.add_stroke([ras_of(CT, first), ras_of(CT, last)], positive, radius)
        self.mark(lambda order: stroke_seed(order, np.array([first, last]), positive, SPACING, SIZE, radius))

    @rule(corners=boxes, positive=st.booleans())
    def box(self, corners, positive) -> None:
        self.editor.add_box(*(ras_of(CT, corner) for corner in corners), positive)
        self.mark(lambda order: box_seed(order, HU, np.array(corners, float), positive, SPACING))

    @rule(corners=lassos, positive=st.booleans())
    def lasso(self, corners, positive) -> None:
        points = [ras_of(CT, corner) for corner in corners]
        try:
            lasso_seed(1, HU, np.array(corners, float), positive, SPACING)
        except BadInput:  # it encloses nothing; then nothing changes
            with pytest.raises(BadInput):
                self.editor.add_lasso(points, positive)
            return
        self.editor.add_lasso(points, positive)
        self.mark(lambda order: lasso_seed(order, HU, np.array(corners, float), positive, SPACING))

    @precondition(lambda self: self.state.marks)
    @rule(which=st.integers(0, 9))
    def remove_mark(self, which) -> None:
        order = self.state.marks[which % len(self.state.marks)].order
        self.editor.remove_mark(str(order))
        self.absorb()
        self.append(replace(self.state, marks=tuple(m for m in self.state.marks if m.order != order), moved=0))

    @rule(is_teaching=st.booleans())
    def let_strokes_teach(self, is_teaching) -> None:
        self.editor.strokes_teach = is_teaching
        self.absorb()
        self.teaching = is_teaching

    @rule(corners=boxes, value=st.sampled_from([0, 1]), is_absorbed=st.booleans())
    def paint(self, corners, value, is_absorbed) -> None:
        painted = self.shown() if self.pending is None else self.pending.copy()
        painted[tuple(slice(min(ends), max(ends) + 1) for ends in zip(*corners, strict=True))] = value
        self.write_segment(painted)
        self.pending = painted
        if is_absorbed:
            assert self.editor.absorb_strokes() == self.absorb()

    @rule(
        threshold=st.sampled_from([0.01, 0.3, 0.5, 0.8, 1.0]),
        keep_largest=st.booleans(),
        smoothing_mm=st.sampled_from([0.0, 1.0, 4.0]),
    )
    def set_threshold(self, threshold, keep_largest, smoothing_mm) -> None:
        self.absorb()
        self.settings = (threshold, keep_largest, smoothing_mm)
        assert self.editor.set_threshold(*self.settings) == self.editor.volume_ml

    @rule(reach=st.sampled_from([2.0, 15.0]))
    def set_reach(self, reach) -> None:
        if reach != self.reach:
            self.absorb()
        self.reach = reach
        self.editor.reach_mm = reach

    @rule(is_wall=st.booleans())
    def set_walls(self, is_wall) -> None:
        self.editor.walls = (self.wall,) if is_wall else ()
        if is_wall != self.state.walls:
            self.absorb()
            self.append(replace(self.state, walls=is_wall, moved=0))

    @rule()
    def clear(self) -> None:
        self.editor.clear()
        self.absorb()
        if self.state.is_corrected:
            self.append(State(walls=self.state.walls))

    @rule()
    def undo(self) -> None:
        could = self.editor.undo()
        self.absorb()
        assert could == (self.now > 0)
        self.now = max(0, self.now - 1)

    @rule()
    def redo(self) -> None:
        could = self.editor.redo()
        self.absorb()
        assert could == (self.now + 1 < len(self.history))
        self.now = min(self.now + 1, len(self.history) - 1)

    @rule(what=st.sampled_from(["corrected", "strokes"]))
    def somebody_deletes_a_volume_that_follows_from_the_corrections(self, what) -> None:
        node = getattr(self.editor.nodes, what)
        if node is not None and self.pending is None:
            self.scene.RemoveNode(node)
            assert self.editor.restore_missing() == self.state.is_corrected

    @rule(is_file=st.booleans())
    def open_anew(self, is_file) -> None:
        """Save and load; or take the result up again in the scene, as a front end does, which takes less time."""
        if is_file:
            path = Path(self.folder.name) / "scene.mrb"
            save_scene(self.scene, path)
            self.scene.Clear(False)
            load_scene(self.scene, path)
        (nodes,) = find_results(self.scene)
        self.editor = ResultEditor(nodes)
        assert self.all_names() == self.names

    # --- What has to hold ---

    @invariant()
    def is_what_the_corrections_give(self) -> None:
        if not hasattr(self, "editor"):
            return
        shown, expected = self.shown(), self.expected() if self.pending is None else self.pending
        assert np.array_equal(shown, expected), f"{np.argwhere(shown != expected)[:5].tolist()} of {self.state}"
        assert self.editor.volume_ml == pytest.approx(expected.sum() * np.prod(SPACING) / 1000)
        assert self.editor.settings == self.settings and self.editor.reach_mm == self.reach
        assert self.editor.strokes_teach == self.teaching
        assert [(click.order, click.positive) for click in self.editor.clicks] == [c[::2] for c in self.state.clicks]
        for click, (_, voxel, _) in zip(self.editor.clicks, self.state.clicks, strict=True):
            assert click.ras == pytest.approx(ras_of(CT, voxel), abs=1e-3)
        assert [mark.order for mark in self.editor.marks] == [seed.order for seed in self.state.marks]
        if self.pending is None:
            assert self.editor.can_undo == (self.now > 0)
            assert self.editor.can_redo == (self.now + 1 < len(self.history))
            assert self.editor.is_corrected == self.state.is_corrected
        segmentation = self.editor.nodes.segmentation.GetSegmentation()
        names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
        assert names == ["Pancreas", "Vein"]

    # --- The model ---

    @property
    def state(self) -> State:
        return self.history[self.now]

    def expected(self) -> np.ndarray:
        key = (id(self.state), *self.settings, self.reach)
        if key not in self.known:
            self.known[key] = self.state, expected_mask(self.state, *self.settings, self.reach)
        return self.known[key][1]

    def append(self, state: State) -> None:
        self.history[self.now + 1 :] = [state]
        self.now += 1

    def clicked(self, voxel, positive) -> int:
        order = self.next_order()
        self.append(replace(self.state, clicks=(*self.state.clicks, (order, voxel, positive)), moved=0))
        return order

    def mark(self, seed_of: Callable[[int], Seed]) -> None:
        self.absorb()
        self.append(replace(self.state, marks=(*self.state.marks, seed_of(self.next_order())), moved=0))

    def next_order(self) -> int:
        clicks = (click[0] for state in self.history for click in state.clicks)
        return 1 + max(itertools.chain([0], clicks, (seed.order for s in self.history for seed in s.marks)))

    def absorb(self) -> bool:
        """What was painted by hand becomes a step of its own as soon as anything else happens."""
        painted, self.pending = self.pending, None
        before = self.expected()
        if painted is None or np.array_equal(painted, before):
            return False
        strokes, marks = self.state.strokes.copy(), self.state.marks
        strokes[painted & ~before], strokes[before & ~painted] = FOREGROUND, BACKGROUND
        order = self.next_order()
        for value in (FOREGROUND, BACKGROUND) if self.teaching else ():
            new = np.argwhere((strokes == value) & (self.state.strokes != value))
            if len(new):
                marks = (*marks, painted_seed(order, new, value == FOREGROUND, SPACING))
                order += 1
        self.append(replace(self.state, painted=strokes.tobytes(), marks=marks, moved=0))
        return True

    # --- The scene ---

    def shown(self) -> np.ndarray:
        return segment_on_ct(self.editor.nodes).on(WHOLE) != 0

    def all_names(self) -> list[str]:
        nodes = self.editor.nodes
        return [node.GetName() for node in (nodes.volume, nodes.segmentation, nodes.probability)]

    def add_wall(self, nodes) -> str:
        wall = np.zeros(SIZE, np.uint8)
        wall[WALL] = 1
        name = nodes.segmentation.GetSegmentation().AddEmptySegment("Vein", "Vein")
        write_labelmap(nodes, name, wall)
        return name

    def write_segment(self, mask: np.ndarray) -> None:
        nodes = self.editor.nodes
        write_labelmap(nodes, nodes.segmentation.GetSegmentation().GetNthSegmentID(0), mask)


def write_labelmap(nodes, segment_id: str, mask: np.ndarray) -> None:
    """Write a segment as Slicer's tools do."""
    import slicer
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    labelmap, to_ras = slicer.vtkOrientedImageData(), vtkMatrix4x4()
    labelmap.SetExtent(*[bound for n in SIZE[::-1] for bound in (0, n - 1)])
    nodes.volume.GetIJKToRASMatrix(to_ras)
    labelmap.SetImageToWorldMatrix(to_ras)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        labelmap, nodes.segmentation, segment_id, slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
    )


@pytest.fixture(scope="module")
def machine():
    app_and_scene = open_standalone_scene()
    yield type("Machine", (EditorMachine,), {"app_and_scene": app_and_scene})
    app_and_scene[1].Clear(False)


def run(machine, examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            phases=(Phase.generate,),  # it shows the sequence anyhow; making it shorter takes minutes
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )


def test_any_sequence_gives_what_its_corrections_give(machine):
    run(machine, 12)


@pytest.fixture
def person(machine):
    """The machine in the hands of one person, who checks after every step."""
    played = machine()
    played.begin()
    yield lambda name, *given: (getattr(played, name)(*given), played.is_what_the_corrections_give())
    played.teardown()


@pytest.mark.parametrize("mutant", [None, "walls_on_ct", "read_marks"])
def test_what_sequences_have_found(person, monkeypatch, mutant):
    """A smoothed segment ended where its field was cropped; smoothing and "largest part" took away what marks mean."""
    if mutant is not None:
        monkeypatch.setattr(f"AttentionUNetSegLib.scene.certain.{mutant}", lambda nodes: [])
    with contextlib.nullcontext() if mutant is None else pytest.raises(AssertionError, match=FOUND):
        person("set_threshold", 0.01, False, 4.0)
        person("set_threshold", 0.5, True, 4.0)
        person("stroke", (0, 0, 0), (0, 0, 3), True, 0.0)
        person("box", ((4, 4, 3), (4, 4, 4)), False)
        person("set_walls", True)
        person("add_click", (4, 5, 8), True)  # in the wall, where it changes nothing
        person("open_anew", True)


@pytest.mark.parametrize("click", ["add_click", "place_a_point"])
def test_a_click_after_a_mark_counts_more(person, click):
    """A point placed in the list was numbered after the clicks alone, and so counted as earlier than the mark."""
    person("lasso", [(4, 3, 3), (4, 8, 3), (4, 8, 6)], False)
    person("box", ((3, 3, 3), (5, 8, 6)), False)
    person(click, (4, 7, 4), True)
    person("undo")


def test_a_click_after_a_stroke_that_teaches_has_a_number_of_its_own(person):
    person("let_strokes_teach", True)
    person("paint", ((1, 2, 9), (3, 4, 11)), 1, False)
    person("add_click", (4, 5, 3), False)


def test_of_a_click_and_a_mark_the_later_counts_in_either_order(person):
    """A field kept for the one order was taken for the other."""
    click, box = ("add_click", (4, 5, 4), True), ("box", ((3, 4, 3), (5, 6, 5)), False)
    for first, second in ((click, box), (box, click)):
        person(*first)
        person(*second)
        person("undo")
        person("undo")


def test_a_field_that_is_kept_for_other_strokes_is_found(person, monkeypatch):
    kept: dict = {}
    corrected = CorrectionReplay.corrected

    def forgetful(self, step, reach_mm):
        key = (id(self), step.clicks, step.marks, reach_mm)
        if key not in kept:
            kept[key] = corrected(self, step, reach_mm)
        return kept[key]

    monkeypatch.setattr(CorrectionReplay, "corrected", forgetful)
    with pytest.raises(AssertionError, match=FOUND):
        person("paint", ((1, 2, 9), (3, 4, 11)), 1, True)
        person("paint", ((4, 2, 9), (6, 4, 11)), 1, True)
        person("set_threshold", 0.01, False, 4.0)
